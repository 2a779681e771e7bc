//! A saved model part by part, so that each can be verified on its own: a file of it may be damaged.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tch::Device;

use super::super::json_file::{check_seal, read_unchecked};
use super::super::seal::to_text;
use super::super::{Model, Spec};
use super::document::{self, ConvnetKey, FileInfo, VERSION};
use super::golden::{Golden, GoldenComparison};
use super::{ModelInfo, build};
use crate::error::{Error, Result};
use crate::files;

/// The longest file of a model that is read, in bytes.
const MAX_BYTES: u64 = 1 << 40;

/// The parts of a saved model.
pub struct SavedParts {
    json_path: PathBuf,
    bytes: Vec<u8>,
    document: Value,
}

impl SavedParts {
    /// Reads the JSON at `json_path`; nothing of it is checked yet.
    ///
    /// # Errors
    /// A model error where it cannot be read or is not JSON.
    pub fn open(json_path: &Path) -> Result<Self> {
        let (bytes, document) = read_unchecked(json_path)?;
        Ok(SavedParts { json_path: json_path.to_owned(), bytes, document })
    }

    /// The JSON's checksum; none where an older version saved it.
    ///
    /// # Errors
    /// A model error where the JSON is not as it was saved.
    pub fn seal(&self) -> Result<Option<&str>> {
        check_seal(&self.bytes, &self.document).map_err(|error| self.at(error))
    }

    /// What the JSON says of the model.
    ///
    /// # Errors
    /// A model error where it says nothing that can be used.
    pub fn info(&self) -> Result<ModelInfo> {
        Ok(self.parse()?.1.into_info())
    }

    /// Checks the weights' file: its name and its checksum.
    ///
    /// # Errors
    /// A model error where it cannot be read; inside, one where it is not the one that was saved.
    pub fn weights(&self) -> Result<(String, Result<String>)> {
        self.file(&self.parse()?.1.weights, "weights")
    }

    /// As [`SavedParts::weights`], of the optimizer's state; none where the model has none.
    ///
    /// # Errors
    /// As [`SavedParts::weights`].
    pub fn state(&self) -> Result<Option<(String, Result<String>)>> {
        self.parse()?.1.state.as_ref().map(|file| self.file(file, "state's values")).transpose()
    }

    /// The model on `device`, whether or not the JSON is as it was saved.
    ///
    /// # Errors
    /// As [`super::load`].
    pub fn model(&self, device: Device) -> Result<Model> {
        let (spec, key) = self.parse()?;
        build(spec, &key, &self.json_path, device)
    }

    /// Computes the golden outputs again with `model`, on its device; none where the model has none.
    ///
    /// # Errors
    /// A model error where they do not go with the network, a device error where libtorch fails.
    pub fn golden(&self, model: &Model) -> Result<Option<GoldenComparison>> {
        let golden = self.parse()?.1.golden.map(|golden| golden.compare(model)).transpose();
        golden.map_err(|error| self.at(error))
    }

    fn parse(&self) -> Result<(Spec, ConvnetKey)> {
        document::parse(&self.document).map_err(|error| self.at(error))
    }

    fn file(&self, file: &FileInfo, what: &str) -> Result<(String, Result<String>)> {
        let (path, bytes) = file.read(&self.json_path, MAX_BYTES, what)?;
        let checked = file.check(&bytes, what).map(|()| file.sha256().to_owned());
        Ok((file.name().to_owned(), checked.map_err(|error| error.at_path(&path))))
    }

    fn at(&self, error: Error) -> Error {
        error.at_path(&self.json_path)
    }
}

/// Takes the saved model at `json_path` as it is now, though its JSON was changed or is of an older version: gives it golden outputs,
/// computed on `device`, and the JSON a checksum. The weights have to be those that it names.
///
/// # Errors
/// As [`super::load`], and an internal error where the disk does not take the new JSON.
pub fn seal(json_path: &Path, device: Device) -> Result<()> {
    let parts = SavedParts::open(json_path)?;
    let golden = Golden::of(&parts.model(device)?)?;
    let mut document = parts.document;
    document["convnet"]["version"] = VERSION.into();
    match golden {
        Some(golden) => {
            document["convnet"]["golden"] = serde_json::to_value(golden).expect("plain numbers and text");
        }
        None => drop(document["convnet"].as_object_mut().map(|key| key.shift_remove("golden"))),
    }
    let text = to_text(document);
    files::write_atomically(json_path, |writer| writer.write_all(text.as_bytes()))
        .map_err(|error| Error::internal("cannot save the model's JSON").at_path(json_path).because(error))
}
