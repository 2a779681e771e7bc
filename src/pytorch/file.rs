//! The three forms of file.

use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::path::Path;

use safetensors::SafeTensors;
use zip::{CompressionMethod, ZipArchive};

use super::pickle::{self, Object};
use super::storage::{ElementKind, Storage};
use super::tensors::{self, StateDict};
use crate::error::{Error, Result};
use crate::files::bounded::read_up_to;

/// The longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 30;
/// The longest pickle, in bytes: names and shapes, no values.
const MAX_PICKLE_BYTES: u64 = 64 << 20;
/// What the older form begins with, as a number (`torch.serialization.MAGIC_NUMBER`).
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Every tensor in the file at `path` with its name, f32, in the file's order: those of a state dict, alone or under the key
/// `state_dict`, `model` and the like.
///
/// # Errors
/// A model error that says what the file is, or what in it cannot be used: any Python beside tensors, sizes that do not go
/// together, bytes that are missing.
pub fn read_weights(path: &Path) -> Result<StateDict> {
    let at_path = |error: Error| error.at_path(path);
    let unreadable = |error| at_path(Error::model("cannot read the weights").because(error));
    let file = File::open(path).map_err(unreadable)?;
    let bytes = read_up_to(file, MAX_FILE_BYTES).map_err(unreadable)?;
    let bytes = bytes.ok_or_else(|| at_path(Error::model("the file is too long").expected("at most 16 GiB")))?;
    read(&bytes).map_err(at_path)
}

/// As [`read_weights`], of a file's bytes.
fn read(bytes: &[u8]) -> Result<StateDict> {
    let is_safetensors = bytes.get(8) == Some(&b'{');
    match bytes {
        _ if is_safetensors => of_safetensors(bytes),
        [b'P', b'K', 3, 4, ..] => of_zip(bytes),
        [0x80, 1..=5, ..] => of_older(bytes),
        _ => Err(Error::model("the file holds no weights of PyTorch")
            .expected("a .safetensors, or what torch.save wrote: .pth, .pt, .bin")),
    }
}

fn of_safetensors(bytes: &[u8]) -> Result<StateDict> {
    let damaged = |error| Error::model("the weights are not a safetensors file").because(error);
    let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let mut found = Vec::new();
    for (name, view) in file.iter() {
        let Some(kind) = ElementKind::of_safetensors(view.dtype()) else {
            return Err(Error::model("the tensor's kind is not supported").got(format!("{:?}", view.dtype())).at(name));
        };
        let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        found.push((name.to_owned(), kind.values(view.data()).reshape(shape)));
    }
    Ok(StateDict::new(found))
}

fn of_zip(bytes: &[u8]) -> Result<StateDict> {
    let damaged = |error| Error::model("the archive is damaged, or is none").because(error);
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let pickles: Vec<&str> = archive.file_names().filter(|name| name.ends_with("/data.pkl")).collect();
    let [pickle] = pickles[..] else {
        return Err(Error::model("the zip archive is none of torch.save").expected("one <name>/data.pkl"));
    };
    let root = pickle.trim_end_matches("data.pkl").to_owned();
    let order = member(&mut archive, &format!("{root}byteorder"), 16)?;
    if order.is_some_and(|order| order != b"little") {
        return Err(Error::model("the file's byte order is not little endian"));
    }
    let pickle = member(&mut archive, &format!("{root}data.pkl"), MAX_PICKLE_BYTES)?.unwrap_or_default();
    let mut input = &pickle[..];
    let machine = pickle::run(&mut input)?;
    tensors::state_dict(&machine, &mut |storage: &Storage| {
        let limit = storage.num_bytes()?;
        let name = format!("{root}data/{}", storage.key);
        let values = member(&mut archive, &name, limit)?;
        values.ok_or_else(|| Error::model("the archive has not the values of a tensor").expected(name))
    })
}

/// A member's bytes; `None` where there is none of that name.
fn member(archive: &mut ZipArchive<impl Read + Seek>, name: &str, max_bytes: u64) -> Result<Option<Vec<u8>>> {
    if archive.index_for_name(name).is_none() {
        return Ok(None);
    }
    let damaged = |error: std::io::Error| Error::model("the archive is damaged").because(error).at(name);
    let file = archive.by_name(name).map_err(|error| damaged(error.into()))?;
    // torch.save packs nothing: what is packed could unpack to anything
    if file.compression() != CompressionMethod::Stored {
        return Err(Error::model("the archive is packed, as torch.save's are not").at(name));
    }
    let bytes = read_up_to(file, max_bytes).map_err(damaged)?;
    let too_long = || Error::model("the archive's member is too long").expected(format!("{max_bytes} bytes")).at(name);
    bytes.map(Some).ok_or_else(too_long)
}

/// Five pickles (magic number, version, system, the object, the storages' keys), then for each storage the number of its
/// elements and their bytes.
fn of_older(bytes: &[u8]) -> Result<StateDict> {
    let mut input = bytes;
    let magic = pickle::run(&mut input)?;
    if !matches!(magic.result(), Object::LongInteger(digits) if digits[..] == MAGIC) {
        return Err(
            Error::model("the file is a pickle, but none of torch.save").help("save model.state_dict() with it")
        );
    }
    let version = pickle::run(&mut input)?;
    if !matches!(version.result(), Object::Integer(1001)) {
        return Err(Error::model("the file is of an unknown version of torch.save").expected("1001"));
    }
    pickle::run(&mut input)?;
    let machine = pickle::run(&mut input)?;
    let keys = pickle::run(&mut input)?;
    let keys = pickle::texts(&keys)?;
    let storages = machine.storages();
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    for key in keys {
        let storage = storages.iter().find(|storage| storage.key == key);
        let storage = storage.ok_or_else(|| Error::model("the file names an unknown storage").got(&key))?;
        let (count, rest) = input.split_first_chunk::<8>().ok_or_else(cut_off)?;
        if u64::from_le_bytes(*count) != storage.num_elements {
            return Err(Error::model("a storage has another number of elements than its name says").at(&key));
        }
        let length = usize::try_from(storage.num_bytes()?).map_err(|_| cut_off())?;
        let (values, rest) = rest.split_at_checked(length).ok_or_else(cut_off)?;
        found.push((key, values.to_vec()));
        input = rest;
    }
    tensors::state_dict(&machine, &mut |storage: &Storage| {
        let values = found.iter().find(|(key, _)| *key == storage.key);
        values.map(|(_, values)| values.clone()).ok_or_else(|| Error::model("a storage is missing").got(&storage.key))
    })
}

fn cut_off() -> Error {
    Error::model("the file is cut off").help("copy or download it again")
}

#[cfg(test)]
mod tests;
