//! The program: parses, runs, prints an error with its causes, returns the exit code of the contract.

mod cli;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

fn main() -> ExitCode {
    let parsed = cli::Cli::try_parse().unwrap_or_else(|error| {
        if error.kind() == ErrorKind::DisplayVersion && cli::version::is_verbose(std::env::args_os()) {
            let _ = write!(std::io::stdout(), "{}", cli::version::verbose());
            std::process::exit(0);
        }
        error.exit()
    });
    match parsed.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // to be stopped is no fault
            let prefix = if cli::is_stop(&error) { "" } else { "error: " };
            let _ = writeln!(std::io::stderr(), "{prefix}{}", cli::spelling::describe(error.as_ref()));
            ExitCode::from(cli::exit_code(&error))
        }
    }
}
