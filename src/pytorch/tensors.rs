//! Tensors from storages, and the state dict that has them by name.

use std::collections::HashMap;

use tch::{Kind, Tensor};

use super::pickle::{Machine, Object, TensorRecord};
use super::storage::Storage;
use crate::error::{Error, Result};

/// What a checkpoint calls the state dict in it.
const KEYS: [&str; 6] = ["state_dict", "model_state_dict", "state_dict_ema", "model_ema", "model", "net"];
/// What wrappers put before every name.
const PREFIXES: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// How many tensors may have the same values, on average: each becomes one of its own.
const MAX_SHARED: u64 = 4;

/// Tensors by name, f32 on the CPU, in the file's order.
#[derive(Debug)]
pub struct StateDict(Vec<(String, Tensor)>);

impl StateDict {
    /// Of tensors in order, what wraps their names taken off.
    pub(super) fn new(mut tensors: Vec<(String, Tensor)>) -> Self {
        while let Some(prefix) = PREFIXES
            .iter()
            .find(|prefix| !tensors.is_empty() && tensors.iter().all(|(name, _)| name.starts_with(*prefix)))
        {
            tensors.iter_mut().for_each(|(name, _)| *name = name[prefix.len()..].to_owned());
        }
        StateDict(tensors)
    }

    /// The tensor called `name`.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, tensor)| tensor)
    }

    /// The tensors with their names.
    pub fn tensors(&self) -> &[(String, Tensor)] {
        &self.0
    }
}

/// The tensors of the state dict that `machine`'s pickle gives. `read` gives a storage's bytes.
pub(super) fn state_dict(machine: &Machine, read: &mut dyn FnMut(&Storage) -> Result<Vec<u8>>) -> Result<StateDict> {
    let no_tensors = || {
        Error::model("the file holds no state dict")
            .expected("tensors by name, alone or under one of the keys ".to_owned() + &KEYS.join(", "))
            .help("in PyTorch: torch.save(model.state_dict(), \"weights.pth\")")
    };
    let dict = find(machine).ok_or_else(no_tensors)?;
    let mut flat: HashMap<String, Tensor> = HashMap::new();
    let mut found = Vec::new();
    let stored = machine.storages().iter().fold(0u64, |sum, storage| sum.saturating_add(storage.num_elements));
    let mut left = stored.saturating_mul(MAX_SHARED);
    for (name, record) in dict {
        let at = |error: Error| error.at(&name);
        let storage = &machine.storages()[record.storage];
        if !flat.contains_key(&storage.key) {
            let bytes = read(storage).map_err(at)?;
            if bytes.len() as u64 != storage.num_bytes()? {
                return Err(Error::model("a storage's values are cut off or too many")
                    .expected(format!("{} elements", storage.num_elements))
                    .at(&name));
            }
            flat.insert(storage.key.clone(), storage.kind.values(&bytes));
        }
        let count = num_values(record, storage.num_elements).map_err(at)?;
        left = left.checked_sub(count.cast_unsigned()).ok_or_else(|| {
            Error::model("too many tensors share their values").expected(format!("{MAX_SHARED} on average")).at(&name)
        })?;
        found.push((name.clone(), own_values(&flat[&storage.key], record, count)));
    }
    if found.is_empty() { Err(no_tensors()) } else { Ok(StateDict::new(found)) }
}

/// The dict of tensors: the pickle's result, or what it has under one of [`KEYS`].
fn find(machine: &Machine) -> Option<Vec<(String, &TensorRecord)>> {
    let of = |object: &Object| {
        let entries = machine.entries(object)?;
        let tensor = |(key, value): &(&Object, &Object)| match (key, value) {
            (Object::Text(name), Object::Tensor(record)) => Some((name.clone(), machine.tensor(*record))),
            _ => None,
        };
        let tensors: Vec<(String, &TensorRecord)> = entries.iter().filter_map(tensor).collect();
        (!tensors.is_empty()).then_some(tensors)
    };
    let within = |key: &&str| {
        let entries = machine.entries(machine.result())?;
        let named = |(name, _): &&(&Object, &Object)| matches!(name, Object::Text(name) if name == *key);
        of(entries.iter().find(named)?.1)
    };
    KEYS.iter().find_map(within).or_else(|| of(machine.result()))
}

/// How many values a tensor has, all of them within its storage of `num_elements`.
fn num_values(record: &TensorRecord, num_elements: u64) -> Result<i64> {
    let TensorRecord { offset, size, stride, .. } = record;
    let outside = || {
        Error::model("a tensor does not lie within its storage")
            .expected(format!("{num_elements} elements"))
            .got(format!("size {size:?}, stride {stride:?} from {offset} on"))
    };
    let is_usable = size.len() == stride.len() && size.iter().chain(stride).chain([offset]).all(|number| *number >= 0);
    if !is_usable {
        return Err(outside());
    }
    let count = size.iter().try_fold(1i64, |count, size| count.checked_mul(*size));
    let steps = size
        .iter()
        .zip(stride)
        .try_fold(*offset, |last, (size, stride)| last.checked_add((size - 1).max(0).checked_mul(*stride)?));
    let (Some(count), Some(last)) = (count, steps) else { return Err(outside()) };
    // an empty tensor reads nothing; none has more values than its storage
    let fits = count == 0 || last.cast_unsigned() < num_elements;
    if !fits || count.cast_unsigned() > num_elements {
        return Err(outside());
    }
    Ok(count)
}

/// A tensor's `count` values as a tensor of its own, contiguous.
fn own_values(flat: &Tensor, record: &TensorRecord, count: i64) -> Tensor {
    let TensorRecord { offset, size, stride, .. } = record;
    match count {
        0 => Tensor::zeros(size, (Kind::Float, tch::Device::Cpu)),
        _ => flat.as_strided(size, stride, *offset).contiguous().copy(),
    }
}
