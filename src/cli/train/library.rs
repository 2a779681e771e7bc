//! A training without the command line: a configuration in, a saved model and its scores out.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::session::Session;
use crate::cli::Globals;
use crate::config::RunConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::log::Scores;
use crate::log::console::ProgressMode;
use crate::log::history::HistoryRow;
use crate::train::{StopReason, StopSignal};

/// What came of a training from a configuration.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The saved model's stem, such as `models/model`: what [`crate::predict::Predictor::load`] takes.
    pub model: PathBuf,
    /// The run's folder: logs, checkpoints, `run.json`.
    pub run: PathBuf,
    /// The epochs, as `history.csv` has them.
    pub epochs: Vec<HistoryRow>,
    /// Loss and accuracy on the test images, where there are any.
    pub test: Option<Scores>,
    /// Why training ended.
    pub ending: StopReason,
}

/// Trains as `convnet train` does, without a word: loads the data, builds the network, trains, tests, and saves the model and
/// its run below the folders that `config` names. Signals are left to the caller.
///
/// ```no_run
/// use convnet::config::RunConfig;
///
/// # fn main() -> convnet::error::Result<()> {
/// let config = RunConfig { data: "digits".into(), epochs: 3, ..RunConfig::default() };
/// let trained = convnet::train_from(&config)?;
/// println!("{}: test accuracy {:.4}", trained.model.display(), trained.test.unwrap().accuracy);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Whatever `convnet train` ends with: a configuration, data, model, device or numeric error.
pub fn train_from(config: &RunConfig) -> Result<Trained> {
    let Value::Object(settings) = serde_json::to_value(config).expect("a configuration is plain values") else {
        unreachable!("a struct is an object")
    };
    let session = Session {
        config: RunConfig::resolve(settings, Map::new())?, // checked as the command line's is
        resumed: None,
        progress: ProgressMode::None,
        globals: Globals { quiet: true, verbose: false },
        stop: Arc::new(StopSignal::new(0)),
        stop_after: None,
        checks_data: false,
        origins: None,
    };
    let finished = session.run()?;
    if let StopReason::Signal(signal) = finished.ending {
        return Err(Error::new(ErrorKind::Stopped { signal }, "stopped by a signal"));
    }
    Ok(Trained {
        model: finished.config.models.join(&finished.config.name),
        run: finished.folder.path.clone(),
        test: finished.tested.as_ref().map(|tested| tested.sums.scores()),
        epochs: finished.rows,
        ending: finished.ending,
    })
}
