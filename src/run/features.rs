//! The features that a frozen backbone gives for each image, computed once: the epochs then cost the layers behind alone.

use tch::Tensor;

use crate::config::RunConfig;
use crate::data::batches::DataLoader;
use crate::error::Result;
use crate::log::Sinks;
use crate::model::Model;
use crate::native;

/// The most memory that features may take, in bytes.
const MAX_BYTES: usize = 2 << 30;

/// The layer whose features are kept and how many numbers it gives for an image, where `config` allows it, the first layers are
/// frozen, no image is changed on the way, and the features of all `num_images` do not take too much memory.
pub(super) fn are_kept(config: &RunConfig, model: &Model, num_images: usize) -> Option<(String, usize)> {
    let fits = |size: usize| size.saturating_mul(num_images).saturating_mul(4) <= MAX_BYTES;
    let is_wanted = config.network.keep_features && config.training.augment.is_none();
    model.features_layer().filter(|(_, size)| is_wanted && fits(*size)).map(|(layer, size)| (layer.to_string(), size))
}

/// Loaders with the features of the images in place of the images, where they are kept: see [`are_kept`]. What becomes of them
/// does not depend on how much of a run is left, so that a run that goes on does as it did before.
pub(super) fn kept(
    config: &RunConfig,
    model: &Model,
    train: &DataLoader,
    validation: Option<&DataLoader>,
    sinks: &mut Sinks,
) -> Result<Option<(DataLoader, Option<DataLoader>)>> {
    let num_images = train.num_images() + validation.map_or(0, DataLoader::num_images);
    let Some((layer, size)) = are_kept(config, model, num_images) else {
        return Ok(None);
    };
    sinks.note(format!(
        "features: the layers up to {layer} are frozen and run once; {size} numbers are kept of each of {num_images} images"
    ));
    let train = computed(model, train)?;
    let validation = validation.map(|images| computed(model, images)).transpose()?;
    Ok(Some((train, validation)))
}

/// The features of all images of `loader`, in their order.
fn computed(model: &Model, loader: &DataLoader) -> Result<DataLoader> {
    native::guarded(|| {
        // as in evaluation, and always the same, so that a run that goes on computes the same features
        let size = model.inference_batch_size();
        let batch = |index| loader.batch(index, size).map(|(images, _)| tch::no_grad(|| model.features(&images)));
        let parts = (0..loader.num_batches(size)).map(batch).collect::<Result<Vec<Tensor>>>()?;
        Ok(loader.with_features(Tensor::cat(&parts, 0)))
    })
}
