//! A number for each metric.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use super::metric::Metric;

/// A number for each metric that is known of some images: means, or sums. Files have it as a map from names to numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scores([Option<f64>; Metric::COUNT]);

impl Scores {
    /// These two and no other.
    pub fn new(loss: f64, accuracy: f64) -> Self {
        [(Metric::Loss, loss), (Metric::Accuracy, accuracy)].into_iter().collect()
    }

    /// That of `metric`; none where it is not known: a run that an older version began, or too few classes.
    pub fn get(self, metric: Metric) -> Option<f64> {
        self.0[metric as usize]
    }

    /// The mean loss, in nats; NaN where it is not known.
    pub fn loss(self) -> f64 {
        self.get(Metric::Loss).unwrap_or(f64::NAN)
    }

    /// The share of images whose most probable class is the label, 0 to 1; NaN where it is not known.
    pub fn accuracy(self) -> f64 {
        self.get(Metric::Accuracy).unwrap_or(f64::NAN)
    }

    /// Those that are known, in the order of [`Metric::all`].
    pub fn iter(self) -> impl Iterator<Item = (Metric, f64)> {
        Metric::all().filter_map(move |metric| Some((metric, self.get(metric)?)))
    }

    /// Sets that of `metric`.
    pub fn set(&mut self, metric: Metric, value: f64) {
        self.0[metric as usize] = Some(value);
    }

    /// Each of them changed by `change`.
    pub fn map(self, change: impl Fn(f64) -> f64) -> Self {
        self.iter().map(|(metric, value)| (metric, change(value))).collect()
    }

    /// Without those that are not finite.
    pub fn finite(self) -> Self {
        self.iter().filter(|(_, value)| value.is_finite()).collect()
    }

    /// Whether none is known.
    pub fn is_empty(self) -> bool {
        self == Scores::default()
    }
}

impl FromIterator<(Metric, f64)> for Scores {
    fn from_iter<I: IntoIterator<Item = (Metric, f64)>>(pairs: I) -> Self {
        let mut scores = Scores::default();
        for (metric, value) in pairs {
            scores.set(metric, value);
        }
        scores
    }
}

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(metric, value)| (metric.name(), value)))
    }
}

impl<'de> Deserialize<'de> for Scores {
    /// A null, JSON's word for a number that is not finite, is no number.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
        let with_metric = |(name, value): (String, Option<f64>)| match Metric::named(&name) {
            Some(metric) => Ok(value.map(|value| (metric, value))),
            None => Err(D::Error::custom(format!("there is no metric '{name}'"))),
        };
        named.into_iter().filter_map(|pair| with_metric(pair).transpose()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_the_known_ones_by_their_names() {
        let scores: Scores = [(Metric::Top5Accuracy, 1.0), (Metric::Loss, 1.0 / 3.0)].into_iter().collect();
        let text = serde_json::to_string(&scores).unwrap();
        assert_eq!(text, r#"{"loss":0.3333333333333333,"top_5_accuracy":1.0}"#);
        assert_eq!(serde_json::from_str::<Scores>(&text).unwrap(), scores);
        assert_eq!(serde_json::from_str::<Scores>(r#"{"loss":null,"accuracy":0.5}"#).unwrap().iter().count(), 1);
        let error = serde_json::from_str::<Scores>(r#"{"los":1}"#).unwrap_err().to_string();
        assert!(error.contains("there is no metric 'los'"), "{error}");
    }
}
