//! What follows from a network's outputs, by their [`OutputKind`]: losses, probabilities, the most probable class. Nothing
//! here waits for the device.

use tch::{Kind, Reduction, Tensor};

use super::spec::{Crossentropy, Form, Head, OutputKind};

/// Keras's `epsilon()`: probabilities are held to `[1e-7, 1 - 1e-7]` before their logarithm.
const EPSILON: f64 = 1e-7;

/// What a network computed of a batch: see [`super::Model::forward`].
#[derive(Debug)]
pub struct Outputs {
    /// Logits or probabilities, as `kind` and `form` say: `f32 [B, outputs]`.
    pub values: Tensor,
    /// What they mean.
    pub kind: OutputKind,
    /// Logits, where it is not [`Form::Probabilities`].
    pub form: Form,
}

impl Outputs {
    /// What Keras's `predict` gives: `f32 [B, outputs]`.
    pub fn activated(&self) -> Tensor {
        match self.form {
            Form::Logits | Form::Probabilities => self.values.shallow_clone(),
            Form::Activated => self.each(),
        }
    }

    /// Softmax or sigmoid of the logits.
    fn each(&self) -> Tensor {
        match (self.form, self.kind.head) {
            (Form::Probabilities, _) => self.values.shallow_clone(),
            (_, Head::Softmax) => self.values.softmax(-1, Kind::Float),
            (_, Head::Binary | Head::Sigmoids(_)) => self.values.sigmoid(),
        }
    }

    /// The probability of each class, `f32 [B, K]`. Those of sigmoids are each class's own: their sum is any.
    pub fn probabilities(&self) -> Tensor {
        let each = self.each();
        match self.kind.head {
            Head::Softmax if self.form == Form::Probabilities => normalized(&each),
            Head::Softmax | Head::Sigmoids(_) => each,
            Head::Binary => Tensor::cat(&[1.0 - &each, each], -1),
        }
    }

    /// Numbers `f32 [B, K]` whose softmax is [`Outputs::probabilities`]; none of several sigmoids, which are no distribution.
    pub fn logits(&self) -> Option<Tensor> {
        match (self.kind.head, self.form) {
            (Head::Sigmoids(_), _) => None,
            (Head::Softmax, Form::Logits | Form::Activated) => Some(self.values.shallow_clone()),
            (Head::Binary, Form::Logits | Form::Activated) => {
                Some(Tensor::cat(&[self.values.zeros_like(), self.values.shallow_clone()], -1))
            }
            (Head::Softmax | Head::Binary, Form::Probabilities) => {
                Some(self.probabilities().clamp(EPSILON, 1.0 - EPSILON).log())
            }
        }
    }

    /// A logit for each class, `f32 [B, K]`: [`Outputs::logits`], and of several sigmoids each class's own, the logarithm of the odds
    /// where the network ends in probabilities.
    pub fn class_logits(&self) -> Tensor {
        self.logits().unwrap_or_else(|| match self.form {
            Form::Logits | Form::Activated => self.values.shallow_clone(),
            Form::Probabilities => self.values.clamp(EPSILON, 1.0 - EPSILON).logit(None),
        })
    }

    /// For each image the logit of its label (`i64 [B]`) minus the largest of the other classes', `f32 [B]`, and which class that is,
    /// `i64 [B]`. One sigmoid has the logit 0 for the first of its two classes; several have each class's own, whatever the sum of
    /// their probabilities is.
    pub fn margins(&self, labels: &Tensor) -> (Tensor, Tensor) {
        let (logits, labels) = (self.class_logits(), labels.unsqueeze(1));
        let own = logits.gather(1, &labels, false).squeeze_dim(1); // f32 [B]
        let (largest, rivals) = logits.scatter_value(1, &labels, f64::NEG_INFINITY).max_dim(1, false); // [B] each
        (own - largest, rivals)
    }

    /// Numbers in the order of the probabilities, `f32 [B, K]`.
    pub fn ranking(&self) -> Tensor {
        match self.kind.head {
            Head::Softmax => self.values.shallow_clone(),
            Head::Binary | Head::Sigmoids(_) => self.probabilities(),
        }
    }

