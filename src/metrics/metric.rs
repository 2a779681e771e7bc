//! The list of metrics.

use std::fmt;

use strum::VariantArray;
use tch::{Kind, Tensor};

/// A metric of a classifier, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub enum Metric {
    /// Mean loss, in nats.
    Loss,
    /// Share of images whose most probable class is the label, 0 to 1.
    Accuracy,
    /// Share of images whose label is among the five most probable classes, 0 to 1.
    Top5Accuracy,
}

/// What is known of a metric.
pub struct Definition {
    /// Its name in files, flags and tags, that of its validation with `val_` before it: `top_5_accuracy`.
    pub name: &'static str,
    /// What people read: `top-5`.
    pub label: &'static str,
    /// The label on terminals of less than 100 columns; none where it is not shown there.
    pub short_label: Option<&'static str>,
    /// Which of two values is the better one.
    pub better: Direction,
    /// How progress shows a value: as wide for every usual value.
    pub format: fn(f64) -> String,
    /// The least number of classes for which it tells anything.
    pub min_classes: usize,
    /// Its sum over a batch's images, an `f64` scalar on the batch's device. Does not wait for the device.
    pub sum: fn(&BatchResult) -> Tensor,
}

/// Which of two values is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The lower one.
    Lower,
    /// The higher one.
    Higher,
}

/// What a model computed of a batch of B images, for the metrics.
pub struct BatchResult<'a> {
    /// The mean loss, a scalar.
    pub loss: &'a Tensor,
    /// The most probable classes, `i64 [B]`.
    pub classes: &'a Tensor,
    /// Computes numbers in the order of the probabilities, `f32 [B, K]`, where a metric asks for them.
    pub ranking: &'a dyn Fn() -> Tensor,
    /// The labels, `i64 [B]`.
    pub labels: &'a Tensor,
}

impl BatchResult<'_> {
    /// B.
    pub fn num_images(&self) -> i64 {
        self.labels.size()[0]
    }
}

impl Metric {
    /// How many metrics there are.
    pub const COUNT: usize = Metric::VARIANTS.len();

    /// All of them, in the order in which they are shown.
    pub fn all() -> impl Iterator<Item = Metric> {
        Metric::VARIANTS.iter().copied()
    }

    /// Those that tell something of a classifier of `num_classes` classes.
    pub fn of(num_classes: usize) -> impl Iterator<Item = Metric> {
        Metric::all().filter(move |metric| num_classes >= metric.definition().min_classes)
    }

    /// The metric of that name.
    pub fn named(name: &str) -> Option<Metric> {
        Metric::all().find(|metric| metric.name() == name)
    }

    /// Its name in files, flags and tags.
    pub const fn name(self) -> &'static str {
        self.definition().name
    }

    /// All that is known of it.
    pub const fn definition(self) -> Definition {
        match self {
            Metric::Loss => Definition {
                name: "loss",
                label: "loss",
                short_label: Some("loss"),
                better: Direction::Lower,
                format: six_wide,
                min_classes: 1,
                sum: |batch| batch.loss.detach().to_kind(Kind::Double) * batch.num_images() as f64,
            },
            Metric::Accuracy => Definition {
                name: "accuracy",
                label: "accuracy",
                short_label: Some("acc"),
                better: Direction::Higher,
                format: four_digits,
                min_classes: 1,
                sum: |batch| batch.classes.eq_tensor(batch.labels).sum(Kind::Double),
            },
            Metric::Top5Accuracy => Definition {
                name: "top_5_accuracy",
                label: "top-5",
                short_label: None,
                better: Direction::Higher,
                format: four_digits,
                min_classes: 6,
                sum: |batch| in_top_k(&(batch.ranking)(), batch.labels, 5).sum(Kind::Double),
            },
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether each image's label is among its `k` largest of `ranking`, `f32 [B, K]`, of which `k` is at most K: `bool [B]`. As
/// Keras's `in_top_k` (keras/src/backend/torch/math.py) has it, a label that is as large as the k-th is among them, NaN is
/// larger than any number, and a label's NaN is not among them.
pub fn in_top_k(ranking: &Tensor, labels: &Tensor, k: i64) -> Tensor {
    let of_label = ranking.gather(1, &labels.unsqueeze(1), false); // f32 [B, 1]
    let not_larger = ranking.le_tensor(&of_label).sum_dim_intlist(1, false, Kind::Int64); // i64 [B]
    not_larger.gt(ranking.size()[1] - k)
}

fn four_digits(share: f64) -> String {
    format!("{share:.4}")
}

/// A loss, 6 characters wide.
fn six_wide(value: f64) -> String {
    let digits = match value.abs() {
        size if size == 0.0 || (0.001..9.99995).contains(&size) => 4,
        size if (9.99995..99.9995).contains(&size) => 3,
        size if (99.9995..999.995).contains(&size) => 2,
        size if size.is_finite() => return format!("{:>6}", format!("{value:.1e}")),
        _ => 0,
    };
    format!("{value:>6.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_keep_their_width() {
        let losses = [
            (0.0, "0.0000"),
            (0.30123, "0.3012"),
            (9.99996, "10.000"),
            (12.34567, "12.346"),
            (999.999, " 1.0e3"),
            (4242.0, " 4.2e3"),
            (9e-5, "9.0e-5"),
            (f64::NAN, "   NaN"),
        ];
        for (loss, text) in losses {
            assert_eq!((Metric::Loss.definition().format)(loss), text);
        }
    }

    #[test]
    fn names_are_told_apart() {
        for metric in Metric::all() {
            assert_eq!(Metric::named(metric.name()), Some(metric));
            assert!(!metric.name().starts_with("val_"));
        }
        let names = |num_classes| Metric::of(num_classes).map(Metric::name).collect::<Vec<_>>();
        assert_eq!(names(5), ["loss", "accuracy"], "every label is among the first five of five");
        assert_eq!(names(6), ["loss", "accuracy", "top_5_accuracy"]);
    }

    #[derive(serde::Deserialize)]
    struct Case {
        k: i64,
        labels: Vec<i64>,
        /// Numbers by their bits: NaN and infinity too.
        predictions: Vec<Vec<u32>>,
        hits: Vec<bool>,
    }

    #[test]
    fn top_k_is_keras_s_with_ties_and_nan() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/fixtures/top_k.json")).unwrap();
        assert!(cases.len() > 10);
        for Case { k, labels, predictions, hits } in cases {
            let values: Vec<f32> = predictions.iter().flatten().map(|&bits| f32::from_bits(bits)).collect();
            let ranking = Tensor::from_slice(&values).reshape([labels.len() as i64, -1]);
            let found = in_top_k(&ranking, &Tensor::from_slice(&labels), k);
            let found = Vec::<bool>::try_from(found).unwrap();
            assert_eq!(found, hits, "k {k}, labels {labels:?}, {values:?}");
        }
    }
}
