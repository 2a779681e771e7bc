//! Storages: the values behind tensors.

use safetensors::tensor::Dtype;
use tch::{Kind, Tensor};

use crate::error::{Error, Result};

/// What a storage holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementKind {
    Float,
    Double,
    Half,
    BFloat16,
    Int,
    Long,
    Short,
    Byte,
    Char,
    Bool,
}

/// The values behind one tensor or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    pub key: String,
    pub kind: ElementKind,
    pub num_elements: u64,
}

impl ElementKind {
    /// By the name of PyTorch's storage: `FloatStorage`.
    pub fn of_storage(name: &str) -> Option<Self> {
        Some(match name.strip_suffix("Storage")? {
            "Float" => ElementKind::Float,
            "Double" => ElementKind::Double,
            "Half" => ElementKind::Half,
            "BFloat16" => ElementKind::BFloat16,
            "Int" => ElementKind::Int,
            "Long" => ElementKind::Long,
            "Short" => ElementKind::Short,
            "Byte" => ElementKind::Byte,
            "Char" => ElementKind::Char,
            "Bool" => ElementKind::Bool,
            _ => return None,
        })
    }

    pub fn of_safetensors(dtype: Dtype) -> Option<Self> {
        Some(match dtype {
            Dtype::F32 => ElementKind::Float,
            Dtype::F64 => ElementKind::Double,
            Dtype::F16 => ElementKind::Half,
            Dtype::BF16 => ElementKind::BFloat16,
            Dtype::I32 => ElementKind::Int,
            Dtype::I64 => ElementKind::Long,
            Dtype::I16 => ElementKind::Short,
            Dtype::U8 => ElementKind::Byte,
            Dtype::I8 => ElementKind::Char,
            Dtype::BOOL => ElementKind::Bool,
            _ => return None,
        })
    }

    fn torch(self) -> Kind {
        match self {
            ElementKind::Float => Kind::Float,
            ElementKind::Double => Kind::Double,
            ElementKind::Half => Kind::Half,
            ElementKind::BFloat16 => Kind::BFloat16,
            ElementKind::Int => Kind::Int,
            ElementKind::Long => Kind::Int64,
            ElementKind::Short => Kind::Int16,
            ElementKind::Byte => Kind::Uint8,
            ElementKind::Char => Kind::Int8,
            ElementKind::Bool => Kind::Bool,
        }
    }

    /// The values in `bytes` (little endian, whole elements) as a flat f32 tensor.
    pub fn values(self, bytes: &[u8]) -> Tensor {
        let kind = self.torch();
        let count = bytes.len() / kind.elt_size_in_bytes();
        Tensor::from_data_size(bytes, &[count as i64], kind).to_kind(Kind::Float)
    }
}

impl Storage {
    /// How long its values are.
    pub fn num_bytes(&self) -> Result<u64> {
        let size = self.kind.torch().elt_size_in_bytes() as u64;
        let bytes = self.num_elements.checked_mul(size).filter(|bytes| *bytes < 1 << 40);
        bytes.ok_or_else(|| Error::model("a storage is too large").got(self.num_elements).at(&self.key))
    }
}
