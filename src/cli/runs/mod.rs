//! `convnet runs`: lists, shows and compares training runs.

mod compare;
mod list;
mod logs;
mod page;
mod results;
mod show;
mod table;

use clap::Subcommand;

use super::help::examples;
use super::{Globals, output};
use logs::Logs;

/// What `convnet runs` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: RunsCommand,
}

#[derive(Debug, Subcommand)]
enum RunsCommand {
    /// List the runs with their settings and results
    #[command(after_help = examples::RUNS_LIST)]
    List(list::List),
    /// Show one run: settings, data, network, epochs, results, files
    #[command(after_help = examples::RUNS_SHOW)]
    Show(show::Show),
    /// Compare runs: settings that differ, results, curves, and whether the difference is noise
    #[command(after_help = examples::RUNS_COMPARE)]
    Compare(compare::Compare),
}

/// Runs the subcommand.
///
/// # Errors
/// Where a run cannot be read, or runs cannot be compared.
pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    match args.command {
        RunsCommand::List(args) => Ok(list::run(args, globals)?),
        RunsCommand::Show(args) => Ok(show::run(args)?),
        RunsCommand::Compare(args) => Ok(compare::run(args, globals)?),
    }
}
