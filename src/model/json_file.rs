//! JSON files from outside, in the encodings in which Python programs and Windows' tools leave them.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::{foreign, seal};
use crate::error::{Error, Result};

/// The longest JSON that is read, in bytes.
pub(crate) const MAX_JSON_BYTES: u64 = 64 << 20;

/// Reads a JSON file of bounded size, in any form that `parse_json` knows. That of a saved model has to be as it was saved.
///
/// # Errors
/// A model error where it cannot be read or is not JSON: then it says what the file is, where that is known; and where it is a saved
/// model's and was changed since.
pub fn read_json(path: &Path) -> Result<Value> {
    let (bytes, document) = read_unchecked(path)?;
    check_seal(&bytes, &document).map_err(|error| error.at_path(path))?;
    Ok(document)
}

/// The checksum of a saved model's JSON, which `bytes` are and `document` says; none where it has none to have.
///
/// # Errors
/// A model error where it is not as it was saved.
pub(crate) fn check_seal<'a>(bytes: &[u8], document: &'a Value) -> Result<Option<&'a str>> {
    seal::check(&text_of(bytes).unwrap_or_default(), document)
}

/// As [`read_json`], of a file that may have been changed; its bytes, too.
///
/// # Errors
/// A model error where it cannot be read or is not JSON.
pub(crate) fn read_unchecked(path: &Path) -> Result<(Vec<u8>, Value)> {
    if path.is_dir() {
        return Err(foreign::folder(path).at_path(path));
    }
    let bytes = read_bounded(path, MAX_JSON_BYTES).map_err(|error| error.at_path(path))?;
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let document = parse_json(&bytes).map_err(|error| {
        let unknown = || {
            let not_json = Error::model("the model's architecture is not JSON").at(error);
            not_json.help("save the model again")
        };
        foreign::file(&name, &bytes).unwrap_or_else(unknown).at_path(path)
    })?;
    Ok((bytes, document))
}

/// JSON as [`text_of`] it. A document that is one string is what is in it: `json.dump(model.to_json(), file)` encodes twice.
///
/// # Errors
/// Where it is no JSON.
pub(crate) fn parse_json(bytes: &[u8]) -> serde_json::Result<Value> {
    let value: Value = match text_of(bytes) {
        Some(text) => serde_json::from_str(&text)?,
        None => serde_json::from_slice(bytes)?, // says where it is no UTF-8
    };
    match &value {
        Value::String(text) => serde_json::from_str(text),
        _ => Ok(value),
    }
}

/// Text in UTF-8, with a byte order mark or without, or in UTF-16 behind one, as Windows' tools write it. `None` where it
/// is neither.
pub(crate) fn text_of(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
        String::from_utf16(&units).ok().filter(|_| rest.is_empty()).map(Cow::Owned)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => str::from_utf8(rest).ok().map(Cow::Borrowed),
        _ => str::from_utf8(bytes).ok().map(Cow::Borrowed),
    }
}

/// The bytes of a file of at most `max_bytes`.
///
/// # Errors
/// A model error where it cannot be read or is longer.
pub(crate) fn read_bounded(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let unreadable = |error| Error::model("cannot read the file").because(error);
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    match bytes.len() as u64 > max_bytes {
        true => Err(Error::model("the file is too long").expected(format!("at most {max_bytes} bytes"))),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests;
