//! The images of a run that was done, as it had them.

use super::folder::RunFolder;
use super::prepare;
use super::record::DataRecord;
use crate::data::Dataset;
use crate::error::Result;
use crate::log::Sinks;

/// The images of `folder`'s run, split as they were then.
///
/// # Errors
/// A data error where they cannot be read any more, or are others now.
pub fn images(folder: &RunFolder) -> Result<Dataset> {
    let splits = prepare::splits(&folder.config(), false, &mut Sinks::default())?;
    folder.check_data(&DataRecord::new(&splits))?;
    Ok(splits)
}
