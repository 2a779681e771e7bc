//! The key `convnet` in files for Keras, which Keras itself skips: what convnet needs to take its own export back.

use serde_json::{Value, json};

use crate::data::ImageShape;
use crate::error::Result;
use crate::model::{InputScale, Model};

/// What the key says, as far as it is there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConvnetMetadata {
    /// The classes' names.
    pub labels: Option<Vec<String>>,
    /// What stored pixels are multiplied by.
    pub input_scale: Option<InputScale>,
    /// H, W, C of the images.
    pub image_shape: Option<ImageShape>,
}

impl ConvnetMetadata {
    /// From a Keras document; empty where it was not convnet that wrote it.
    pub(super) fn from_json(document: &Value) -> Self {
        let key = document.get("convnet");
        let labels = key.and_then(|key| serde_json::from_value(key.get("labels")?.clone()).ok());
        let input_scale = key.and_then(|key| InputScale::new(key.pointer("/input/scale")?.as_f64()?));
        let side = |name: &str| usize::try_from(key?.get("input")?.get(name)?.as_u64()?).ok();
        let sides = (side("height"), side("width"), side("channels"));
        let image_shape = match sides {
            (Some(height), Some(width), Some(channels)) => Some(ImageShape { height, width, channels }),
            _ => None,
        };
        ConvnetMetadata { labels, input_scale, image_shape }
    }
}

/// The key's value for a model whose classes are called `labels`.
///
/// # Errors
/// A model error where the network takes no images.
pub(super) fn to_json(model: &Model, labels: &[String]) -> Result<Value> {
    let ImageShape { height, width, channels } = model.image_shape()?;
    let input = json!({ "scale": model.input_scale(), "height": height, "width": width, "channels": channels });
    let mut key = json!({ "labels": labels, "input": input });
    if let Some(loss) = model.spec().noted_loss() {
        key["loss"] = json!(loss);
    }
    if model.spec().has_inference_calls() {
        key["inference_calls"] = json!(true);
    }
    Ok(key)
}
