//! Checks of settings' values. A part of the program owns its settings: a struct with its defaults and a `check`, whose fields
//! are the keys of configuration files; [`crate::config::RunConfig`] is all of them together.

use std::fmt::Display;

use crate::error::{Error, Result};

/// The words for an optional setting that nobody gave: its key, and what the run does without it.
pub type Absent = (&'static str, &'static str);

/// The error for a value of `key` that cannot be used.
///
/// # Errors
/// Always: a configuration error.
pub fn wrong(key: &str, expected: impl Display, got: impl Display) -> Result<()> {
    Err(Error::config(format!("`{key}` cannot be used")).expected(expected).got(got))
}

/// Refuses 0.
///
/// # Errors
/// A configuration error for 0.
pub fn at_least_1(key: &str, value: Option<u64>) -> Result<()> {
    if value == Some(0) { wrong(key, "at least 1", 0) } else { Ok(()) }
}

/// Refuses numbers that are not above 0.
///
/// # Errors
/// A configuration error for the first of them.
pub fn above_0(values: &[(&str, Option<f64>)]) -> Result<()> {
    all_within(values, "a number above 0", |value| value > 0.0)
}

/// Refuses numbers below 0.
///
/// # Errors
/// A configuration error for the first of them.
pub fn at_least_0(values: &[(&str, Option<f64>)]) -> Result<()> {
    all_within(values, "0 or more", |value| value >= 0.0)
}

/// Refuses numbers that are no share of a whole: 0 to below 1.
///
/// # Errors
/// A configuration error for the first of them.
pub fn from_0_to_below_1(values: &[(&str, Option<f64>)]) -> Result<()> {
    all_within(values, "0 to below 1", |value| (0.0..1.0).contains(&value))
}

fn all_within(values: &[(&str, Option<f64>)], expected: &str, holds: impl Fn(f64) -> bool) -> Result<()> {
    match values.iter().find(|(_, value)| value.is_some_and(|value| !(holds(value) && value.is_finite()))) {
        Some((key, value)) => wrong(key, expected, value.unwrap_or(f64::NAN)),
        None => Ok(()),
    }
}
