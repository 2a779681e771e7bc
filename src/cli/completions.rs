//! `convnet completions SHELL`: a completion script for a shell.

use clap::Command;
use clap_complete::Shell;

/// Print completions for a shell.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell: bash, zsh, fish, elvish or powershell
    shell: Shell,
}

/// Prints what completes the words of `command`.
pub fn run(args: Args, mut command: Command) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "convnet", &mut script);
    super::output::result(&String::from_utf8_lossy(&script))?;
    Ok(())
}
