//! A model as the bytes of Keras's files.

use serde_json::Value;

use super::{archive, metadata, names, portable, write};
use crate::error::Result;
use crate::model::Model;

/// Which of Keras's forms a model takes on the way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KerasFormat {
    /// One `.keras` archive.
    Archive,
    /// Keras 3's JSON and `.weights.h5`.
    Json,
    /// One `.h5` with the portable JSON in it.
    LegacyModel,
    /// The portable JSON and a legacy `.h5` of weights.
    Portable,
}

/// The bytes of a model's files: the main one, then the weights where they are a file of their own.
///
/// # Errors
/// A model error where the network cannot be said in that form.
pub(crate) fn to_files(model: &Model, labels: &[String], format: KerasFormat) -> Result<Vec<Vec<u8>>> {
    let spec = names::usable(model.spec(), matches!(format, KerasFormat::LegacyModel | KerasFormat::Portable));
    let plan = spec.plan()?;
    let mut document = match format {
        KerasFormat::Archive | KerasFormat::Json => spec.to_json(),
        KerasFormat::LegacyModel | KerasFormat::Portable => portable::portable(&spec)?,
    };
    document["convnet"] = metadata::to_json(model, labels)?;
    let text = |document: &Value| serde_json::to_string_pretty(document).expect("a JSON value is printable") + "\n";
    Ok(match format {
        KerasFormat::Archive => {
            vec![archive::to_bytes(&document, &write::keras3_bytes(model, &plan.layers)?, write::KERAS_VERSION)?]
        }
        KerasFormat::Json => vec![text(&document).into_bytes(), write::keras3_bytes(model, &plan.layers)?],
        KerasFormat::LegacyModel => vec![write::legacy_bytes(model, &plan.layers, Some(&document))?],
        KerasFormat::Portable => vec![text(&document).into_bytes(), write::legacy_bytes(model, &plan.layers, None)?],
    })
}
