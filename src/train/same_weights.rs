//! Whether all processes have the same weights: each updates its own, by the same sums.

use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use crate::distributed::Group;
use crate::error::{Error, ErrorKind, Result};
use crate::files::hex;
use crate::model::Model;

/// Compares a hash of each weight of `model` with those of process 0. Waits for the device.
///
/// # Errors
/// A check's error that names process and weight, and what another process failed at.
pub(super) fn check(model: &Model, group: &Group) -> Result<()> {
    if group.is_alone() {
        return Ok(());
    }
    let hashes: Vec<i64> = model.weights().iter().map(|weight| hash(&weight.tensor)).collect();
    let all = group.gather(&hashes)?;
    for (rank, others) in all.iter().enumerate().skip(1) {
        if let Some(at) = (0..hashes.len()).find(|&at| others[at] != all[0][at]) {
            let weight = &model.weights()[at];
            let what = format!("the weights of process {rank} are no longer those of process 0");
            return Err(Error::new(ErrorKind::Check, what)
                .at(format!("layer {}, weight {}", weight.layer(), weight.name))
                .help("the processes have to run the same program on the same kind of device; the last checkpoint is whole"));
        }
    }
    Ok(())
}

/// A text that tells the weights of `model` from others. Waits for the device.
pub fn weights_hash(model: &Model) -> String {
    let mut hash_of_all = Sha256::new();
    model.weights().iter().for_each(|weight| hash_of_all.update(hash(&weight.tensor).to_le_bytes()));
    hex(&hash_of_all.finalize())
}

/// 63 bits of the SHA-256 of a tensor's values.
fn hash(tensor: &Tensor) -> i64 {
    let values = tensor.detach().to_device(tch::Device::Cpu).to_kind(Kind::Float).contiguous();
    let values = Vec::<f32>::try_from(values.view(-1)).expect("a flat f32 tensor");
    let mut hash = Sha256::new();
    values.iter().for_each(|value| hash.update(value.to_le_bytes()));
    let digest = hash.finalize();
    i64::from_le_bytes(digest[..8].try_into().expect("a hash has 32 bytes")) >> 1
}
