//! `convnet verify`: whether a saved model is what was saved, and computes here what it computed then.

use std::num::NonZeroUsize;

use serde::Serialize;

use super::{Globals, output};
use convnet::device::{self, DeviceChoice};
use convnet::error::{Error, ErrorKind};
use convnet::model::saved;
use convnet::verify::{Check, CheckState, verify};

/// What `convnet verify` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: a stem (models/model), either of its two files, or a run's name or folder
    #[arg(value_name = "MODEL")]
    model: String,
    /// The data set to compare with the one that the model was trained on: a known name or a path
    #[arg(value_name = "DATA", conflicts_with = "data")]
    named_data: Option<String>,
    /// The data set, as a flag
    #[arg(short, long, value_name = "DATA")]
    data: Option<String>,
    /// Accept the JSON as it is, edited or from an older version: compute golden outputs and its checksum anew
    #[arg(long)]
    seal: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
    /// The device: auto, cpu, cuda or cuda:N
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    /// CPU threads [default: one per core]
    #[arg(short = 'j', long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// What `verify --json` prints.
#[derive(Serialize)]
struct VerifyReport<'a> {
    model: String,
    device: &'a str,
    verified: bool,
    checks: &'a [Check],
}

/// Checks the model's files, what it computes and, where a data set is named, what it was trained on.
///
/// # Errors
/// A model error where a file cannot be read; a check error where something does not hold.
pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    device::configure(args.threads.map(NonZeroUsize::get))?;
    let selected = device::select(args.device)?;
    let json_path = saved::locate(&args.model)?;
    if args.seal {
        saved::seal(&json_path, selected.device)?;
        output::note(globals, &format!("{} has new golden outputs and a new checksum", json_path.display()));
    }
    let source = args.named_data.as_deref().or(args.data.as_deref());
    let checks = verify(&json_path, selected.device, source)?;
    let failed: Vec<String> =
        checks.iter().filter(|check| check.state == CheckState::Fails).map(|check| check.what.to_string()).collect();
    let verified = failed.is_empty();
    let model = json_path.display().to_string();
    match args.json {
        true => output::json(&VerifyReport { model, device: &selected.name, verified, checks: &checks })?,
        false => output::result(&table(&model, &selected.name, &checks))?,
    }
    let lacks = checks.iter().any(|check| check.state == CheckState::Absent && check.detail.contains("older version"));
    if verified && lacks {
        output::note(globals, "note: convnet verify MODEL --seal adds what an older version did not save");
    }
    match verified {
        true => Ok(()),
        false => {
            let error = Error::new(ErrorKind::Check, format!("the model does not verify: {}", failed.join(", ")));
            Err(error.at_path(&json_path).into())
        }
    }
}

/// A line for each check.
fn table(model: &str, device: &str, checks: &[Check]) -> String {
    let line = |Check { what, state, detail, .. }: &Check| format!("{what:<8}  {state:<7}  {detail}\n");
    format!("{:<8}  {model}, on {device}\n", "model") + &checks.iter().map(line).collect::<String>()
}
