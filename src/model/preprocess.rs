//! What published weights want done to pixels: as a first layer of the network, so that it travels with the weights.

use serde_json::json;

use super::InputScale;
use super::spec::{Call, Layer, LayerSpec, Source, Spec};
use crate::error::{Error, Result};

/// ImageNet's mean and deviation of each colour, from 0 to 1 (torchvision).
const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f64; 3] = [0.229, 0.224, 0.225];
/// ImageNet's mean of each colour, from 0 to 255, red first (Caffe; `keras.applications`).
const CAFFE_MEAN: [f64; 3] = [123.68, 116.779, 103.939];

/// How pixels 0 to 255 become what a network takes: the ways of `keras.applications` and torchvision.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumMessage, strum::EnumString, strum::VariantArray,
)]
pub enum Preprocess {
    /// From 0 to 1.
    #[strum(serialize = "1/255")]
    Unit,
    /// From -1 to 1.
    #[strum(serialize = "tf")]
    Tf,
    /// From 0 to 1, less ImageNet's mean, by its deviation.
    #[strum(serialize = "torch")]
    Torch,
    /// Blue first, less ImageNet's mean.
    #[strum(serialize = "caffe")]
    Caffe,
    /// As they are.
    #[strum(serialize = "none")]
    None,
}

impl Preprocess {
    /// What pixels are multiplied by before they enter the network, beside the layer.
    pub fn input_scale(self) -> InputScale {
        if self == Preprocess::Unit { InputScale::UNIT } else { InputScale::NONE }
    }

    /// Whether the first convolution's weights are for blue first.
    pub fn is_blue_first(self) -> bool {
        self == Preprocess::Caffe
    }

    /// The layer that does it; none where the scale does.
    fn layer(self) -> Result<Option<LayerSpec>> {
        let by_channel = |numbers: [f64; 3]| json!(numbers);
        let config = match self {
            Preprocess::Unit | Preprocess::None => return Ok(None),
            Preprocess::Tf => json!({ "scale": 1.0 / 127.5, "offset": -1.0 }),
            Preprocess::Torch => json!({
                "scale": by_channel(DEVIATION.map(|deviation| 1.0 / (255.0 * deviation))),
                "offset": by_channel([0, 1, 2].map(|color| -MEAN[color] / DEVIATION[color])),
            }),
            Preprocess::Caffe => json!({ "scale": 1.0, "offset": by_channel(CAFFE_MEAN.map(|mean| -mean)) }),
        };
        let config = config.as_object().cloned().unwrap_or_default();
        LayerSpec::from_config("Rescaling", config).map(Some)
    }
}

impl Spec {
    /// The network with `preprocess` as its first layer, called `preprocessing`, where that is one.
    ///
    /// # Errors
    /// A model error where a layer is called so, or the images have no three colours.
    pub fn with_preprocessing(mut self, preprocess: Preprocess) -> Result<Self> {
        let Some(spec) = preprocess.layer()? else { return Ok(self) };
        if self.layers.iter().any(|layer| layer.name == "preprocessing") {
            return Err(Error::model("the network has a layer called preprocessing already"));
        }
        let layer = Layer { name: "preprocessing".to_owned(), trainable: true, frozen: false, spec };
        self.layers.insert(0, layer);
        if let Some(graph) = &mut self.graph {
            for call in &mut graph.calls {
                call.layer += 1;
                for input in &mut call.inputs {
                    *input = match *input {
                        Source::Input => Source::Call(0),
                        Source::Call(call) => Source::Call(call + 1),
                    };
                }
            }
            graph.calls.insert(0, Call { layer: 0, inputs: vec![Source::Input], in_inference: false });
        }
        self.plan().map(|_| self)
    }
}
