//! A model as a TorchScript archive, from stored images to probabilities: what libtorch does for a few images, recorded.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use tch::{CModule, Device, TchError, Tensor};

use super::errors::{not_the_model, unreadable};
use super::input::{Checked, Probes, Subject, metadata};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;
use crate::native;

/// The archive's extra file with the labels and what the images have to be.
const TOLD: &str = "convnet.json";

/// The bytes of the archive.
///
/// # Errors
/// A model error where the network is no classifier of images, a device error where libtorch cannot record it.
pub(super) fn to_file(subject: &Subject) -> Result<Vec<u8>> {
    let model = subject.model;
    let told = serde_json::Value::Object(metadata(subject)?).to_string();
    let [_, images] = Probes::new(subject)?.batches();
    let compute = |images: &Tensor| model.forward(images, false).map(|outputs| outputs.probabilities());
    let images = images.to_device(model.device());
    tch::no_grad(|| native::traced(&images, &parameters(model), (TOLD, &told), compute))
}

/// The weights, named as the archive's parameters: `conv2d_weight` for `conv2d.weight`.
fn parameters(model: &Model) -> Vec<(String, Tensor)> {
    let mut names = HashSet::new();
    let mut unique = |wanted: &str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut name: String = wanted.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        if name.starts_with(|c: char| c.is_ascii_digit() || c == '_') {
            name.insert_str(0, "layer_");
        }
        while !names.insert(name.clone()) {
            name.push('_');
        }
        name
    };
    model.weights().iter().map(|weight| (unique(&weight.name), weight.tensor.shallow_clone())).collect()
}

/// Loads the archive with libtorch, compares every weight bit for bit, and the probabilities for other numbers of images.
///
/// # Errors
/// A check error where it cannot be loaded, holds another weight or gives other probabilities.
pub(super) fn check(subject: &Subject, written: &Path) -> Result<Checked> {
    let module = CModule::load_on_device(written, Device::Cpu).map_err(failed)?;
    let found: HashMap<String, Tensor> = module.named_parameters().map_err(failed)?.into_iter().collect();
    for (name, tensor) in parameters(subject.model) {
        let expected = tensor.to_device(Device::Cpu);
        match found.get(&name).map(|found| found.size() == expected.size() && found.equal(&expected)) {
            Some(true) => {}
            Some(false) => return Err(not_the_model().got(format!("another {name}"))),
            None => return Err(not_the_model().got(format!("no {name}"))),
        }
    }
    let probes = Probes::new(subject)?;
    let run = |images: &Tensor| module.forward_ts(&[images]).map_err(failed);
    let got = tch::no_grad(|| probes.batches().iter().map(run).collect::<Result<Vec<Tensor>>>())?;
    let agreement = probes.compare(&got)?;
    let how = format!("loaded by libtorch: every weight the same, {agreement}");
    Ok(Checked { how, max_difference: Some(agreement.max_difference) })
}

/// A check error with what libtorch says.
fn failed(error: TchError) -> Error {
    match error {
        TchError::Torch(text) => {
            Error::new(ErrorKind::Check, "the export cannot be run").because(native::failure(&text))
        }
        other => unreadable().because(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::ExportInput;
    use crate::model::presets::preset;
    use crate::model::{Model, ModelInfo};

    fn model(seed: u64) -> Model {
        Model::new(preset("lenet5").unwrap(), 1.0 / 255.0, Device::Cpu, seed).unwrap()
    }

    #[test]
    fn another_model_is_found() {
        let (ours, other, info) = (model(0), model(1), ModelInfo::default());
        let subject = |model| Subject { model, info: &info, input: ExportInput::Uint8 };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.pt");
        std::fs::write(&path, to_file(&subject(&ours)).unwrap()).unwrap();
        assert!(check(&subject(&ours), &path).is_ok());
        let error = check(&subject(&other), &path).err().unwrap();
        assert!(error.exit_code() == 7 && error.to_string().contains("another conv2d_weight"), "{error}");
        std::fs::write(&path, "no archive").unwrap();
        assert_eq!(check(&subject(&ours), &path).err().unwrap().exit_code(), 7);
    }

    #[test]
    fn a_recording_that_fails_leaves_nothing_behind() {
        let (model, input) = (model(0), Tensor::from_slice(&[1.0f32, 2.0]));
        let weights = parameters(&model);
        let failing = native::traced(&input, &weights, (TOLD, "{}"), |_| Err(Error::model("as it happens")));
        assert_eq!(failing.unwrap_err().to_string(), "as it happens");
        let thrown =
            native::traced(&input, &[], (TOLD, "{}"), |input| Ok(input.matmul(&Tensor::from_slice(&[1.0f32]))));
        assert_eq!(thrown.unwrap_err().exit_code(), 5);
        assert!(native::traced(&input, &[], (TOLD, "{}"), |input| Ok(input + 1.0)).is_ok());
    }
}
