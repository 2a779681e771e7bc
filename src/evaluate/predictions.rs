//! What a model says about each image of a data set, on the host.

use tch::{Kind, Tensor};

use crate::distributed::Group;
use crate::error::Result;
use crate::model::Outputs;
use crate::native::Reduction;

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

    /// Whether they have probabilities: not where they were read from a file that has none ([`super::stored`]).
    pub fn has_probabilities(&self) -> bool {
        !self.probabilities.is_empty()
    }

    /// The probabilities of image `index`, `[K]`; only where there are any.
    pub fn probabilities_of(&self, index: usize) -> &[f32] {
        &self.probabilities[index * self.num_classes..][..self.num_classes]
    }

    /// The logits of image `index`, `[K]`. There are none where the network ends in several sigmoids.
    pub fn logits_of(&self, index: usize) -> &[f32] {
        &self.logits[index * self.num_classes..][..self.num_classes]
    }

    /// Each image's probability of `class`, and whether that is its label; nothing where there are no probabilities.
    pub fn scores_of(&self, class: usize) -> impl Iterator<Item = (f32, bool)> {
        let images = if self.has_probabilities() { self.len() } else { 0 };
        (0..images).map(move |index| (self.probabilities_of(index)[class], self.labels[index] == class))
    }

    /// The probability of the predicted class of image `index`; only where there are probabilities.
    pub fn confidence(&self, index: usize) -> f32 {
        self.probabilities_of(index)[self.classes[index]]
    }

    /// Whether the predicted class of image `index` is the true one.
    pub fn is_right(&self, index: usize) -> bool {
        self.classes[index] == self.labels[index]
    }

    /// `[K][K]`: images by true class (row) and predicted class (column).
    pub fn confusion(&self) -> Vec<Vec<u64>> {
        let mut confusion = vec![vec![0; self.num_classes]; self.num_classes];
        self.labels.iter().zip(&self.classes).for_each(|(&label, &class)| confusion[label][class] += 1);
        confusion
    }

    /// The images that the model gets right.
    pub fn num_right(&self) -> u64 {
        (0..self.len()).filter(|&index| self.is_right(index)).count() as u64
    }

    /// The mean loss without penalties, in nats; NaN where there are no images.
    pub fn mean_loss(&self) -> f64 {
        self.losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / self.len() as f64
    }

    /// The images that the model gets wrong, those that it is surest of first.
    pub fn mistakes(&self) -> Vec<usize> {
        let mut wrong: Vec<usize> = (0..self.len()).filter(|&index| !self.is_right(index)).collect();
        if self.has_probabilities() {
            wrong.sort_by(|&a, &b| self.confidence(b).total_cmp(&self.confidence(a))); // stable
        }
        wrong
    }
}

/// Keeps what a model says of each batch on the device, to bring it to the host at once: nothing waits in between. The room for all
/// images is taken at once: small tensors that live on between the activations of the batches would have the heap grow.
pub(super) struct Collector {
    num_images: i64,
    /// How many images there are so far.
    filled: i64,
    /// Made with the first batch.
    room: Option<Room>,
}

/// Room for all N images on the device.
struct Room {
    /// `i64 [N]`.
    labels: Tensor,
    /// `i64 [N]`.
    classes: Tensor,
    /// `f32 [N]`.
    losses: Tensor,
    /// `f32 [N, K]`.
    probabilities: Tensor,
    /// `f32 [N, K]`.
    logits: Option<Tensor>,
}

impl Collector {
    /// For `num_images` images, of which the first batch begins with number `first`.
    pub fn new(num_images: usize, first: usize) -> Self {
        Collector { num_images: num_images as i64, filled: first as i64, room: None }
    }

    /// Adds a batch with its labels (`i64 [B]`) and losses (`f32 [B]`).
    pub fn add(&mut self, outputs: &Outputs, labels: &Tensor, losses: &Tensor) {
        self.make_room(outputs);
        let Some(room) = &self.room else { return };
        let (probabilities, logits) = (outputs.probabilities(), outputs.logits()); // f32 [B, K]
        let keep = |all: &Tensor, of_batch: &Tensor| all.narrow(0, self.filled, labels.size()[0]).copy_(of_batch);
        keep(&room.labels, labels);
        keep(&room.classes, &outputs.classes());
        keep(&room.losses, losses);
        keep(&room.probabilities, &probabilities);
        room.logits.iter().zip(&logits).for_each(|(all, of_batch)| keep(all, of_batch));
        self.filled += labels.size()[0];
    }

    /// Takes the room for all images, of which a batch gives such `outputs`: zeros.
    pub fn make_room(&mut self, outputs: &Outputs) {
        if self.room.is_some() {
            return;
        }
        let (probabilities, logits) = (outputs.probabilities(), outputs.logits()); // f32 [B, K]
        let (images, classes) = (self.num_images, probabilities.size()[1]);
        let zeros = |shape: &[i64], kind| Tensor::zeros(shape, (kind, probabilities.device()));
        self.room = Some(Room {
            labels: zeros(&[images], Kind::Int64),
            classes: zeros(&[images], Kind::Int64),
            losses: zeros(&[images], Kind::Float),
            probabilities: zeros(&[images, classes], Kind::Float),
            logits: logits.as_ref().map(|_| zeros(&[images, classes], Kind::Float)),
        });
    }

    /// Puts together what the processes of `group` have collected, each its own images: sums with zeros.
    pub fn share(&mut self, group: &Group) -> Result<()> {
        let Some(room) = self.room.as_mut().filter(|_| !group.is_alone()) else { return Ok(()) };
        let all = [&mut room.labels, &mut room.classes, &mut room.losses, &mut room.probabilities];
        for values in all.into_iter().chain(&mut room.logits) {
            group.all_reduce(values, Reduction::Sum)?;
        }
        self.filled = self.num_images;
        Ok(())
    }

    /// Waits for the device.
    pub fn finish(self, num_classes: usize) -> Predictions {
        let Some(room) = self.room else { return Predictions { num_classes, ..Predictions::default() } };
        let whole = |values: Vec<i64>| values.into_iter().map(|value| value as usize).collect();
        let first = |all: &Tensor| all.narrow(0, 0, self.filled);
        Predictions {
            num_classes,
            labels: whole(values(&first(&room.labels))),
            classes: whole(values(&first(&room.classes))),
            losses: values(&first(&room.losses)),
            probabilities: values(&first(&room.probabilities)),
            logits: room.logits.map(|logits| values(&first(&logits))).unwrap_or_default(),
        }
    }
}

/// The values of a tensor, row by row.
fn values<T: tch::kind::Element + Copy>(tensor: &Tensor) -> Vec<T> {
    Vec::try_from(tensor.contiguous().view(-1)).expect("a flat tensor of that kind")
}
