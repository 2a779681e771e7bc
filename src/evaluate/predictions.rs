//! What a model says about each image of a data set, on the host.

use tch::{Kind, Tensor};

use crate::model::Outputs;

/// What a model says about each of N images of known class, in the data set's order. K is the number of classes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Predictions {
    /// K.
    pub num_classes: usize,
    /// The true class of each image, `[N]`.
    pub labels: Vec<usize>,
    /// The predicted class of each image, `[N]`: see [`Outputs::classes`].
    pub classes: Vec<usize>,
    /// The loss of each image without penalties, `[N]`, in nats.
    pub losses: Vec<f32>,
    /// The probability of each class, `[N, K]` row by row: see [`Outputs::probabilities`].
    pub probabilities: Vec<f32>,
    /// What a softmax makes those probabilities of, `[N, K]`; empty where the network ends in several sigmoids, whose
    /// probabilities are no distribution. See [`Outputs::logits`].
    pub logits: Vec<f32>,
}

impl Predictions {
    /// N.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The probabilities of image `index`, `[K]`.
    pub fn probabilities_of(&self, index: usize) -> &[f32] {
        &self.probabilities[index * self.num_classes..][..self.num_classes]
    }

    /// The probability of the predicted class of image `index`.
    pub fn confidence(&self, index: usize) -> f32 {
        self.probabilities_of(index)[self.classes[index]]
    }

    /// Whether the predicted class of image `index` is the true one.
    pub fn is_right(&self, index: usize) -> bool {
        self.classes[index] == self.labels[index]
    }

    /// `[K][K]`: images by true class (row) and predicted class (column).
    pub fn confusion(&self) -> Vec<Vec<u64>> {
        let mut counts = vec![vec![0; self.num_classes]; self.num_classes];
        for (&label, &class) in self.labels.iter().zip(&self.classes) {
            counts[label][class] += 1;
        }
        counts
    }

    /// The images that the model gets wrong, those that it is surest of first.
    pub fn mistakes(&self) -> Vec<usize> {
        let mut wrong: Vec<usize> = (0..self.len()).filter(|&index| !self.is_right(index)).collect();
        wrong.sort_by(|&a, &b| self.confidence(b).total_cmp(&self.confidence(a))); // stable
        wrong
    }
}

/// Keeps what a model says of each batch on the device, to bring it to the host at once: nothing waits in between.
#[derive(Default)]
pub(super) struct Collector {
    labels: Vec<Tensor>,
    classes: Vec<Tensor>,
    losses: Vec<Tensor>,
    probabilities: Vec<Tensor>,
    logits: Vec<Tensor>,
}

impl Collector {
    /// Adds a batch with its labels (`i64 [B]`) and losses (`f32 [B]`).
    pub fn add(&mut self, outputs: &Outputs, labels: &Tensor, losses: Tensor) {
        self.labels.push(labels.shallow_clone());
        self.classes.push(outputs.classes());
        self.losses.push(losses);
        self.probabilities.push(outputs.probabilities());
        self.logits.extend(outputs.logits());
    }

    /// Waits for the device.
    pub fn finish(self, num_classes: usize) -> Predictions {
        let whole = |values: Vec<i64>| values.into_iter().map(|value| value as usize).collect();
        Predictions {
            num_classes,
            labels: whole(joined(&self.labels, Kind::Int64)),
            classes: whole(joined(&self.classes, Kind::Int64)),
            losses: joined(&self.losses, Kind::Float),
            probabilities: joined(&self.probabilities, Kind::Float),
            logits: joined(&self.logits, Kind::Float),
        }
    }
}

/// The values of all `batches`, one after another.
fn joined<T: tch::kind::Element + Copy>(batches: &[Tensor], kind: Kind) -> Vec<T> {
    if batches.is_empty() {
        return Vec::new();
    }
    Vec::try_from(Tensor::cat(batches, 0).to_kind(kind).flatten(0, -1)).expect("a flat tensor of that kind")
}
