//! The program: parses, runs, prints an error with its causes, returns the exit code of the contract.

mod cli;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // to be stopped is no fault
            let prefix = if cli::is_stop(&error) { "" } else { "error: " };
            let _ = writeln!(std::io::stderr(), "{prefix}{}", cli::spelling::describe(error.as_ref()));
            ExitCode::from(cli::exit_code(&error))
        }
    }
}
