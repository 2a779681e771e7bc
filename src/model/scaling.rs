//! What stored pixels are multiplied by before they enter a network, and why.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::Model;
use super::spec::{LayerSpec, Numbers, Spec};

/// A number above 0, written as such or as a fraction: `1/255`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct InputScale(f64);

impl InputScale {
    /// The Keras course's: pixels 0 to 255 become 0 to 1.
    pub const UNIT: InputScale = InputScale(1.0 / 255.0);
    /// Pixels stay as they are.
    pub const NONE: InputScale = InputScale(1.0);

    /// `factor`, where it is above 0 and finite.
    pub fn new(factor: f64) -> Option<Self> {
        (factor.is_finite() && factor > 0.0).then_some(InputScale(factor))
    }

    /// What pixels are multiplied by.
    pub fn factor(self) -> f64 {
        self.0
    }
}

impl FromStr for InputScale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| format!("'{text}' is not a number"));
        let value = match text.split_once('/') {
            Some((above, below)) => number(above)? / number(below)?,
            None => number(text)?,
        };
        InputScale::new(value).ok_or_else(|| "expected a number above 0, or a fraction such as 1/255".to_owned())
    }
}

impl fmt::Display for InputScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = (1.0 / self.0).round();
        match self.0 < 1.0 && 1.0 / below == self.0 {
            true => write!(f, "1/{below}"),
            false => write!(f, "{}", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for InputScale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a number above 0, or a fraction such as \"1/255\"")]
        enum Written {
            Number(f64),
            Text(String),
        }
        let scale = match Written::deserialize(deserializer)? {
            Written::Number(number) => number.to_string().parse(),
            Written::Text(text) => text.parse(),
        };
        scale.map_err(serde::de::Error::custom)
    }
}

/// Where a network's scale comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScaleOrigin {
    /// Nobody said anything else.
    Default,
    /// `--input-scale`.
    Told,
    /// The model that the run starts from, or the file that is imported, has it.
    Model,
    /// The network scales its input itself: how, in words.
    Network(String),
}

impl Spec {
    /// What pixels are multiplied by before they enter the network: what is `told`, or what the `model` whose weights it
    /// has was trained with; else nothing where it scales them itself, and 1/255 where it does not.
    pub fn input_scale(&self, told: Option<InputScale>, model: Option<InputScale>) -> (InputScale, ScaleOrigin) {
        match (told, model, self.own_scaling()) {
            (Some(told), _, _) => (told, ScaleOrigin::Told),
            (None, Some(model), _) => (model, ScaleOrigin::Model),
            (None, None, Some(how)) => (InputScale::NONE, ScaleOrigin::Network(how)),
            (None, None, None) => (InputScale::UNIT, ScaleOrigin::Default),
        }
    }
}

impl ScaleOrigin {
    /// What becomes of pixels, and why, in a line.
    pub fn describe(&self, scale: InputScale) -> String {
        let what = match scale == InputScale::NONE {
            true => "pixels go in as they are, 0 to 255".to_owned(),
            false => format!("pixels 0 to 255 times {scale}"),
        };
        match self {
            ScaleOrigin::Default => format!("{what} (the default; `input_scale`)"),
            ScaleOrigin::Told => format!("{what} (`input_scale`)"),
            ScaleOrigin::Model => format!("{what} (the model's own)"),
            ScaleOrigin::Network(how) => format!("{what}: {how}"),
        }
    }
}

impl Model {
    /// What may be wrong with how pixels reach the network, in words: they are scaled twice, or by a Normalization layer
    /// whose statistics nobody has given, or are of pixels in another range.
    pub fn scaling_warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let Some(how) = self.spec().own_scaling() else { return warnings };
        if self.input_scale() != 1.0 {
            let scale = InputScale(self.input_scale());
            warnings.push(format!(
                "pixels are multiplied by {scale}, though {how}: `input_scale = 1` lets them in as they are"
            ));
        }
        let first = self.plan().scaling_leaf().map(|leaf| self.plan().flat_layers().swap_remove(leaf));
        let first = first.and_then(|(path, layer)| match &layer.layer.spec {
            LayerSpec::Rescaling(rescaling) => Some((path, largest(&rescaling.scale) >= 1.0, None)),
            LayerSpec::Normalization(spec) => {
                let numbers = |own: &Option<Numbers>, name: &str| match own {
                    Some(numbers) => largest(numbers),
                    None => self.largest_of(&format!("{path}.{name}")),
                };
                let (mean, variance) = (numbers(&spec.mean, "mean"), numbers(&spec.variance, "variance"));
                let is_adapted = spec.mean.is_some() || self.largest_of(&format!("{path}.count")) > 0.0;
                Some((path, mean <= 1.0 && variance <= 0.25, Some(is_adapted || mean != 0.0 || variance != 1.0)))
            }
            _ => None,
        });
        match first {
            Some((path, _, Some(false))) => warnings.push(format!(
                "layer {path} (Normalization) has no statistics: mean 0 and variance 1 change nothing; adapt() it in Keras \
                 and import it, or give it mean and variance"
            )),
            Some((path, true, _)) if self.input_scale() == 1.0 => warnings.push(format!(
                "layer {path}'s numbers are those for pixels from 0 to 1: `input_scale = '1/255'`, if it is so"
            )),
            _ => {}
        }
        warnings
    }

    /// The largest absolute value of the weight called `name`; 0 where there is none. Waits for the device.
    fn largest_of(&self, name: &str) -> f64 {
        let weight = self.weights().iter().find(|weight| weight.name == name);
        weight.map_or(0.0, |weight| weight.tensor.abs().max().double_value(&[]))
    }
}

fn largest(numbers: &Numbers) -> f64 {
    numbers.values().iter().fold(0.0, |largest, number| largest.max(number.abs()))
}

#[cfg(test)]
mod tests;
