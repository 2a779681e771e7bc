//! Whether a recorded step does what the plain one does.

use tch::Tensor;

use super::super::Optimizer;
use super::super::loss::Targets;
use super::super::step::{Batch, TrainedBatch};
use crate::model::Model;

/// How far a recorded step may be from the plain one: as a share of what a step changes, and of the outputs, each in Euclid's norm.
/// On the CPU the two are the same bits. On a GPU sums may be in another order each time, and cuDNN may choose other algorithms, so that
/// bf16 differs by 2^-8; a step on other images, with other masks or at another rate is farther off.
const TOLERANCE: f64 = 0.01;

/// What a plain step saw and gave.
pub(super) struct Seen {
    pub batch: Batch,
    /// The network's outputs and the loss.
    outputs: [Tensor; 2],
}

impl Seen {
    pub fn of(trained: &TrainedBatch) -> Self {
        let labels = trained.targets.labels.shallow_clone();
        let (numbers, images) = (trained.numbers.shallow_clone(), trained.images.shallow_clone());
        let batch = Batch { numbers, images, targets: Targets { labels, others: None } };
        Seen { batch, outputs: [trained.outputs.values.detach(), trained.loss.detach()] }
    }
}

/// What a recorded step gave.
pub(super) struct Given {
    pub outputs: Tensor,
    pub loss: Tensor,
    /// The sums of its metrics, and what they are of its outputs and the labels.
    pub sums: [Tensor; 2],
}

/// All that a step changes, as it was.
pub(super) struct Snapshot(Vec<Part>);

/// A tensor that steps change.
struct Part {
    what: &'static str,
    tensor: Tensor,
    then: Tensor,
}

impl Snapshot {
    /// As it is now.
    pub fn take(model: &Model, optimizer: &Optimizer) -> Self {
        let moving = model.weights().iter().filter(|weight| !weight.trainable);
        let moving = moving.map(|weight| ("the weights that are not trained", weight.tensor.detach()));
        let all = optimizer.changing().into_iter().chain(moving);
        Snapshot(all.map(|(what, tensor)| Part { what, then: tensor.copy(), tensor }).collect())
    }

    /// Makes it as it was.
    pub fn put_back(&self) {
        tch::no_grad(|| self.0.iter().for_each(|part| part.tensor.shallow_clone().copy_(&part.then)));
    }

    /// What now is not as it was here, by a step from `before` that gave `given` where `seen` is what it should give; none where all is.
    /// Waits for the device.
    pub fn fault_of_now(&self, before: &Snapshot, seen: &Seen, given: Given) -> Option<String> {
        let parts = self.0.iter().zip(&before.0);
        let changes =
            parts.map(|(part, before)| (part.what, &part.tensor, &part.then, norm(&(&part.then - &before.then))));
        let Given { outputs, loss, sums: [sums, expected_sums] } = &given;
        let [seen_outputs, seen_loss] = &seen.outputs;
        let given = [
            ("the outputs", outputs, seen_outputs),
            ("the loss", loss, seen_loss),
            ("the metrics", sums, expected_sums),
        ];
        let given = given.into_iter().map(|(what, now, then)| (what, now, then, norm(then)));
        given.chain(changes).find_map(|(what, now, then, scale)| {
            let distance = norm(&(now - then));
            if !distance.is_finite() {
                return Some(format!("it has no finite numbers in {what}"));
            }
            let [percent, most] = [distance / scale, TOLERANCE].map(|share| 100.0 * share);
            let fault = || format!("it is {percent:.1} % off in {what}, where up to {most:.0} % may be noise");
            (distance > TOLERANCE * scale).then(fault)
        })
    }
}

/// The length of `x` in f64.
fn norm(x: &Tensor) -> f64 {
    x.to_kind(tch::Kind::Double).norm().double_value(&[])
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn what_is_off_is_named_and_noise_is_not() {
        let filled = |value: f64| Tensor::full([4], value, (Kind::Double, Device::Cpu));
        let seen = || Seen {
            batch: Batch {
                numbers: filled(0.0),
                images: filled(0.0),
                targets: Targets { labels: filled(0.0), others: None },
            },
            outputs: [filled(3.0), filled(2.0)],
        };
        let fault = |outputs, loss, sums: [f64; 2]| {
            let given = Given { outputs: filled(outputs), loss: filled(loss), sums: sums.map(filled) };
            Snapshot(Vec::new()).fault_of_now(&Snapshot(Vec::new()), &seen(), given)
        };
        assert_eq!(fault(3.0, 2.0, [5.0, 5.0]), None);
        assert_eq!(fault(3.02, 1.99, [5.04, 5.0]), None);
        for (given, part) in [
            (fault(3.2, 2.0, [5.0, 5.0]), "6.7 % off in the outputs"),
            (fault(3.0, 1.0, [5.0, 5.0]), "50.0 % off in the loss"),
            (fault(3.0, 2.0, [6.0, 5.0]), "20.0 % off in the metrics"),
            (fault(3.0, 2.0, [f64::NAN, 5.0]), "no finite numbers in the metrics"),
        ] {
            assert!(given.as_ref().is_some_and(|fault| fault.contains(part)), "{given:?}");
        }
    }
}
