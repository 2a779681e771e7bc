//! Where `convnet runs` looks for runs.

use std::path::PathBuf;

/// Where runs are looked for.
#[derive(Debug, clap::Args)]
pub(super) struct Logs {
    /// The folder of the logs
    #[arg(long, value_name = "FOLDER", default_value = "logs")]
    pub logs: PathBuf,
}
