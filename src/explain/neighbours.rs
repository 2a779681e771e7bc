//! The training images that are nearest to an image in what the last Dense layer takes.

use tch::{Kind, Tensor};

use crate::data::batches::DataLoader;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::native;

/// The least images that are compared.
const LEAST_IMAGES: usize = 250;
/// The most products of a weight and a value that the search costs: a minute or so on a CPU.
const MAX_MULTIPLY_ADDS: usize = 2_000_000_000_000;

/// An image near another one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Its number in the loader.
    pub number: usize,
    /// The cosine distance of the features, 0 to 2: one minus the cosine of the angle between them.
    pub distance: f32,
}

/// The nearest images, and how many were looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    /// The nearest first; of equals the first in the data set.
    pub nearest: Vec<Neighbour>,
    /// The path of the layer whose input the features are.
    pub layer: String,
    /// How many of the loader's images were looked at: all, or as many as two million million products pay for, spread evenly.
    pub looked_at: usize,
}

/// The `count` images of `loader` that are nearest to `image` (`[1, H, W, C]` as [`Model::forward`] takes it) but for number `itself`,
/// by the cosine distance of what the last Dense layer of `model` takes. `on_batch` hears how many of how many images are done.
///
/// # Errors
/// A model error where the network has no Dense layer behind others, a data error where an image's file cannot be read, a device error
/// where libtorch fails.
pub fn nearest(
    model: &Model,
    image: &Tensor,
    loader: &DataLoader,
    count: usize,
    itself: Option<usize>,
    mut on_batch: impl FnMut(usize, usize),
) -> Result<Neighbours> {
    let plan = model.plan();
    let Some((dense, call)) = plan.last_dense() else {
        return Err(Error::model("the network has no Dense layer behind others, whose input are an image's features"));
    };
    let layer = plan.flat_layers()[plan.calls[dense].leaf].0.clone();
    let affordable = (MAX_MULTIPLY_ADDS / plan.multiply_adds().max(1)).max(LEAST_IMAGES);
    let order = loader.spread(affordable);
    let numbers = order.numbers();
    let own = unit_features(model, image, call)?; // f32 [1, F]
    let mut all = Vec::with_capacity(numbers.len());
    let batch_size = model.inference_batch_size();
    for index in 0..numbers.len().div_ceil(batch_size) as u64 {
        let (images, _) = loader.batch_of(&order, index, batch_size)?;
        let cosines = unit_features(model, &images, call)?.matmul(&own.tr()).squeeze_dim(1); // f32 [B]
        let cosines = Vec::<f32>::try_from(cosines).expect("a flat f32 tensor");
        all.extend(cosines);
        on_batch(all.len(), numbers.len());
    }
    let pairs = numbers.iter().zip(all);
    let mut found: Vec<Neighbour> = pairs
        .filter(|(number, _)| Some(*number) != itself)
        .map(|(number, cosine)| Neighbour { number, distance: (1.0 - cosine).max(0.0) })
        .collect();
    found.sort_by(|a, b| a.distance.total_cmp(&b.distance)); // stable
    found.truncate(count);
    Ok(Neighbours { nearest: found, layer, looked_at: numbers.len() })
}

/// What call `call` gives for each of `images`, brought to length 1: `f32 [B, F]`.
fn unit_features(model: &Model, images: &Tensor, call: usize) -> Result<Tensor> {
    native::guarded(|| {
        let mut features = None;
        tch::no_grad(|| {
            model.watch(images, |number, value| {
                if number == call {
                    features = Some(value.to_kind(Kind::Float).flatten(1, -1));
                }
            })
        })?;
        let features = features.ok_or_else(|| Error::model("the last Dense layer stands behind the outputs"))?;
        let norms = features.norm_scalaropt_dim(2.0, [1i64].as_slice(), true).clamp_min(f64::from(f32::MIN_POSITIVE));
        Ok(features / norms)
    })
}
