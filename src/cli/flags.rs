//! Flags, and values of flags, that several subcommands have.

use std::num::NonZeroUsize;

/// Flags that every subcommand has; its help shows them last.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Print only results and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print more: the settings of a run, its data, its network
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Print help
    #[arg(short, long, global = true, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Print the version; with --verbose libtorch's, CUDA's, the build and the CPU's features, too
    #[arg(short = 'V', long, global = true, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

impl Globals {
    /// As with `--quiet`.
    pub fn silenced(self) -> Self {
        Globals { quiet: true, verbose: false, ..self }
    }
}

/// Parses a count of at least 1.
pub fn at_least_one(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "expected a whole number from 1".to_owned())
}