    /// The most probable class of each image, `i64 [B]`; the second of two where its probability is above 0.5, as Keras's
    /// `BinaryAccuracy` has it.
    pub fn classes(&self) -> Tensor {
        match self.kind.head {
            Head::Softmax | Head::Sigmoids(_) => self.ranking().argmax(-1, false),
            Head::Binary => self.each().squeeze_dim(-1).gt(0.5).to_kind(Kind::Int64),
        }
    }

    /// The mean of [`Outputs::losses`], a scalar.
    pub fn loss(&self, labels: &Tensor, smoothing: f64) -> Tensor {
        match (self.kind.head, self.form) {
            (Head::Softmax, Form::Logits | Form::Activated) => self.cross_entropy(labels, Reduction::Mean, smoothing),
            _ => self.losses(labels, smoothing).mean(None),
        }
    }

    /// The loss of each image with its label, `f32 [B]` from `i64 [B]`; labels are smoothed by ε as Keras does: `y(1 - ε) +
    /// ε/K`, and for a sigmoid `y(1 - ε) + ε/2`.
    ///
    /// Keras's `categorical_crossentropy` for a softmax: from the logits; where the network ends in probabilities, these
    /// divided by their sum, clipped and their logarithm. Its `binary_crossentropy` for one sigmoid, and its mean over
    /// several. Several that were compiled with `categorical_crossentropy` are taken as Keras on TensorFlow takes them: the
    /// softmax of the sigmoids' logits.
    pub fn losses(&self, labels: &Tensor, smoothing: f64) -> Tensor {
        match self.kind.head {
            Head::Softmax | Head::Sigmoids(Crossentropy::Categorical) => match self.form {
                Form::Logits | Form::Activated => self.cross_entropy(labels, Reduction::None, smoothing),
                Form::Probabilities => {
                    let logarithms = normalized(&self.values).clamp(EPSILON, 1.0 - EPSILON).log();
                    let of_label = logarithms.gather(1, &labels.unsqueeze(1), false).squeeze_dim(1);
                    match smoothing {
                        0.0 => -of_label,
                        _ => -(of_label * (1.0 - smoothing) + logarithms.mean_dim(1, false, Kind::Float) * smoothing),
                    }
                }
            },
            Head::Binary => self.binary(&labels.unsqueeze(1), smoothing),
            Head::Sigmoids(Crossentropy::Binary) => self.binary(&labels.one_hot(self.values.size()[1]), smoothing),
        }
    }

    fn cross_entropy(&self, labels: &Tensor, reduction: Reduction, smoothing: f64) -> Tensor {
        self.values.cross_entropy_loss::<Tensor>(labels, None, reduction, -100, smoothing)
    }

    /// The mean over the outputs, `f32 [B]`, of what is there (1) and what is not (0): `i64 [B, outputs]`.
    fn binary(&self, there: &Tensor, smoothing: f64) -> Tensor {
        let targets = there.to_kind(Kind::Float) * (1.0 - smoothing) + 0.5 * smoothing;
        let losses = match self.form {
            Form::Logits | Form::Activated => {
                let none = None::<&Tensor>;
                self.values.binary_cross_entropy_with_logits(&targets, none, none, Reduction::None)
            }
            Form::Probabilities => {
                let held = self.values.clamp(EPSILON, 1.0 - EPSILON);
                let not_held: Tensor = 1.0 - &held;
                let (there, not_there) = (held.log(), not_held.log());
                let not_targets: Tensor = 1.0 - &targets;
                -(&targets * there + not_targets * not_there)
            }
        };
        losses.mean_dim(1, false, Kind::Float)
    }
}

/// Divided by their sum; zeros, which a Dropout can leave, stay zeros.
fn normalized(probabilities: &Tensor) -> Tensor {
    let sum = probabilities.sum_dim_intlist(-1, true, Kind::Float);
    let is_zero = sum.eq(0.0).to_kind(Kind::Float);
    probabilities / (sum + is_zero)
}
