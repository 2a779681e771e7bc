//! Compares the histories and final weights of two runs, bit for bit.

use serde_json::{Value, json};

use super::folder::RunFolder;
use crate::error::Result;
use crate::log::history::HistoryRow;

/// The first number in which one run differs from another.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Difference {
    /// The epoch, from 1; none for the final weights.
    pub epoch: Option<u64>,
    /// Which number: a column of `history.csv`, or the weights.
    pub number: String,
    /// What the first run came to.
    pub before: Value,
    /// What the second run came to.
    pub now: Value,
}

/// The first number in which run `b` differs from run `a`, times left aside; none where they are the same to the last bit, as
/// far as `a` went.
///
/// # Errors
/// A configuration error where a history cannot be read.
pub fn compare(a: &RunFolder, b: &RunFolder) -> Result<Option<Difference>> {
    let [before, now] = [without_times(a.history()?), without_times(b.history()?)];
    Ok(first_difference(&before, &now).or_else(|| weights_differ(a, b)))
}

/// The rows with no times in them.
pub(super) fn without_times(rows: Vec<HistoryRow>) -> Vec<HistoryRow> {
    rows.into_iter().map(|row| HistoryRow { seconds: 0.0, images_per_second: 0.0, ..row }).collect()
}

fn first_difference(before: &[HistoryRow], now: &[HistoryRow]) -> Option<Difference> {
    for (index, before) in before.iter().enumerate() {
        let epoch = Some(before.epoch);
        let Some(now) = now.get(index) else {
            return Some(Difference { epoch, number: "epoch".into(), before: json!(before.epoch), now: Value::Null });
        };
        let [before, now] = [json!(before), json!(now)];
        let numbers = before.as_object().into_iter().flatten();
        if let Some((number, before)) = numbers.into_iter().find(|(number, value)| now.get(*number) != Some(*value)) {
            let (number, before, now) = (number.clone(), before.clone(), now[number].clone());
            return Some(Difference { epoch, number, before, now });
        }
    }
    None
}

fn weights_differ(a: &RunFolder, b: &RunFolder) -> Option<Difference> {
    let sha256 = |folder: &RunFolder| folder.result()?.weights_sha256.clone();
    let (before, now) = (sha256(a)?, sha256(b)?);
    let is_another = before != now;
    is_another.then(|| Difference {
        epoch: None,
        number: "weights' SHA-256".into(),
        before: before.into(),
        now: now.into(),
    })
}

#[cfg(test)]
mod tests;
