//! The checksum that a saved model's JSON carries of itself, under `convnet.json_sha256`: the SHA-256 of the file's text with
//! zeros in place of the checksum's digits. It is of the text and not of what the text means, so that no changed bit is missed: not
//! one in a blank, in the case of an exponent's `e`, or in a key that comes twice.

use serde_json::Value;

use super::checksum::sha256;
use crate::error::{Error, Result};

/// The key, in the object `convnet`.
const KEY: &str = "json_sha256";
/// What stands for the digits while they are computed.
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// The version of the key `convnet` whose JSON has a checksum; of later ones only its reader knows.
const SEALED_VERSION: u64 = 2;

/// The text of a saved model's JSON, with its checksum where its version has one.
pub(super) fn to_text(mut document: Value) -> String {
    let is_sealed = version(&document) == Some(SEALED_VERSION);
    let text = |document: &Value| serde_json::to_string_pretty(document).expect("a JSON value is printable") + "\n";
    if !is_sealed {
        return text(&document);
    }
    if let Some(key) = document["convnet"].as_object_mut() {
        key.shift_remove(KEY); // it comes last
    }
    document["convnet"][KEY] = ZEROS.into();
    let text = text(&document);
    text.replacen(&pair(ZEROS), &pair(&sha256(text.as_bytes())), 1)
}

/// Checks the checksum in `text`, which says `document`: the checksum, or none where nothing has to be there: in Keras's JSON, and
/// in that of models which older versions saved.
///
/// # Errors
/// A model error where the text is not that which was saved.
pub(super) fn check<'a>(text: &str, document: &'a Value) -> Result<Option<&'a str>> {
    let stored = document.get("convnet").and_then(|key| key.get(KEY));
    let stored = match stored {
        None if version(document) == Some(SEALED_VERSION) => {
            return Err(changed().expected(format!("its checksum, convnet.{KEY}")).got("none"));
        }
        None => return Ok(None),
        Some(stored) => stored.as_str().filter(|digits| digits.len() == ZEROS.len()),
    };
    let stored = stored.ok_or_else(|| changed().expected(format!("64 digits at convnet.{KEY}")))?;
    // within a string the quotes are escaped: this is no label
    if text.matches(&pair(stored)).count() != 1 {
        return Err(changed().expected(format!("convnet.{KEY} once, as it is written by convnet")));
    }
    let actual = sha256(text.replacen(&pair(stored), &pair(ZEROS), 1).as_bytes());
    match actual == stored {
        true => Ok(Some(stored)),
        false => Err(changed().expected(format!("SHA-256 {stored}")).got(actual)),
    }
}

fn version(document: &Value) -> Option<u64> {
    document.get("convnet")?.get("version")?.as_u64()
}

/// The key with its digits, as [`to_text`] prints them.
fn pair(digits: &str) -> String {
    format!("\"{KEY}\": \"{digits}\"")
}

fn changed() -> Error {
    Error::model("the model's JSON is not as it was saved")
        .help("copy it again; or, where you changed it on purpose, accept it: convnet verify MODEL --seal")
}

#[cfg(test)]
mod tests;
