//! What the user typed for `convnet train`, and the run that it means.

mod flags;

use std::path::PathBuf;

use crate::cli::Globals;
use crate::config::RunConfig;
use crate::config::file::ConfigFile;
use crate::config::resolved::{MUTABLE_ON_RESUME, Resolved};
use crate::error::Result;
use crate::log::console::ProgressMode;
use crate::run::RunFolder;

pub use flags::Flags;

/// Train a network.
#[derive(Debug, clap::Args)]
#[command(allow_negative_numbers = true)] // they are refused by name
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Continue a run: its name in --logs, or its folder (--help: what may change then)
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "run"], long_help = resume_help())]
    pub resume: Option<String>,
    /// Read settings from a TOML or JSON file; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Do not look for faults in the data set
    #[arg(long)]
    no_check: bool,
    /// Cross-validate: so many runs, each with another part of the training images for validation
    #[arg(long, value_name = "K", conflicts_with_all = ["resume", "validation", "verify_resume", "print_config"])]
    pub folds: Option<usize>,
    /// Print every setting and where it comes from, and do nothing else
    #[arg(long)]
    pub print_config: bool,
    /// Check on this machine, with a short run, that a stopped and resumed run is the uninterrupted one, bit for bit
    #[arg(long, conflicts_with_all = ["resume", "print_config"])]
    pub verify_resume: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
    /// How to show progress
    #[arg(long, value_enum, default_value_t = ProgressMode::Auto)]
    progress: ProgressMode,
}

fn resume_help() -> String {
    let width = MUTABLE_ON_RESUME.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    let rows =
        MUTABLE_ON_RESUME.iter().map(|(key, effect)| format!("  --{:<width$}  {effect}\n", key.replace('_', "-")));
    let rows: String = rows.collect();
    format!("Continue a run: its name in --logs, or its folder. May change then, everything else may not:\n{rows}")
}

impl Args {
    /// The run as it will be: a resumed run's own settings, or defaults and the file's; then the flags.
    pub fn resolve(&self, resumed: Option<&RunFolder>) -> Result<Resolved> {
        let flags = self.flags.given()?;
        match resumed {
            Some(folder) => folder.resolve(&flags),
            None => Resolved::new(self.config.as_deref().map(ConfigFile::read).transpose()?.as_ref(), &flags),
        }
    }

    /// Where runs are looked for by name.
    pub fn logs_folder(&self) -> PathBuf {
        self.flags.logs().map_or_else(|| RunConfig::default().outputs.logs, PathBuf::from)
    }

    /// How progress is shown.
    pub fn progress_mode(&self, globals: Globals) -> ProgressMode {
        if globals.quiet { ProgressMode::None } else { self.progress }
    }

    /// Whether faults in a new run's images are told. What nobody hears is said the next time.
    pub fn checks_data(&self, globals: Globals) -> bool {
        !self.no_check && !globals.quiet
    }
}
