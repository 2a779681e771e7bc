//! What a model's confidence is worth, measured on images that it was not trained on.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::metrics::wilson_interval;

/// A model keeps at most so many thresholds: between two, confidence is worth about the same.
const MAX_THRESHOLDS: usize = 64;

/// What a model's confidence is worth: the key `convnet.calibration` of its JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The images that it was measured on.
    pub images: u64,
    /// What logits are divided by, so that confidence is accuracy.
    pub temperature: f64,
    /// From the surest images to all: for each threshold its confidence, images above it and those of them that are right.
    #[serde(with = "text")]
    thresholds: Vec<Threshold>,
}

/// What happens where a model says nothing about images that it is not sure of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Threshold {
    /// The model speaks of images whose most probable class is more probable than this.
    pub confidence: f32,
    /// So many there are.
    pub kept: u64,
    /// So many of them are right.
    pub right: u64,
}

impl Threshold {
    /// The share of the images of which it speaks that is right.
    pub fn precision(self) -> f64 {
        self.right as f64 / self.kept as f64
    }

    /// Wilson's 95 % interval of the precision.
    pub fn interval(self) -> [f64; 2] {
        wilson_interval(self.right, self.kept)
    }
}

impl Calibration {
    /// Of a model whose logits are divided by `temperature`. `images`: how sure it is of each, and whether it is right.
    pub fn new(temperature: f64, mut images: Vec<(f32, bool)>) -> Self {
        images.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let mut thresholds = Vec::new();
        let (mut kept, mut right) = (0, 0);
        for equal in images.chunk_by(|(a, _), (b, _)| a == b) {
            let mistakes = equal.iter().filter(|(_, is_right)| !is_right).count();
            // between two mistakes, the lower threshold keeps more images and is right more often
            if mistakes > 0 && kept > 0 {
                thresholds.push(Threshold { confidence: equal[0].0, kept, right });
            }
            kept += equal.len() as u64;
            right += (equal.len() - mistakes) as u64;
        }
        thresholds.push(Threshold { confidence: 0.0, kept, right });
        Calibration { images: kept, temperature, thresholds: thinned(thresholds) }
    }

    /// The lowest threshold above which the model is right in at least `min_precision` of the cases: as the lower end of
    /// Wilson's 95 % interval says, so that it holds on other images, too.
    ///
    /// # Errors
    /// A configuration error where `min_precision` is no share, or where no threshold is known to reach it.
    pub fn threshold(&self, min_precision: f64) -> Result<Threshold> {
        if !(min_precision > 0.0 && min_precision < 1.0) {
            return Err(Error::config("the precision cannot be asked for")
                .expected("a number above 0 and below 1")
                .got(min_precision));
        }
        let reaches = |threshold: &&Threshold| threshold.interval()[0] >= min_precision;
        self.thresholds.iter().rev().find(reaches).copied().ok_or_else(|| {
            let lowest = |threshold: &Threshold| threshold.interval()[0];
            let best = self.thresholds.iter().map(lowest).fold(0.0, f64::max);
            Error::config("no confidence is known to be that often right")
                .expected(format!(
                    "at most {:.4}, which the {} validation images can show",
                    (best * 1e4).floor() / 1e4,
                    self.images
                ))
                .got(min_precision)
                .help("ask for less, or validate on more images")
        })
    }
}

/// At most [`MAX_THRESHOLDS`] of them, the first and the last among them.
fn thinned(thresholds: Vec<Threshold>) -> Vec<Threshold> {
    let last = thresholds.len() - 1;
    if last < MAX_THRESHOLDS {
        return thresholds;
    }
    let chosen = (0..MAX_THRESHOLDS).map(|number| number * last / (MAX_THRESHOLDS - 1));
    chosen.map(|index| thresholds[index]).collect()
}

/// The softmax of `logits / temperature`, `[K]`.
pub fn softmax(logits: &[f32], temperature: f64) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> =
        logits.iter().map(|&logit| ((f64::from(logit) - f64::from(largest)) / temperature).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| (weight / sum) as f32).collect()
}

/// Thresholds on one line, which a list of lists is not in JSON that people read: `0.998 812 810, 0.99 …`.
mod text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Threshold;

    pub fn serialize<S: Serializer>(thresholds: &[Threshold], serializer: S) -> Result<S::Ok, S::Error> {
        let words = thresholds.iter().map(|threshold| {
            let Threshold { confidence, kept, right } = threshold;
            format!("{confidence} {kept} {right}")
        });
        serializer.serialize_str(&words.collect::<Vec<_>>().join(", "))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Threshold>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let threshold = |words: &str| {
            let [confidence, kept, right] = words.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
            let read = Threshold {
                confidence: confidence.parse().ok().filter(|value| (0.0..=1.0).contains(value))?,
                kept: kept.parse().ok().filter(|&kept: &u64| kept > 0)?,
                right: right.parse().ok()?,
            };
            (read.right <= read.kept).then_some(read)
        };
        let read = text.split(',').map(|words| {
            threshold(words)
                .ok_or_else(|| D::Error::custom(format!("'{}' is no confidence with two counts", words.trim())))
        });
        read.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1,000 images of which the ten least sure are wrong, and one that is among the surest.
    fn calibration() -> Calibration {
        let images = (0..1000).map(|number| (number as f32 / 1000.0, number >= 10 && number != 990));
        Calibration::new(1.5, images.collect())
    }

    #[test]
    fn a_threshold_keeps_as_many_images_as_the_precision_allows() {
        let calibration = calibration();
        let all = calibration.threshold(0.97).unwrap();
        assert_eq!((all.confidence, all.kept, all.right), (0.0, 1000, 989));
        let sure = calibration.threshold(0.992).unwrap();
        // one image more, and it could not be told
        assert!(sure.interval()[0] >= 0.992 && wilson_interval(sure.right, sure.kept + 1)[0] < 0.992, "{sure:?}");
        assert_eq!(sure.right, 989);
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        let error = calibration().threshold(0.9999).unwrap_err().to_string();
        assert!(error.contains("0.9943") && error.contains("1000 validation images"), "{error}");
        for wrong in [0.0, 1.0, -1.0, f64::NAN] {
            assert!(calibration().threshold(wrong).is_err());
        }
    }

    #[test]
    fn it_is_the_same_after_it_was_written() {
        let text = serde_json::to_string(&calibration()).unwrap();
        assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), calibration());
        for lie in ["0.5 3", "0.5 3 4", "2 3 3", "NaN 3 3", "0.5 0 0", "0.5 -1 0", ""] {
            let text = format!("{{\"images\":1,\"temperature\":1,\"thresholds\":\"{lie}\"}}");
            assert!(serde_json::from_str::<Calibration>(&text).is_err(), "{lie}");
        }
    }

    #[test]
    fn many_mistakes_take_little_room() {
        let images = (0..50_000).map(|number| (number as f32 / 50_000.0, number % 7 != 0));
        let calibration = Calibration::new(1.0, images.collect());
        assert_eq!(calibration.thresholds.len(), MAX_THRESHOLDS);
        assert_eq!(calibration.thresholds.last().unwrap().kept, 50_000);
    }
}
