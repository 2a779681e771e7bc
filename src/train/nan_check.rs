//! What is said where a number stops being finite: when, at which rate, in which layer.

use tch::{Kind, Tensor};

use crate::error::Error;
use crate::metrics::Sums;
use crate::model::Model;

/// A batch whose loss was not looked at yet: looking waits for the device.
pub(super) struct PendingLoss {
    /// Its number in the epoch, from 1.
    pub batch: u64,
    /// Its number in the run, from 1, as the logs count.
    pub step: u64,
    pub learning_rate: f64,
    /// A scalar.
    pub loss: Tensor,
    /// What the network saw, `u8 [B, H, W, C]`; none where the weights may have changed since.
    pub images: Option<Tensor>,
}

/// The error for `sums` that are not finite: `pending` are the batches since they were.
pub(super) fn loss_error(model: &Model, pending: &[PendingLoss], epoch: u64, sums: Sums) -> Error {
    let first = pending.iter().find(|batch| !batch.loss.double_value(&[]).is_finite()).or(pending.last());
    let error = Error::numeric("the loss is not finite").expected("a number").got(sums.scores().loss());
    let images = first.and_then(|batch| batch.images.as_ref());
    let bad_output = || model.first_non_finite_layer(images?).map(|layer| format!("first in layer {layer}, output"));
    let error = error.at(match bad_weight(model) {
        Some(weight) => format!("first in {weight}"),
        None => bad_output().unwrap_or_else(|| "all layers are finite, the loss is not".to_owned()),
    });
    let error = match first {
        Some(PendingLoss { batch, step, learning_rate, .. }) => {
            error.at(format!("learning rate {learning_rate:e}")).at(format!("step {step}")).at(format!("batch {batch}"))
        }
        None => error,
    };
    error.at(format!("epoch {epoch}")).help(HELP)
}

/// The error for a weight that is not finite; none where all are. Waits for the device.
pub(super) fn weight_error(model: &Model, epoch: u64, step: u64, learning_rate: f64) -> Option<Error> {
    let weight = bad_weight(model)?;
    let error = Error::numeric("a weight is not finite").at(format!("first in {weight}"));
    let error = error.at(format!("learning rate {learning_rate:e}")).at(format!("step {step}"));
    Some(error.at(format!("epoch {epoch}")).help(HELP))
}

const HELP: &str = "a lower `lr` or `global_clip_norm` often mends this; the checkpoint before is kept";

/// The first layer, and its weight, that is not finite.
fn bad_weight(model: &Model) -> Option<String> {
    let is_bad = |tensor: &Tensor| !tensor.detach().sum(Kind::Double).double_value(&[]).is_finite();
    let weight = model.weights().iter().find(|weight| is_bad(&weight.tensor))?;
    let (layer, name) = weight.name.rsplit_once('.').unwrap_or((&weight.name, "weight"));
    Some(format!("layer {layer}, {name}"))
}
