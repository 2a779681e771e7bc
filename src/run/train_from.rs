//! A training without the command line: a configuration in, a saved model and its scores out.

use std::path::PathBuf;

use super::execute::Run;
use crate::config::RunConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::log::history::HistoryRow;
use crate::metrics::Scores;
use crate::train::StopReason;

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
/// let mut config = RunConfig::default();
/// config.data.source = "digits".into();
/// config.training.epochs = 3;
/// let trained = convnet::train_from(&config)?;
/// println!("{}: test accuracy {:.4}", trained.model.display(), trained.test.unwrap().accuracy());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Whatever `convnet train` ends with: a configuration, data, model, device or numeric error.
pub fn train_from(config: &RunConfig) -> Result<Trained> {
    let finished = Run::new(config.clone()).execute()?;
    if let StopReason::Signal(signal) = finished.ending {
        return Err(Error::new(ErrorKind::Stopped { signal }, "stopped by a signal"));
    }
    Ok(Trained {
        model: finished.model_stem(),
        run: finished.folder.path.clone(),
        test: finished.tested.as_ref().map(|tested| tested.sums.scores()),
        epochs: finished.history,
        ending: finished.ending,
    })
}
