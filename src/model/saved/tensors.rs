//! Tensors as safetensors files: the weights of saved and exported models, and optimizers' states.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, TensorView};
use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};

/// f32 tensors as the bytes of a safetensors file.
pub(crate) fn to_safetensors(
    tensors: impl Iterator<Item = (String, Tensor)>,
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>> {
    let values: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .map(|(name, tensor)| {
            let shape = tensor.size().iter().map(|&size| size as usize).collect();
            (name, shape, bytes_of(&tensor))
        })
        .collect();
    let views = values.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("the bytes are the shape's");
        (name, view)
    });
    safetensors::serialize(views, Some(metadata))
        .map_err(|error| Error::internal("cannot write tensors").because(error))
}

/// The values of an f32 tensor in row-major order, little-endian.
pub(crate) fn bytes_of(tensor: &Tensor) -> Vec<u8> {
    // waits for the device
    let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous().view([-1]);
    let values = Vec::<f32>::try_from(&flat).expect("a flat f32 tensor on the CPU");
    let mut bytes = Vec::with_capacity(size_of_val(&values[..]));
    values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    bytes
}

/// An f32 tensor from a safetensors file.
pub(crate) fn tensor_of(view: &TensorView) -> Tensor {
    let (bytes, _) = view.data().as_chunks::<4>();
    let values: Vec<f32> = bytes.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
    Tensor::from_slice(&values).reshape(shape)
}
