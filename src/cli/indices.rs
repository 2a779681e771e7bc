//! Which images of a split: `all`, or numbers and ranges.

use std::ops::RangeInclusive;
use std::str::FromStr;

use convnet::error::{Error, Result};

/// Images' numbers, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Indices {
    /// All of them.
    All,
    /// These, in this order; each end of a range is in it.
    Some(Vec<RangeInclusive<usize>>),
}

impl FromStr for Indices {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Indices::All);
        }
        let number = |text: &str| text.trim().parse::<usize>().ok();
        let range = |part: &str| match part.split_once('-') {
            Some((first, last)) => Some(number(first)?..=number(last)?).filter(|range| !range.is_empty()),
            None => number(part).map(|number| number..=number),
        };
        let ranges = text.split(',').map(|part| range(part).ok_or_else(|| wrong(part)));
        Ok(Indices::Some(ranges.collect::<Result<_, String>>()?))
    }
}

fn wrong(part: &str) -> String {
    let hint = match part.contains("..") || part.contains(':') {
        true => "; a range is written 7-9, both ends included",
        false => "",
    };
    format!("expected all, or numbers from 0 and ranges as 1,5,7-9, got '{part}'{hint}")
}

impl Indices {
    /// The indices selected out of `count` images.
    ///
    /// # Errors
    /// A data error for one past the end.
    pub fn of(&self, count: usize) -> Result<Vec<usize>> {
        let ranges = match self {
            Indices::All => return Ok((0..count).collect()),
            Indices::Some(ranges) => ranges,
        };
        match ranges.iter().map(|range| *range.end()).find(|&last| last >= count) {
            None => Ok(ranges.iter().cloned().flatten().collect()),
            Some(last) => Err(Error::data("there is no such image in the split")
                .expected(format!("an index from 0 to {}", count - 1))
                .got(last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges_are_read() {
        let of = |text: &str| text.parse::<Indices>().unwrap().of(10).unwrap();
        assert_eq!(of("all"), (0..10).collect::<Vec<_>>());
        assert_eq!(of("5"), [5]);
        assert_eq!(of("1,5,7-9,0"), [1, 5, 7, 8, 9, 0]);
        assert_eq!(of("3-3"), [3]);
        let error = "8-10".parse::<Indices>().unwrap().of(10).unwrap_err();
        assert!(error.exit_code() == 3 && error.to_string().contains("0 to 9, got 10"), "{error}");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in ["", "a", "-1", "9-7", "1,", "1-", "1-2-3", "0-18446744073709551616"] {
            assert!(text.parse::<Indices>().is_err(), "{text}");
        }
        for text in ["0..9", "0:9"] {
            assert!(text.parse::<Indices>().unwrap_err().contains("both ends included"), "{text}");
        }
    }
}
