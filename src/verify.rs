//! Whether a saved model is what it was when it was saved, and computes here what it computed then.

use std::path::Path;

use serde::Serialize;
use strum::Display;
use tch::Device;

use crate::data::moved::relative_fingerprint;
use crate::data::split::split;
use crate::data::{LoadOptions, Samples, registry};
use crate::error::{Error, Result, describe};
use crate::model::saved::{GoldenComparison, SavedParts};
use crate::model::trained_on::TrainedOn;
use crate::model::{Model, ModelInfo};

/// What is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Subject {
    /// The JSON's checksum of itself.
    Json,
    /// The weights' checksum.
    Weights,
    /// The optimizer state's checksum.
    State,
    /// Whether the network can be built, with every weight in its shape and kind.
    Network,
    /// What the network computes of the golden images.
    Golden,
    /// The images that the model was trained on.
    Data,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum CheckState {
    /// It is what was saved.
    Holds,
    /// It is not.
    Fails,
    /// The model carries nothing to check it by.
    Absent,
    /// It was not looked at.
    Skipped,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// Of what.
    pub what: Subject,
    /// How it ended.
    pub state: CheckState,
    /// What was found, for the user.
    pub detail: String,
    /// Of golden outputs: the largest difference, as a part of the largest output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<f32>,
    /// What it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f32>,
}

impl Check {
    fn new(what: Subject, state: CheckState, detail: impl Into<String>) -> Self {
        Check { what, state, detail: detail.into(), difference: None, tolerance: None }
    }

    fn fails(what: Subject, error: &Error) -> Self {
        Self::new(what, CheckState::Fails, describe(error))
    }
}

/// Checks every part of the saved model whose JSON is at `json_path`, computing on `device`, and compares the images that it was
/// trained on with the data set `source`, where one is given.
///
/// # Errors
/// A model error where a file cannot be read at all, or is of no saved model though its checksum holds; a data error where `source`
/// cannot be read; a device error where libtorch fails.
pub fn verify(json_path: &Path, device: Device, source: Option<&str>) -> Result<Vec<Check>> {
    let parts = SavedParts::open(json_path)?;
    let seal = seal(&parts);
    let is_damaged = seal.state == CheckState::Fails;
    let mut checks = vec![seal];
    match rest(&parts, device, source, &mut checks) {
        // the JSON's damage is the reason
        Err(error) if is_damaged && error.exit_code() == Error::model("").exit_code() => {
            checks.push(Check::fails(Subject::Network, &error));
        }
        Err(error) => return Err(error),
        Ok(()) => {}
    }
    Ok(checks)
}

/// All checks but that of the JSON's text.
fn rest(parts: &SavedParts, device: Device, source: Option<&str>, checks: &mut Vec<Check>) -> Result<()> {
    let info = parts.info()?;
    let file = |what, (name, checked): (String, Result<String>)| match checked {
        Ok(sha256) => Check::new(what, CheckState::Holds, format!("{name}, SHA-256 {sha256}")),
        Err(error) => Check::fails(what, &error),
    };
    let weights = file(Subject::Weights, parts.weights()?);
    let are_whole = weights.state == CheckState::Holds;
    checks.push(weights);
    checks.extend(parts.state()?.map(|state| file(Subject::State, state)));
    if are_whole {
        let model = parts.model(device)?;
        let numbers = model.plan().num_parameters();
        checks.push(Check::new(
            Subject::Network,
            CheckState::Holds,
            format!("{numbers} parameters, every weight in place"),
        ));
        checks.push(golden(parts, &model)?);
        checks.push(data(&info, &model, source)?);
    } else {
        checks.push(Check::new(Subject::Golden, CheckState::Skipped, "the weights are not the model's"));
    }
    Ok(())
}

fn seal(parts: &SavedParts) -> Check {
    match parts.seal() {
        Ok(Some(sha256)) => Check::new(Subject::Json, CheckState::Holds, format!("SHA-256 {sha256}")),
        Ok(None) => Check::new(Subject::Json, CheckState::Absent, "an older version saved it without a checksum"),
        Err(error) => Check::fails(Subject::Json, &error),
    }
}

fn golden(parts: &SavedParts, model: &Model) -> Result<Check> {
    let Some(compared) = parts.golden(model)? else {
        return Ok(Check::new(Subject::Golden, CheckState::Absent, "the model carries none"));
    };
    let GoldenComparison { images, largest_difference, tolerance, other_classes } = compared;
    let state = if compared.holds() { CheckState::Holds } else { CheckState::Fails };
    let classes = match other_classes {
        0 => "no other class".to_owned(),
        count => format!("another class for {count}"),
    };
    let detail = format!(
        "outputs of {images} images within {largest_difference:.1e} of the largest (at most {tolerance:.0e}), {classes}"
    );
    let (difference, tolerance) = (Some(largest_difference), Some(tolerance));
    Ok(Check { difference, tolerance, ..Check::new(Subject::Golden, state, detail) })
}

fn data(info: &ModelInfo, model: &Model, source: Option<&str>) -> Result<Check> {
    let Some(own) = &info.data else {
        return Ok(Check::new(Subject::Data, CheckState::Absent, "the model does not say what it was trained on"));
    };
    let Some(fingerprint) = &own.fingerprint else {
        let detail = format!("trained on {}; an older version saved no fingerprint of it", own.source);
        return Ok(Check::new(Subject::Data, CheckState::Absent, detail));
    };
    let Some(source) = source else {
        let detail = format!("trained on {}, fingerprint {fingerprint}; no data set was given to compare", own.source);
        return Ok(Check::new(Subject::Data, CheckState::Skipped, detail));
    };
    let options = LoadOptions {
        exclude: own.exclude.clone(),
        cache: own.cache,
        ..LoadOptions::of_model(info.preparation(model.image_shape()?))
    };
    let dataset = registry::load_with(source, &options)?;
    let train = match split(dataset, &own.validation, own.split_mode, own.limit_train, own.seed) {
        Ok(parts) => parts.train,
        Err(error) => return Ok(Check::fails(Subject::Data, &error)),
    };
    Ok(match is_same(own, &train) {
        true => {
            Check::new(Subject::Data, CheckState::Holds, format!("{source} has the {} training images", train.len()))
        }
        false => {
            let error = Error::data("the training images are others").expected(format!("fingerprint {fingerprint}"));
            Check::fails(Subject::Data, &error.got(train.fingerprint()).at(source))
        }
    })
}

/// Whether `train` are the images that a model was trained on, wherever they lie now.
fn is_same(own: &TrainedOn, train: &Samples) -> bool {
    let is_moved = || own.relative_fingerprint.is_some() && own.relative_fingerprint == relative_fingerprint(train);
    own.fingerprint.as_ref() == Some(&train.fingerprint()) || is_moved()
}
