//! The values of a pickle and what its calls make of them.

use super::super::storage::{ElementKind, Storage};
use crate::error::{Error, Result};

/// The most objects of one pickle, what they hold counted too.
const MAX_OBJECTS: usize = 8_000_000;
/// The most arguments of a call, and sizes of a tensor.
const MAX_ARGUMENTS: usize = 16;

/// The place of an object.
pub(in super::super) type Place = usize;

/// A value of a pickle.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Object {
    None,
    Bool(bool),
    Integer(i64),
    /// An integer of more than eight bytes, little endian.
    LongInteger(Vec<u8>),
    Float,
    Text(String),
    Bytes,
    List(Vec<Place>),
    Tuple(Vec<Place>),
    Dict(Vec<(Place, Place)>),
    /// What Python would look up.
    Name(Name),
    /// The number of a storage.
    Storage(usize),
    /// The number of a tensor.
    Tensor(usize),
}

/// What a pickle of tensors names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Name {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    StorageOf(ElementKind),
}

/// A tensor: a part of a storage.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct TensorRecord {
    pub storage: usize,
    pub offset: i64,
    pub size: Vec<i64>,
    pub stride: Vec<i64>,
}

/// What a pickle made.
#[derive(Default)]
pub(in super::super) struct Machine {
    pub(super) objects: Vec<Object>,
    storages: Vec<Storage>,
    tensors: Vec<TensorRecord>,
    pub(super) result: Place,
    /// How many objects there are, what they hold counted too.
    spent: usize,
}

impl Machine {
    /// What the pickle gives.
    pub fn result(&self) -> &Object {
        self.object(self.result)
    }

    pub fn storages(&self) -> &[Storage] {
        &self.storages
    }

    pub fn tensor(&self, number: usize) -> &TensorRecord {
        &self.tensors[number]
    }

    /// A dict's keys and values.
    pub fn entries(&self, object: &Object) -> Option<Vec<(&Object, &Object)>> {
        let Object::Dict(entries) = object else { return None };
        Some(entries.iter().map(|&(key, value)| (self.object(key), self.object(value))).collect())
    }

    pub(super) fn object(&self, place: Place) -> &Object {
        &self.objects[place]
    }

    pub(super) fn add(&mut self, object: Object) -> Result<Place> {
        let held = match &object {
            Object::List(items) | Object::Tuple(items) => items.len(),
            Object::Dict(entries) => entries.len(),
            Object::Text(text) => text.len() / 16,
            _ => 0,
        };
        self.spent += 1 + held;
        if self.spent > MAX_OBJECTS {
            return Err(Error::model("the pickle has too many objects").expected(format!("at most {MAX_OBJECTS}")));
        }
        self.objects.push(object);
        Ok(self.objects.len() - 1)
    }

    /// What `callable` makes of `arguments`.
    pub(super) fn call(&mut self, callable: Place, arguments: Place) -> Result<Object> {
        let arguments = self.arguments(arguments)?;
        match (self.object(callable), &arguments[..]) {
            (Object::Name(Name::OrderedDict), []) => Ok(Object::Dict(Vec::new())),
            (Object::Name(Name::OrderedDict), [items]) => self.dict_of(*items),
            (Object::Name(Name::RebuildTensor), [storage, offset, size, stride, ..]) => {
                let Object::Storage(storage) = *self.object(*storage) else { return Err(not_understood("a tensor")) };
                let offset = self.integer(*offset)?;
                let (size, stride) = (self.integers(*size)?, self.integers(*stride)?);
                self.tensors.push(TensorRecord { storage, offset, size, stride });
                Ok(Object::Tensor(self.tensors.len() - 1))
            }
            (Object::Name(Name::RebuildParameter), [tensor, ..]) => match *self.object(*tensor) {
                Object::Tensor(tensor) => Ok(Object::Tensor(tensor)),
                _ => Err(not_understood("a parameter")),
            },
            _ => Err(not_understood("a call")),
        }
    }

    /// A short tuple's items.
    fn arguments(&self, place: Place) -> Result<Vec<Place>> {
        match self.object(place) {
            Object::Tuple(items) if items.len() <= MAX_ARGUMENTS => Ok(items.clone()),
            _ => Err(not_understood("a call")),
        }
    }

    /// `OrderedDict` of a list of pairs.
    fn dict_of(&self, items: Place) -> Result<Object> {
        let (Object::List(items) | Object::Tuple(items)) = self.object(items) else {
            return Err(not_understood("a dict"));
        };
        let pair = |item: &Place| match self.object(*item) {
            Object::Tuple(pair) | Object::List(pair) if pair.len() == 2 => Ok((pair[0], pair[1])),
            _ => Err(not_understood("a dict")),
        };
        items.iter().map(pair).collect::<Result<_>>().map(Object::Dict)
    }

    /// The storage that `identifier` names: `("storage", type, key, location, elements, …)`.
    pub(super) fn storage(&mut self, identifier: Place) -> Result<Object> {
        let wrong = || not_understood("a persistent id");
        let parts = self.arguments(identifier)?;
        let [tag, kind, key, _, elements, ref view @ ..] = parts[..] else { return Err(wrong()) };
        if view.iter().any(|part| *self.object(*part) != Object::None) {
            return Err(not_understood("a storage within a storage"));
        }
        let (Object::Text(tag), Object::Name(Name::StorageOf(kind)), Object::Text(key)) =
            (self.object(tag), self.object(kind), self.object(key))
        else {
            return Err(wrong());
        };
        let num_elements = u64::try_from(self.integer(elements)?).map_err(|_| wrong())?;
        let storage = Storage { key: key.clone(), kind: *kind, num_elements };
        if tag != "storage" {
            return Err(wrong());
        }
        match self.storages.iter().position(|known| known.key == storage.key) {
            Some(known) if self.storages[known] == storage => Ok(Object::Storage(known)),
            Some(_) => Err(Error::model("two storages have one name").got(&storage.key)),
            None => {
                self.storages.push(storage);
                Ok(Object::Storage(self.storages.len() - 1))
            }
        }
    }

    fn integer(&self, place: Place) -> Result<i64> {
        match self.object(place) {
            Object::Integer(number) => Ok(*number),
            _ => Err(not_understood("a number")),
        }
    }

    fn integers(&self, place: Place) -> Result<Vec<i64>> {
        match self.object(place) {
            Object::Tuple(items) | Object::List(items) if items.len() <= MAX_ARGUMENTS => {
                items.iter().map(|&item| self.integer(item)).collect()
            }
            _ => Err(not_understood("a size")),
        }
    }
}

/// The list of texts that a pickle gives.
pub(in super::super) fn texts(machine: &Machine) -> Result<Vec<String>> {
    let Object::List(items) = machine.result() else { return Err(not_understood("the list of storages")) };
    let text = |item: &Place| match machine.object(*item) {
        Object::Text(text) => Ok(text.clone()),
        _ => Err(not_understood("the list of storages")),
    };
    items.iter().map(text).collect()
}

pub(super) fn not_understood(what: &str) -> Error {
    Error::model(format!("the file's pickle has {what} that is none of tensors"))
        .help("save the weights alone: torch.save(model.state_dict(), \"weights.pth\")")
}
