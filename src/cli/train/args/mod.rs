//! The arguments of `convnet train`, and the configuration that they resolve to.

mod flags;

use std::path::PathBuf;

use crate::cli::Globals;
use crate::cli::names::names;
use convnet::config::RunConfig;
use convnet::config::file::ConfigFile;
use convnet::config::resolved::{MUTABLE_ON_RESUME, Resolved};
use convnet::error::{Error, Result};
use convnet::log::console::ProgressMode;
use convnet::run::RunFolder;

pub use flags::Flags;

/// Train a network.
#[derive(Debug, clap::Args)]
#[command(allow_negative_numbers = true)] // they are refused by name
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    #[command(flatten, next_help_heading = "Run")]
    pub options: Options,
}

/// The flags that are no settings: resuming, cross-validation, checks and output.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Continue a run: its name in --logs, or its folder (--help: what may change then)
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "run"], long_help = resume_help())]
    pub resume: Option<String>,
    /// Read settings from a TOML or JSON file; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Do not check the data set for faults
    #[arg(long)]
    no_check: bool,
    /// Cross-validate with K folds: K runs, each validated on another K-th of the training images
    #[arg(long, value_name = "K", conflicts_with_all = ["resume", "validation", "verify_resume", "print_config"])]
    pub folds: Option<usize>,
    /// Train N runs that differ in their seeds alone (--seed, the next, …), and report mean, deviation and interval
    #[arg(long, value_name = "N", conflicts_with_all = ["folds", "resume", "verify_resume", "print_config"])]
    pub repeats: Option<usize>,
    /// Time a few steps, and print the network's size and the time and memory that the training will take; nothing is written
    #[arg(long, conflicts_with_all = ["resume", "folds", "repeats", "verify_resume", "print_config"])]
    pub plan: bool,
    /// Note where the time of training goes: a table at the end, and logs/<run>/trace.json for Perfetto and chrome://tracing
    #[arg(long, conflicts_with_all = ["folds", "repeats", "plan", "verify_resume", "print_config"])]
    pub profile: bool,
    /// Train in N processes of this machine, which share each batch (docs/scaling.md: torchrun and several machines)
    #[arg(long, value_name = "N", conflicts_with_all = ["folds", "repeats", "plan", "verify_resume", "print_config"])]
    pub nproc: Option<usize>,
    /// Print every setting and where it comes from, without training
    #[arg(long)]
    pub print_config: bool,
    /// Check with a short run that, on this machine, a resumed run equals an uninterrupted one bit for bit
    #[arg(long, conflicts_with_all = ["resume", "print_config"])]
    pub verify_resume: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
    /// How to show progress
    #[arg(long, value_parser = names::<ProgressMode>(), default_value_t = ProgressMode::Auto)]
    progress: ProgressMode,
}

fn resume_help() -> String {
    let width = MUTABLE_ON_RESUME.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    let rows =
        MUTABLE_ON_RESUME.iter().map(|(key, effect)| format!("  --{:<width$}  {effect}\n", key.replace('_', "-")));
    let rows: String = rows.collect();
    format!("Continue a run: its name in --logs, or its folder. Only these may change then:\n{rows}")
}

impl Args {
    /// Resolves the configuration: a resumed run's settings, or the defaults and `--config`, overridden by the flags.
    pub fn resolve(&self, resumed: Option<&RunFolder>, num_processes: usize) -> Result<Resolved> {
        let flags = self.flags.given()?;
        match resumed {
            Some(folder) => folder.resolve_for(&flags, num_processes),
            None => Resolved::new(self.options.config.as_deref().map(ConfigFile::read).transpose()?.as_ref(), &flags),
        }
    }

    /// Refuses what is done in one process alone.
    pub fn check_alone(&self) -> Result<()> {
        let Options { folds, repeats, plan, verify_resume, print_config, .. } = self.options;
        let asked = [
            ("folds", folds.is_some()),
            ("repeats", repeats.is_some()),
            ("plan", plan),
            ("verify_resume", verify_resume),
            ("print_config", print_config),
        ];
        match asked.into_iter().find(|(_, is_asked)| *is_asked) {
            None => Ok(()),
            Some((name, _)) => {
                Err(Error::config(format!("`{name}` is for one process")).help("start it without a launcher"))
            }
        }
    }

    /// The folder in which runs are looked up by name.
    pub fn logs_folder(&self) -> PathBuf {
        self.flags.logs().map_or_else(|| RunConfig::default().outputs.logs, PathBuf::from)
    }

    /// The progress display; none with `--quiet`.
    pub fn progress_mode(&self, globals: Globals) -> ProgressMode {
        if globals.quiet { ProgressMode::None } else { self.options.progress }
    }

    /// Whether a new run checks its images for faults; not with `--quiet`, so that the next run reports them.
    pub fn checks_data(&self, globals: Globals) -> bool {
        !self.options.no_check && !globals.quiet
    }
}
