//! `convnet report`: a run as one HTML page.

use std::path::PathBuf;

use super::{Globals, output};
use convnet::error::Error;
use convnet::files::write_output;
use convnet::report::{Story, Watcher, page};
use convnet::run::RunFolder;

/// What `convnet report` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: its name in --logs, or its folder
    #[arg(value_name = "RUN")]
    run: String,
    /// The page's file [default: report.html in the run's folder]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The folder of the logs
    #[arg(long, value_name = "FOLDER", default_value = "logs")]
    logs: PathBuf,
    /// Without the images: no pictures of mistakes, no duplicates and leaks
    #[arg(long)]
    no_images: bool,
    /// Serve the page on this machine's own address, growing while the run trains
    #[arg(long, conflicts_with_all = ["out", "no_images"])]
    watch: bool,
    /// The port to serve on; 0: one that is free
    #[arg(long, value_name = "N", default_value_t = 6007, requires = "watch")]
    port: u16,
}

/// Writes the page, or serves it.
///
/// # Errors
/// Where there is no such run, it cannot be read, or the page cannot be written or served.
pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    let folder = RunFolder::open(&args.run, &args.logs)?;
    if args.watch {
        let watcher = Watcher::bind(&folder, args.port)?;
        output::result(&format!("{}\n", watcher.url()))?;
        output::note(globals, "note: the page grows with the run; Ctrl-C ends this");
        return Ok(watcher.serve()?);
    }
    let path = args.out.unwrap_or_else(|| folder.path.join("report.html"));
    let story = Story::read(&folder, !args.no_images)?;
    output::notes(globals, &story.missing);
    let written = output::written(&path);
    let html = page(&story, None);
    write_output(&path, |writer| writer.write_all(html.as_bytes()))
        .map_err(|error| Error::config("cannot write the page").at_path(&path).because(error))?;
    output::note(globals, &written);
    Ok(())
}
