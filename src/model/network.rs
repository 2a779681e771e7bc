//! Where a network's architecture comes from: a preset, Keras's JSON, or a short form.

use std::path::Path;

use super::presets::{self, PRESETS};
use super::spec::{ShortForm, Spec};
use super::{foreign, json_file};
use crate::data::ImageShape;
use crate::error::{Error, Result, nearest};

/// A network's architecture, and what of it the data decides.
#[derive(Debug, Clone, PartialEq)]
pub enum Architecture {
    /// Comes with the program; its input and its classes are those of the data.
    Preset(Spec),
    /// Keras's JSON: as it stands, but for an input that it does not say.
    Keras(Spec),
    /// A short form: what it leaves open is the data's.
    Short(ShortForm),
}

impl Architecture {
    /// The preset called `source`, or the network in the file at that path.
    ///
    /// # Errors
    /// A model error that says what the file is, and where in it something cannot be used.
    pub fn find(source: &str) -> Result<Self> {
        if let Some(spec) = presets::preset(source) {
            return Ok(Architecture::Preset(spec));
        }
        let path = Path::new(source);
        if path.exists() {
            return Architecture::read(path);
        }
        let names = PRESETS.map(|preset| preset.name);
        let (expected, known) =
            ("a preset's name, or the path of a Keras JSON or a short form", nearest(source, &names));
        Err(Error::model(format!("there is no network '{source}'{known}")).expected(expected))
    }

    /// The network in a file: Keras's JSON, or a short form.
    ///
    /// # Errors
    /// As [`Architecture::find`].
    pub fn read(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Err(foreign::folder(path).at_path(path));
        }
        let file_name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        json_file::read_bounded(path, json_file::MAX_JSON_BYTES)
            .and_then(|bytes| Architecture::parse(&bytes, &file_name))
            .map(|network| match network {
                Architecture::Short(form) => Architecture::Short(form.found_at(path.display())),
                other => other,
            })
            .map_err(|error| error.at_path(path))
    }

    /// The network in the bytes of a file called `file_name`.
    fn parse(bytes: &[u8], file_name: &str) -> Result<Self> {
        let text = json_file::text_of(bytes).filter(|text| !text.contains('\0'));
        let other = foreign::file(file_name, bytes);
        let other = other.or_else(|| text.is_none().then(|| foreign::error("a binary file", "")));
        if let Some(other) = other {
            return Err(other.expected("Keras's JSON, or a short form: a layer a line, such as Conv2D 32 3 relu"));
        }
        let text = text.expect("it is text");
        if !text.trim_start().starts_with(['{', '[', '"']) {
            let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
            return ShortForm::parse(&text, stem).map(Architecture::Short);
        }
        let document = json_file::parse_json(bytes)
            .map_err(|error| Error::model("the file is not JSON, though it begins as such").at(error.to_string()))?;
        Spec::from_json(&document).map(Architecture::Keras)
    }

    /// The network for images of `shape` in `num_classes` classes.
    ///
    /// # Errors
    /// A model error where a short form's layers do not go together for them.
    pub fn spec(&self, shape: ImageShape, num_classes: usize) -> Result<Spec> {
        match self {
            Architecture::Preset(spec) => {
                let mut spec = spec.clone();
                spec.adapt(shape, num_classes);
                Ok(spec)
            }
            Architecture::Keras(spec) => {
                let mut spec = spec.clone();
                spec.input_shape.get_or_insert_with(|| vec![shape.height, shape.width, shape.channels]);
                Ok(spec)
            }
            Architecture::Short(form) => form.spec(shape, num_classes),
        }
    }
}

#[cfg(test)]
mod tests;
