//! `convnet completions SHELL`: a completion script for a shell.

use clap::CommandFactory;
use clap_complete::Shell;

/// Print completions for a shell.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell: bash, zsh, fish, elvish or powershell
    shell: Shell,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "convnet", &mut script);
    super::output::result(&String::from_utf8_lossy(&script))?;
    Ok(())
}
