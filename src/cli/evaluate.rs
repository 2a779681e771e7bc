//! A subcommand.

#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args, _globals: super::Globals) -> anyhow::Result<()> {
    Ok(())
}
