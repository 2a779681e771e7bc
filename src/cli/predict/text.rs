//! What `predict` says to people: predictions, and what is odd about images.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::cli::{Globals, output};
use convnet::metrics::wilson_interval;
use convnet::model::Threshold;
use convnet::model::training_look::Unlike;
use convnet::predict::{Prediction, Predictor, Record};

/// Characters of a bar that stands for probability 1.
const BAR_WIDTH: f32 = 20.0;

/// Says how many images are unlike those that the model was trained on, and how.
pub fn warn_of_unlike(records: &[Record], globals: Globals) {
    let unlike = records.iter().filter(|record| !record.prediction.unlike.is_empty());
    let mut counts: BTreeMap<Unlike, usize> = BTreeMap::new();
    unlike.clone().flat_map(|record| &record.prediction.unlike).for_each(|kind| *counts.entry(*kind).or_default() += 1);
    let kinds: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let text = match (records, unlike.count()) {
        (_, 0) => return,
        ([record], _) => {
            format!(
                "{} is unlike the images that the model was trained on: {}",
                record.origin, record.prediction.unlike[0]
            )
        }
        (all, count) => {
            format!(
                "{count} of {} images are unlike those that the model was trained on: {}",
                all.len(),
                kinds.join(", ")
            )
        }
    };
    output::note(globals, &format!("warning: {text}"));
}

/// What is suspicious about numbers that a network gets as they are, which was trained on pixels times `scale`.
pub fn scale_warning(values: &[f32], scale: f64) -> Option<String> {
    /// Above it, scaled pixels are no longer called 0 to 1.
    const ONE: f64 = 1.001;
    let (low, high) =
        values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
    let largest = 255.0 * scale;
    let range = format!("the values are from {low} to {high}, but the model was trained on values from 0 to {largest}");
    match f64::from(high) {
        high if largest <= ONE && high > ONE => {
            Some(format!("{range}: divide the array by {}, or save pixels as uint8", (1.0 / scale).round()))
        }
        high if largest > ONE && high <= ONE => {
            Some(format!("{range}: multiply the array by {largest}, or save pixels as uint8"))
        }
        _ => None,
    }
}

/// The predictions for people: all probabilities of a single image, a line for each of several.
pub fn describe(records: &[Record], labels: &[String]) -> String {
    match records {
        [record] => describe_one(record, labels),
        _ => records.iter().map(describe_line).collect(),
    }
}

/// What abstaining comes to: on the validation images, and here.
pub fn describe_threshold(threshold: Threshold, predictor: &Predictor, records: &[Record]) -> String {
    let images = predictor.info().calibration.as_ref().map_or(0, |calibration| calibration.images);
    let [low, high] = threshold.interval();
    let named: Vec<&Record> = records.iter().filter(|record| record.label.is_some()).collect();
    let mut text = format!(
        "note: names a class above a probability of {:.4}: on {images} validation images that was {:.1} % of them, {:.2} % of \
         those right (95 % interval {:.2} to {:.2} %); here {} of {}",
        threshold.confidence,
        100.0 * threshold.kept as f64 / images.max(1) as f64,
        100.0 * threshold.precision(),
        100.0 * low,
        100.0 * high,
        named.len(),
        records.len(),
    );
    let known: Vec<_> =
        named.iter().filter_map(|record| record.expected.map(|class| class == record.prediction.class)).collect();
    if !known.is_empty() {
        let right = known.iter().filter(|is_right| **is_right).count();
        let [low, high] = wilson_interval(right as u64, known.len() as u64).map(|share| 100.0 * share);
        write!(
            text,
            ", {right} of them right ({:.2} %, {low:.2} to {high:.2} %)",
            100.0 * right as f64 / known.len() as f64
        )
        .expect("a string takes all text");
    }
    text
}

fn describe_one(record: &Record, labels: &[String]) -> String {
    let Prediction { class, label, probability, probabilities, .. } = &record.prediction;
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let mut text = format!("{}\n", record.origin);
    for (number, (label, probability)) in labels.iter().zip(probabilities).enumerate() {
        let bar = "█".repeat((probability * BAR_WIDTH).round() as usize);
        let line = format!("{number:>4}  {label:<width$}  {probability:.6}  {bar}");
        text += line.trim_end();
        text += "\n";
    }
    let said = if record.label.is_some() { "" } else { ": not sure enough to say so" };
    text += &format!("argmax {class} ({label}), probability {probability:.4}{said}\n");
    if let Some(expected) = record.expected {
        let name = labels.get(expected).map_or("?", String::as_str);
        text += &format!("true label {expected} ({name}){}\n", verdict(record));
    }
    text
}

/// Whether the model is right; nothing where it does not say anything.
fn verdict(record: &Record) -> &'static str {
    match (&record.label, record.expected == Some(record.prediction.class)) {
        (None, _) => "",
        (Some(_), true) => ": right",
        (Some(_), false) => ": wrong",
    }
}

fn describe_line(record: &Record) -> String {
    let Prediction { class, label, probability, .. } = &record.prediction;
    let mut line = match record.label {
        Some(_) => format!("{}: {class} ({label}) {probability:.4}", record.origin),
        None => format!("{}: not sure", record.origin),
    };
    let top: Vec<String> =
        record.top.iter().map(|candidate| format!("{} {:.4}", candidate.label, candidate.probability)).collect();
    write!(line, "  [{}]", top.join(", ")).expect("a string takes all text");
    if let Some(expected) = record.expected {
        write!(line, "  true {expected}{}", verdict(record)).expect("a string takes all text");
    }
    line + "\n"
}

#[cfg(test)]
mod tests;
