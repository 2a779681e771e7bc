//! Where the validation images come from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// Where the validation images come from. Written as text: `auto`, `5000`, `0.1`, `test`, `none`, or `2/5`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Validation {
    /// The data set's own validation images; where it has none, 5000 training images, or a tenth of
    /// them where there are fewer than 10,000.
    #[default]
    Auto,
    /// So many training images, at least one.
    Count(usize),
    /// This part of the training images, between 0 and 1, both excluded.
    Fraction(f64),
    /// The test images.
    Test,
    /// There are none.
    None,
    /// One of several parts of the training images, for cross-validation.
    Fold {
        /// Which part, from 1.
        number: usize,
        /// How many parts there are, at least 2.
        of: usize,
    },
}

impl FromStr for Validation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || {
            Error::config("no way to choose validation images")
                .expected("a count (5000), a fraction between 0 and 1 (0.1), test, none or auto")
                .got(format!("\"{text}\""))
        };
        match text {
            "auto" => return Ok(Validation::Auto),
            "test" => return Ok(Validation::Test),
            "none" => return Ok(Validation::None),
            _ => {}
        }
        if let Some((number, of)) = text.split_once('/') {
            let part = number.parse().ok().zip(of.parse().ok());
            let part = part.filter(|&(number, of)| of >= 2 && (1..=of).contains(&number));
            let (number, of) = part.ok_or_else(|| refuse().help("the second of five parts is 2/5"))?;
            return Ok(Validation::Fold { number, of });
        }
        match text.parse() {
            Ok(0) => return Err(refuse().help("for no validation, write none")),
            Ok(count) => return Ok(Validation::Count(count)),
            Err(_) => {}
        }
        let fraction = text.parse().ok().filter(|fraction: &f64| *fraction > 0.0 && *fraction < 1.0);
        fraction.map(Validation::Fraction).ok_or_else(refuse)
    }
}

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Validation::Auto => f.write_str("auto"),
            Validation::Count(count) => write!(f, "{count}"),
            Validation::Fraction(fraction) => write!(f, "{fraction}"),
            Validation::Test => f.write_str("test"),
            Validation::None => f.write_str("none"),
            Validation::Fold { number, of } => write!(f, "{number}/{of}"),
        }
    }
}

impl Serialize for Validation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Validation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A configuration file may leave a number's quotes away.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Count(i64),
            Fraction(f64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Count(count) => count.to_string(),
            // with its point, or 1.0 would become a count
            Written::Fraction(fraction) => format!("{fraction:?}"),
            Written::Text(text) => text,
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
