//! What training makes small: the network's cross-entropy, with smoothed labels and weighted classes where asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::data::names::composed;
use crate::error::{Error, Result, nearest};
use crate::model::Outputs;

/// How much each class counts in the training loss (Keras's `class_weight`), as a configuration file has it: `"balanced"`,
/// a list of K numbers, or a table from class names or numbers to weights, where a class that is not named weighs 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"balanced\", a list of finite numbers, or a table from classes to numbers")]
pub enum ClassWeights {
    /// By a word.
    Rule(ClassWeightRule),
    /// By a number for each class.
    List(Vec<f64>),
    /// By a number for some classes.
    Table(BTreeMap<String, f64>),
}

/// How class weights follow from the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeightRule {
    /// N / (K · images of the class), as scikit-learn's `balanced`.
    Balanced,
}

impl ClassWeights {
    /// A weight for each of the `classes`, of which the training data has `counts` images.
    ///
    /// # Errors
    /// A configuration error where they are not the classes', or not finite and at least 0.
    pub fn resolve(&self, classes: &[String], counts: &[usize]) -> Result<Vec<f64>> {
        let num_images: usize = counts.iter().sum();
        let balanced = |&count: &usize| match count {
            0 => 1.0,
            _ => num_images as f64 / (counts.len() as f64 * count as f64),
        };
        let weights = match self {
            ClassWeights::Rule(ClassWeightRule::Balanced) => counts.iter().map(balanced).collect(),
            ClassWeights::List(weights) => weights.clone(),
            ClassWeights::Table(table) => weights_of_table(table, classes)?,
        };
        let wrong = Error::config("`class_weights` cannot be used");
        if weights.len() != classes.len() {
            return Err(wrong.expected(format!("{} numbers, one a class", classes.len())).got(weights.len()));
        }
        match weights.iter().find(|weight| !(**weight >= 0.0 && weight.is_finite())) {
            Some(weight) => Err(wrong.expected("numbers that are 0 or more").got(weight)),
            None => Ok(weights),
        }
    }
}

fn weights_of_table(table: &BTreeMap<String, f64>, classes: &[String]) -> Result<Vec<f64>> {
    let mut weights = vec![1.0; classes.len()];
    for (name, &weight) in table {
        let by_number = || name.parse().ok().filter(|&class: &usize| class < classes.len());
        let by_name = || classes.iter().position(|class| composed(class) == composed(name));
        let class = by_name().or_else(by_number).ok_or_else(|| {
            let known: Vec<&str> = classes.iter().map(String::as_str).collect();
            Error::config(format!("class-weights: there is no class '{name}'{}", nearest(name, &known)))
        })?;
        weights[class] = weight;
    }
    Ok(weights)
}

/// The training loss of a batch.
#[derive(Debug)]
pub struct Loss {
    label_smoothing: f64,
    /// `f32 [K]`.
    class_weights: Option<Tensor>,
}

impl Loss {
    /// Labels are smoothed by ε, see [`Outputs::losses`]. An image's loss is multiplied by its class's weight.
    pub fn new(label_smoothing: f64, class_weights: Option<&[f64]>, device: Device) -> Self {
        let to_device = |weights: &[f64]| Tensor::from_slice(weights).to_kind(Kind::Float).to_device(device);
        Loss { label_smoothing, class_weights: class_weights.map(to_device) }
    }

    /// As [`Loss::new`], with class weights as a configuration has them.
    ///
    /// # Errors
    /// A configuration error where they are no list yet: see [`ClassWeights::resolve`].
    pub(super) fn of(label_smoothing: f64, class_weights: Option<&ClassWeights>, device: Device) -> Result<Self> {
        let class_weights = match class_weights {
            None => None,
            Some(ClassWeights::List(weights)) => Some(&weights[..]),
            Some(ClassWeights::Rule(_) | ClassWeights::Table(_)) => {
                return Err(Error::config("the class weights are not resolved")
                    .expected("a number for each class")
                    .help("ClassWeights::resolve makes them, for the classes of the data"));
            }
        };
        Ok(Loss::new(label_smoothing, class_weights, device))
    }

    /// The mean over the batch's images (not over their weights), as Keras has it; mixed images have both labels in their
    /// shares. A scalar.
    pub fn loss(&self, outputs: &Outputs, targets: &Targets) -> Tensor {
        let loss = self.loss_of(outputs, &targets.labels);
        match &targets.others {
            None => loss,
            Some((others, share)) => loss * (1.0 - share) + self.loss_of(outputs, others) * *share,
        }
    }

    fn loss_of(&self, outputs: &Outputs, labels: &Tensor) -> Tensor {
        let Some(weights) = &self.class_weights else {
            return outputs.loss(labels, self.label_smoothing);
        };
        let losses = outputs.losses(labels, self.label_smoothing); // f32 [B]
        (losses * weights.index_select(0, labels)).mean(None)
    }
}

/// What the images of a batch are: labels `i64 [B]`, and where images were mixed, the others' labels and share.
#[derive(Debug)]
pub struct Targets {
    /// Of the images.
    pub labels: Tensor,
    /// Of the images that were mixed into them, and how much of them there is.
    pub others: Option<(Tensor, f64)>,
}

impl Targets {
    /// The labels with the larger share, which accuracy counts.
    pub fn dominant(&self) -> &Tensor {
        match &self.others {
            Some((others, share)) if *share > 0.5 => others,
            _ => &self.labels,
        }
    }
}

#[cfg(test)]
mod tests;
