//! The program: parses, runs, prints an error with its causes, returns the exit code of the contract.

mod cli;

use std::io::Write;

use clap::Parser;
use clap::error::ErrorKind;

fn main() -> ! {
    let parsed = cli::Cli::try_parse().unwrap_or_else(|error| {
        if error.kind() == ErrorKind::DisplayVersion && cli::version::is_verbose(std::env::args_os()) {
            let _ = write!(std::io::stdout(), "{}", cli::version::verbose());
            cli::output::end(0);
        }
        let _ = error.print();
        cli::output::end(error.exit_code())
    });
    cli::output::end(match parsed.run() {
        Ok(()) => 0,
        Err(error) => {
            // to be stopped is no fault
            let prefix = if cli::is_stop(&error) { "" } else { "error: " };
            let _ = writeln!(std::io::stderr(), "{prefix}{}", cli::spelling::describe(error.as_ref()));
            cli::exit_code(&error).into()
        }
    })
}
