//! Grad-CAM (Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV): which
//! places of a feature map speak for a class.

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result, nearest};
use crate::model::Model;
use crate::native;

/// A model whose layers can be looked into, and the one that is.
pub struct GradCam {
    model: Model,
    call: usize,
    /// The layer's path.
    layer: String,
}

/// How much each place of a feature map speaks for a class: 0 where it does not.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// h, of the feature map.
    pub height: usize,
    /// w.
    pub width: usize,
    /// `[h, w]`, row by row, at least 0, in logits by the layer's unit.
    pub values: Vec<f32>,
}

/// The layers of `model` that give a map of features, by their paths, in order.
pub fn feature_map_layers(model: &Model) -> Vec<String> {
    let leaves = model.plan().flat_layers();
    let plan = model.plan();
    let maps = (0..plan.calls.len()).filter(|&call| plan.is_map(call));
    maps.map(|call| leaves[plan.calls[call].leaf].0.clone()).collect()
}

fn no_convolution() -> Error {
    let error = Error::model("the network has no convolution, which Grad-CAM needs");
    error.help("its nearest training images say what it goes by")
}

fn no_such_layer(model: &Model, wanted: &str) -> Error {
    let known = feature_map_layers(model);
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    match known.is_empty() {
        true => no_convolution(),
        false => Error::model(format!("no layer '{wanted}' gives a map of features{}", nearest(wanted, &known))),
    }
}

impl GradCam {
    /// Looks into the layer of `model` with the path `layer`: the last of its calls. Without one, into the last map of features that a
    /// convolution went into, before what only pools or moves it.
    ///
    /// # Errors
    /// A model error where there is no such layer, or no convolution.
    pub fn new(model: &Model, layer: Option<&str>) -> Result<Self> {
        let plan = model.plan();
        let leaves = plan.flat_layers();
        let path = |call: usize| leaves[plan.calls[call].leaf].0.as_str();
        let call = match layer {
            Some(wanted) => {
                let found = (0..plan.calls.len()).rfind(|&call| plan.is_map(call) && path(call) == wanted);
                found.ok_or_else(|| no_such_layer(model, wanted))?
            }
            None => plan.last_feature_map().ok_or_else(no_convolution)?,
        };
        Ok(GradCam { layer: path(call).to_owned(), call, model: model.unfused()? })
    }

    /// The path of the layer that is looked into.
    pub fn layer(&self) -> &str {
        &self.layer
    }

    /// Where the network sees `class` in `image`, `u8` or `f32 [1, H, W, C]` as [`Model::forward`] takes it: the map's channels, each
    /// times the mean gradient of the class's logit with respect to it, added up, and nothing below 0.
    ///
    /// The logit is that before softmax or sigmoid; where the network ends in probabilities that are no softmax's own, their
    /// logarithm.
    ///
    /// # Errors
    /// A configuration error for a class that is not there, a numeric one where the map is not finite, a device error where libtorch
    /// fails.
    pub fn heat_map(&self, image: &Tensor, class: usize) -> Result<HeatMap> {
        if class >= self.model.num_classes() {
            let error =
                Error::config("there is no such class").expected(format!("0 to {}", self.model.num_classes() - 1));
            return Err(error.got(class));
        }
        let weighted = native::guarded(|| self.weighted(image, class))?; // f32 [h, w]
        let size = weighted.size();
        let flat = weighted.to_device(Device::Cpu).contiguous().view([-1]);
        let values = Vec::<f32>::try_from(flat).expect("a flat f32 tensor on the CPU");
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(HeatMap { height: size[0] as usize, width: size[1] as usize, values }),
            false => Err(Error::numeric("a gradient of the network is not finite").at(format!("layer {}", self.layer))),
        }
    }

    /// The map's channels in their sum, `f32 [h, w]`.
    fn weighted(&self, image: &Tensor, class: usize) -> Result<Tensor> {
        // gradients go through layers whose weights are frozen, too
        let image = (image.to_kind(Kind::Float) * self.scale(image)).set_requires_grad(true);
        let mut map = None;
        let outputs = self.model.watch(&image, |number, value| {
            if number == self.call {
                map = Some(value.shallow_clone());
            }
        })?;
        let map =
            map.ok_or_else(|| Error::model("the layer stands behind the outputs").at(format!("layer {}", self.layer)))?;
        let logit = outputs.class_logits().select(1, class as i64).sum(Kind::Float);
        let gradient = Tensor::run_backward(&[logit], &[&map], false, false).remove(0); // [1, C, h, w]
        let weights = gradient.mean_dim([2i64, 3].as_slice(), true, Kind::Float); // f32 [1, C, 1, 1]
        let sum = (weights * map.detach().to_kind(Kind::Float)).sum_dim_intlist(1, false, Kind::Float); // f32 [1, h, w]
        Ok(sum.squeeze_dim(0).relu())
    }

    /// What stored pixels are multiplied by, before the network sees them.
    fn scale(&self, image: &Tensor) -> f64 {
        if image.kind() == Kind::Uint8 { self.model.input_scale() } else { 1.0 }
    }
}
