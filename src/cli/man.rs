//! `convnet man FOLDER`: manual pages, one for the program and one for each subcommand.

use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;

use super::{Globals, output};
use convnet::error::{Error, Result};
use convnet::files::write_output;

/// Write manual pages.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to write them into: convnet.1, convnet-train.1 …; it is made where it is missing
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Writes the pages of `command` and its subcommands.
///
/// # Errors
/// A configuration error where the folder cannot be written.
pub fn run(args: &Args, command: Command, globals: Globals) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.folder).map_err(|error| unwritable(&args.folder, error))?;
    let mut names = Vec::new();
    for (name, page) in pages(command)? {
        let path = args.folder.join(format!("{name}.1"));
        write_output(&path, |writer| writer.write_all(&page)).map_err(|error| unwritable(&path, error))?;
        names.push(name);
    }
    let (count, first) = (names.len(), args.folder.join("convnet.1"));
    output::note(globals, &format!("wrote {count} pages; read them with: man -l {}", first.display()));
    Ok(())
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    Error::config("cannot write the manual pages").at_path(path).because(error)
}

/// Each page's name with its text, in roff.
fn pages(command: Command) -> Result<Vec<(String, Vec<u8>)>> {
    let mut root = command.disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    let mut waiting = vec![(root.get_name().to_owned(), root)];
    while let Some((name, command)) = waiting.pop() {
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            waiting.push((format!("{name}-{}", sub.get_name()), sub.clone()));
        }
        let mut page = Vec::new();
        let title = name.to_uppercase();
        let man = Man::new(command.name(name.clone())).title(title).section("1");
        man.render(&mut page).map_err(|error| Error::internal("cannot write a manual page").because(error))?;
        let text = String::from_utf8_lossy(&page).replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n.nf\n");
        pages.push((name, text.into_bytes()));
    }
    pages.sort();
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let pages = pages(crate::cli::Cli::command()).unwrap();
        let text = |wanted: &str| {
            let page = pages.iter().find(|(name, _)| name == wanted);
            String::from_utf8(page.unwrap_or_else(|| panic!("{wanted}")).1.clone()).unwrap()
        };
        assert!(pages.len() > 15, "{}", pages.len());
        assert!(text("convnet-train").contains("batch\\-size") && text("convnet").contains("convnet\\-train"));
        assert!(text("convnet-data-check").contains(".SH EXAMPLES\n.nf\n"));
    }
}
