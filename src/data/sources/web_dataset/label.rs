//! The files of a sample that say its class.

use std::io::Read;

use serde::Deserialize;
use serde_json::Value;

use crate::data::names::composed;
use crate::data::sources::archive::damaged;
use crate::data::sources::manifest::class_of;
use crate::error::{Error, Result};
use crate::files::bounded::read_up_to;

/// The most bytes of a label's file.
const MAX_LABEL_BYTES: u64 = 1 << 20;

/// A file that holds a sample's label. Of several the first one here counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LabelFile {
    /// `.cls`: a number.
    Number,
    /// `.json`: an object with `label` or `cls`, text or a whole number.
    Json,
    /// `.txt`: a class's name.
    Text,
}

impl LabelFile {
    /// All of them, in their order.
    pub const ALL: [LabelFile; 3] = [LabelFile::Number, LabelFile::Json, LabelFile::Text];

    /// The file's extension.
    pub fn extension(self) -> &'static str {
        match self {
            LabelFile::Number => "cls",
            LabelFile::Json => "json",
            LabelFile::Text => "txt",
        }
    }

    /// What has this extension, in small letters.
    pub fn from_extension(extension: &str) -> Option<Self> {
        LabelFile::ALL.into_iter().find(|kind| kind.extension() == extension)
    }

    /// The class that `file` names; `None` where it is an object without one.
    pub fn read(self, file: impl Read) -> Result<Option<String>> {
        let bytes = read_up_to(file, MAX_LABEL_BYTES).map_err(damaged)?.ok_or_else(|| {
            Error::data("a label is too long").expected(format!("at most {MAX_LABEL_BYTES} bytes")).got("more")
        })?;
        match self {
            LabelFile::Number => number(&bytes).map(Some),
            LabelFile::Json => json_label(&bytes),
            LabelFile::Text => name(&bytes).map(Some),
        }
    }
}

/// What of a sample's `.json` says its class. Other keys are passed over.
#[derive(Debug, Deserialize)]
struct JsonLabel {
    label: Option<Value>,
    cls: Option<Value>,
}

fn number(bytes: &[u8]) -> Result<String> {
    let text = String::from_utf8_lossy(bytes);
    let number = text.trim().parse::<u32>().map_err(|error| {
        let start: String = text.trim().chars().take(40).collect();
        Error::data("a label is no number").expected("a whole number from 0").got(format!("\"{start}\"")).because(error)
    })?;
    Ok(number.to_string())
}

fn json_label(bytes: &[u8]) -> Result<Option<String>> {
    let JsonLabel { label, cls } = serde_json::from_slice(bytes).map_err(|error| {
        Error::data("cannot read a label").expected(r#"an object as {"label": "cat"} or {"cls": 3}"#).because(error)
    })?;
    let class = label.or(cls).map(class_of).transpose()?;
    class.map(|class| name(class.as_bytes())).transpose()
}

fn name(bytes: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(bytes).map_err(|error| Error::data("a label is not UTF-8").because(error))?.trim();
    match text.is_empty() || text.contains(['\n', '\r']) {
        false => Ok(composed(text).into_owned()),
        true => Err(Error::data("a label names no class")
            .expected("a class's name on one line")
            .got(if text.is_empty() { "nothing" } else { "several lines" })),
    }
}
