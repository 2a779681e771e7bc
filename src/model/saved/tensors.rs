//! Tensors as safetensors files: the weights of saved and exported models, and optimizers' states.

use std::collections::HashMap;
use std::io::{self, Write};

use safetensors::tensor::{Dtype, Metadata, TensorInfo, TensorView};
use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};

/// So many values are on their way to a file, or out of one, at once.
const CHUNK: usize = 1 << 16;

/// Named f32 tensors that are to be a safetensors file. Their values are read when it is written.
#[derive(Debug)]
pub struct TensorFile {
    /// The format's first bytes: the length of a JSON, and the JSON, filled up to 8 bytes.
    header: Vec<u8>,
    /// In the order of the file.
    tensors: Vec<Tensor>,
}

impl TensorFile {
    /// `tensors` with `metadata`. The file has them in the order of their names.
    ///
    /// # Errors
    /// An internal error where two have one name.
    pub(crate) fn new(
        tensors: impl Iterator<Item = (String, Tensor)>,
        metadata: HashMap<String, String>,
    ) -> Result<Self> {
        let mut tensors: Vec<(String, Tensor)> = tensors.collect();
        tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut end = 0;
        let infos = tensors.iter().map(|(name, tensor)| {
            let start = end;
            end += tensor.numel() * size_of::<f32>();
            let shape = tensor.size().iter().map(|&size| size as usize).collect();
            (name.clone(), TensorInfo { dtype: Dtype::F32, shape, data_offsets: (start, end) })
        });
        let failed = |reason: String| Error::internal("cannot write tensors").because(reason);
        let metadata = Metadata::new(Some(metadata), infos.collect()).map_err(|error| failed(error.to_string()))?;
        if metadata.tensors().len() != tensors.len() {
            return Err(failed("two of them have one name".to_owned()));
        }
        let mut json = serde_json::to_vec(&metadata).expect("text and numbers");
        json.resize(json.len().next_multiple_of(8), b' ');
        let header = [&(json.len() as u64).to_le_bytes()[..], &json].concat();
        Ok(TensorFile { header, tensors: tensors.into_iter().map(|(_, tensor)| tensor).collect() })
    }

    /// Writes the file. Waits for the device that the tensors lie on.
    ///
    /// # Errors
    /// What the writer says.
    pub(crate) fn write(&self, writer: &mut dyn Write) -> io::Result<()> {
        writer.write_all(&self.header)?;
        self.tensors.iter().try_for_each(|tensor| write_values(tensor, writer))
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes).expect("memory takes it");
        bytes
    }
}

/// Writes the values of an f32 tensor in row-major order, little-endian, some at a time.
fn write_values(tensor: &Tensor, writer: &mut dyn Write) -> io::Result<()> {
    // waits for the device
    let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous().view([-1]);
    let (mut values, mut bytes) = (vec![0_f32; CHUNK], Vec::with_capacity(CHUNK * size_of::<f32>()));
    for chunk in flat.split(CHUNK as i64, 0) {
        let values = &mut values[..chunk.numel()];
        chunk.copy_data(values, values.len());
        bytes.clear();
        values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        writer.write_all(&bytes)?;
    }
    Ok(())
}

/// The values of an f32 tensor in row-major order, little-endian.
pub(crate) fn bytes_of(tensor: &Tensor) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(tensor.numel() * size_of::<f32>());
    write_values(tensor, &mut bytes).expect("memory takes it");
    bytes
}

/// An f32 tensor from a safetensors file.
pub(crate) fn tensor_of(view: &TensorView) -> Tensor {
    let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
    let tensor = Tensor::empty(shape, (Kind::Float, Device::Cpu));
    let (values, _) = view.data().as_chunks::<4>();
    let flat = tensor.view([-1]);
    for (chunk, values) in flat.split(CHUNK as i64, 0).iter_mut().zip(values.chunks(CHUNK)) {
        let values: Vec<f32> = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        chunk.copy_(&Tensor::from_slice(&values));
    }
    tensor
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;

    #[test]
    fn a_file_of_tensors_is_the_one_that_the_library_writes() {
        let long = Tensor::arange(2 * CHUNK as i64 + 3, (Kind::Float, Device::Cpu));
        let turned = Tensor::arange(6, (Kind::Float, Device::Cpu)).view([2, 3]).transpose(0, 1);
        let tensors = [
            ("b.long", long),
            ("a", turned),
            ("c", Tensor::from(0.5_f32)),
            ("d", Tensor::zeros([0, 3], (Kind::Float, Device::Cpu))),
        ];
        let named = || tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.shallow_clone()));
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let bytes = TensorFile::new(named(), metadata.clone()).unwrap().to_bytes();
        let values: Vec<(String, Vec<usize>, Vec<u8>)> = named()
            .map(|(name, tensor)| (name, tensor.size().iter().map(|&size| size as usize).collect(), bytes_of(&tensor)))
            .collect();
        let views = values.iter().map(|(name, shape, bytes)| {
            (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("the bytes are the shape's"))
        });
        assert!(bytes == safetensors::serialize(views, Some(metadata)).unwrap());
        let file = SafeTensors::deserialize(&bytes).unwrap();
        for (name, tensor) in named() {
            assert_eq!(tensor_of(&file.tensor(&name).unwrap()), tensor, "{name}");
        }
        let twice = named().chain(named());
        assert!(TensorFile::new(twice, HashMap::new()).is_err());
    }
}
