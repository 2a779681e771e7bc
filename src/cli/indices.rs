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
mod tests;
