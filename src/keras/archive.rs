//! `.keras` archives: a zip of `metadata.json`, `config.json` (the architecture) and `model.weights.h5`.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, Write};
use std::path::Path;

use serde_json::{Value, json};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::error::{Error, Result};
use crate::model::json_file::parse_json;

/// The names that Keras gives to the members.
pub(super) const CONFIG: &str = "config.json";
pub(super) const WEIGHTS: &str = "model.weights.h5";
/// The longest architecture that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 64 << 20;
/// How many times its packed length a member may unpack to (Keras does not pack: 1), and what small ones are granted
/// beside, in bytes.
const MAX_UNPACKED: u64 = 16;
const ALLOWANCE_BYTES: u64 = 32 << 20;

/// The two members of an archive that matter.
pub(super) struct Archive {
    /// The architecture, with compile settings.
    pub config: Value,
    /// The bytes of an HDF5 file.
    pub weights: Vec<u8>,
}

/// Reads the archive at `path`.
///
/// # Errors
/// A model error where it is no such archive, a member is missing, damaged or unreasonably packed.
pub(super) fn read(path: &Path) -> Result<Archive> {
    let file = File::open(path).map_err(|error| Error::model("cannot read the file").because(error))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    let config = member(&mut archive, CONFIG, MAX_CONFIG_BYTES)?;
    let config = parse_json(&config)
        .map_err(|error| Error::model("the archive's architecture is not JSON").because(error).at(CONFIG))?;
    let weights = member(&mut archive, WEIGHTS, u64::MAX)?;
    Ok(Archive { config, weights })
}

/// A member's bytes, its checksum checked.
fn member(archive: &mut ZipArchive<impl Read + Seek>, name: &str, max_bytes: u64) -> Result<Vec<u8>> {
    let member = archive.by_name(name).map_err(|error| match error {
        ZipError::FileNotFound => Error::model(format!("the archive has no {name}")).help("is it a .keras file?"),
        error => damaged(error).at(name),
    })?;
    let limit = member.compressed_size().saturating_mul(MAX_UNPACKED).saturating_add(ALLOWANCE_BYTES).min(max_bytes);
    let mut bytes = Vec::new();
    member.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| damaged(error).at(name))?;
    match bytes.len() as u64 > limit {
        true => {
            Err(Error::model("the archive unpacks to too much").expected(format!("at most {limit} bytes")).at(name))
        }
        false => Ok(bytes),
    }
}

/// An archive's bytes, its members not packed, as Keras writes it, but without a date: the same model is the same file.
pub(super) fn to_bytes(config: &Value, weights: &[u8], keras_version: &str) -> Result<Vec<u8>> {
    let metadata = json!({ "keras_version": keras_version });
    let failed = |error: ZipError| Error::internal("cannot write the archive").because(error);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in [
        ("metadata.json", metadata.to_string().as_bytes()),
        (CONFIG, config.to_string().as_bytes()),
        (WEIGHTS, weights),
    ] {
        let options = options.large_file(bytes.len() >= u32::MAX as usize);
        writer.start_file(name, options).map_err(failed)?;
        writer.write_all(bytes).map_err(|error| failed(error.into()))?;
    }
    Ok(writer.finish().map_err(failed)?.into_inner())
}

fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::model("the archive is damaged, or is none").because(error).help("copy or save the file again")
}
