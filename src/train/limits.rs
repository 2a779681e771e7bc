//! How long and how often, as users write it: `10m`, `500`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A time, written as a number and its unit: `90s`, `10m`, `1.5h`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    /// In seconds, above 0.
    pub seconds: f64,
}

impl FromStr for Span {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let units = [("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        let parsed = units.iter().find_map(|(unit, seconds)| {
            let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
            Some(number * seconds).filter(|seconds| *seconds > 0.0 && seconds.is_finite())
        });
        let wrong = || Error::config("no time").expected("a number and s, m or h: 10m").got(format!("'{text}'"));
        parsed.map(|seconds| Span { seconds }).ok_or_else(wrong)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seconds {
            seconds if seconds % 3600.0 == 0.0 => write!(f, "{}h", seconds / 3600.0),
            seconds if seconds % 60.0 == 0.0 => write!(f, "{}m", seconds / 60.0),
            seconds => write!(f, "{seconds}s"),
        }
    }
}

impl TryFrom<String> for Span {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

/// How often a checkpoint is saved within an epoch, written as a number of batches, `500`, or a time, `5m`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "LimitValue", into = "String")]
pub enum SaveEvery {
    /// After so many batches, counted over the run.
    Batches(u64),
    /// After so much time.
    Time(Span),
}

/// A configuration file may leave a number's quotes away.
#[derive(Deserialize)]
#[serde(untagged)]
enum LimitValue {
    Number(u64),
    Text(String),
}

impl FromStr for SaveEvery {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse::<u64>() {
            Ok(0) => Err(Error::config("no checkpoint interval").expected("at least 1 batch").got("0")),
            Ok(batches) => Ok(SaveEvery::Batches(batches)),
            Err(_) => text.parse().map(SaveEvery::Time).map_err(|_| {
                let expected = "a number of batches (500) or a time (5m)";
                Error::config("no checkpoint interval").expected(expected).got(format!("'{text}'"))
            }),
        }
    }
}

impl fmt::Display for SaveEvery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SaveEvery::Batches(batches) => write!(f, "{batches}"),
            SaveEvery::Time(span) => write!(f, "{span}"),
        }
    }
}

impl TryFrom<LimitValue> for SaveEvery {
    type Error = Error;

    fn try_from(written: LimitValue) -> Result<Self> {
        match written {
            LimitValue::Number(number) => number.to_string().parse(),
            LimitValue::Text(text) => text.parse(),
        }
    }
}

impl From<SaveEvery> for String {
    fn from(every: SaveEvery) -> Self {
        every.to_string()
    }
}

#[cfg(test)]
mod tests;
