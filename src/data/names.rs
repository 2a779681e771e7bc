//! Names of classes, files and folders: one spelling of each, and how messages show them.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// How many names a message lists.
const MAX_LISTED: usize = 8;

/// `name` in Unicode's composed form (NFC): macOS's file systems write an é as an e and an accent (NFD), where most keyboards
/// and programs write one letter. Both are one name.
pub fn composed(name: &str) -> Cow<'_, str> {
    match is_nfc(name) {
        true => Cow::Borrowed(name),
        false => Cow::Owned(name.nfc().collect()),
    }
}

/// The names in quotes with commas between; of many the first ones and how many more there are; `none` where there is none.
pub fn quoted<S: AsRef<str>>(names: &[S]) -> String {
    let mut listed: Vec<String> = names.iter().take(MAX_LISTED).map(|name| format!("\"{}\"", name.as_ref())).collect();
    if names.len() > MAX_LISTED {
        listed.push(format!("{} more", names.len() - MAX_LISTED));
    }
    if listed.is_empty() { "none".to_owned() } else { listed.join(", ") }
}

/// Whether the names are 0, 1, 2 and so on, in this order: numbers in place of names.
pub fn are_numbers<S: AsRef<str>>(names: &[S]) -> bool {
    names.iter().enumerate().all(|(number, name)| name.as_ref() == number.to_string())
}

#[cfg(test)]
mod tests;
