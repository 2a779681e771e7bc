//! A Functional network from its `config`.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::super::checks::{BOOKKEEPING, check_keys, missing, string};
use super::super::{Graph, Layer, LayerSpec, Spec};
use super::calls::{FileCall, History, history};
use super::operations;
use super::order::{self, Node, Ordered};
use crate::error::{Error, Result, nearest};

/// An element of `layers` as the file has it.
pub(in super::super) struct FileEntry {
    /// What stands for itself: class and settings of a layer, of a function the layer that computes it.
    pub own: Map<String, Value>,
    name: Option<String>,
    is_function: bool,
    calls: Vec<FileCall>,
}

/// An element of `layers`.
pub(in super::super) struct Entry {
    name: String,
    /// None for the input.
    layer: Option<Layer>,
    calls: Vec<FileCall>,
}

impl FileEntry {
    /// Reads an element. `keeps_inference`: whether `training=False` of a call holds in training, too.
    ///
    /// # Errors
    /// A model error with the place in it.
    pub fn read(entry: &Map<String, Value>, keeps_inference: bool) -> Result<Self> {
        check_keys(entry, &["class_name", "config", "name", "inbound_nodes"])?;
        let nodes = entry.get("inbound_nodes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let calls = nodes
            .iter()
            .enumerate()
            .map(|(index, node)| FileCall::read(node).map_err(|error| error.at(format!("inbound_nodes[{index}]"))));
        let mut calls = calls.collect::<Result<Vec<FileCall>>>()?;
        calls.iter_mut().for_each(|call| call.in_inference &= keeps_inference);
        let mut own: Map<String, Value> = entry.clone();
        own.retain(|key, _| !["name", "inbound_nodes"].contains(&key.as_str()));
        let name = string(entry, "name")?;
        let is_function = rewrite_operation(&mut own, name, &calls)?;
        Ok(FileEntry { own, name: name.map(str::to_owned), is_function, calls })
    }

    /// With the layer that `own` is; `None` for the input.
    ///
    /// # Errors
    /// A model error for a call that no layer here takes, or without a name.
    pub fn with_layer(self, layer: Option<Layer>) -> Result<Entry> {
        let FileEntry { own, name, is_function, calls } = self;
        if !is_function {
            calls.iter().try_for_each(FileCall::check_layer)?;
        }
        let own_name = match &layer {
            None => own.get("config").and_then(|config| config.get("name")).and_then(Value::as_str),
            Some(layer) => Some(layer.name.as_str()),
        };
        // what calls refer to is the name of the entry; in the network a layer has its own
        let name = name.or(own_name.map(str::to_owned)).ok_or_else(|| missing("name"))?;
        Ok(Entry { name, layer, calls })
    }
}

/// Makes the layer of an entry that is a function. Whether it is one.
fn rewrite_operation(entry: &mut Map<String, Value>, name: Option<&str>, calls: &[FileCall]) -> Result<bool> {
    let class_name = string(entry, "class_name")?.ok_or_else(|| missing("class_name"))?.to_owned();
    if !operations::is_operation(&class_name, entry.get("module").and_then(Value::as_str)) {
        return Ok(false);
    }
    let empty = Map::new();
    let config = entry.get("config").and_then(Value::as_object).unwrap_or(&empty);
    let [call] = calls else {
        return Err(
            Error::model(format!("the function '{class_name}' is called in another way than once")).got(calls.len())
        );
    };
    let (class_name, mut settings) = operations::as_layer(&class_name, config, call)?;
    let name = config.get("name").and_then(Value::as_str).or(name);
    if let Some(name) = name {
        settings["name"] = name.into();
    }
    entry.retain(|key, _| !BOOKKEEPING.contains(&key.as_str()));
    entry.insert("class_name".into(), class_name.into());
    entry.insert("config".into(), settings);
    Ok(true)
}

/// The one element of `input_layers` or `output_layers`, which may be in a list.
fn only(config: &Map<String, Value>, key: &str, what: &str) -> Result<History> {
    let value = config.get(key).ok_or_else(|| missing(key))?;
    let several =
        || Error::model(format!("a network with several {what}s is not supported")).expected(format!("one {what}"));
    let items = match value {
        Value::Array(items) => items,
        Value::Object(named) if named.len() == 1 => {
            let only = named.values().next().and_then(Value::as_array);
            only.ok_or_else(|| several().at(key))? // a dict of one
        }
        _ => return Err(several().at(key)),
    };
    match &items[..] {
        [Value::String(_), ..] => history(items),
        [Value::Array(one)] => history(one),
        [] => Err(Error::model(format!("the network has no {what}"))),
        several_items => Err(several().got(several_items.len())),
    }
    .map_err(|error| error.at(key))
}

/// Puts the layers of `spec` into Keras's order and their calls behind what they read. `config` says what goes in and what
/// comes out.
///
/// # Errors
/// A model error that names the layer whose inputs cannot be found, or what is not one input or one output.
pub(in super::super) fn assemble(mut spec: Spec, entries: Vec<Entry>, config: &Map<String, Value>) -> Result<Spec> {
    let input = &only(config, "input_layers", "input")?;
    let output = &only(config, "output_layers", "output")?;
    let places = Places::of(&entries)?;
    let is_input = |entry: usize| entries[entry].layer.is_none();
    let input_entry = places.entry(&input.layer)?;
    if !is_input(input_entry) {
        return Err(Error::model("the network's input is not an InputLayer").got(&input.layer).at("input_layers"));
    }
    let output = places.output(output, &entries).map_err(|error| error.at("output_layers"))?;
    let output = output.ok_or_else(|| Error::model("the network's output is its input").at("output_layers"))?;
    let mut nodes = Vec::new();
    for (layer, entry) in entries.iter().enumerate() {
        for call in &entry.calls {
            let inputs = call.tensors().into_iter().map(|history| places.node(history, &entries));
            let inputs =
                inputs.collect::<Result<Vec<_>>>().map_err(|error| error.at(format!("layer {}", entry.name)))?;
            if inputs.is_empty() {
                return Err(Error::model("a layer takes no other's output").at(format!("layer {}", entry.name)));
            }
            nodes.push(Node { layer, inputs, in_inference: call.in_inference });
        }
    }
    let Ordered { layers, calls } = order::ordered(&nodes, output, &|entry| entries[entry].name.clone())?;
    let is_used = |entry: &usize| is_input(*entry) || layers.contains(entry);
    if calls.len() < nodes.len() || !(0..entries.len()).all(|entry| is_used(&entry)) {
        let unused = (0..entries.len())
            .find(|entry| !is_used(entry))
            .map_or("a layer's second call".to_owned(), |entry| format!("layer {}", entries[entry].name));
        return Err(Error::model("the network's output does not depend on all of its layers").got(unused));
    }
    let mut found: Vec<Option<Layer>> = entries.into_iter().map(|entry| entry.layer).collect();
    spec.layers = layers.iter().filter_map(|&entry| found[entry].take()).collect();
    spec.graph = Some(Graph { input_name: input.layer.clone(), calls });
    Ok(spec)
}

impl Entry {
    fn is_network(&self) -> bool {
        self.layer.as_ref().is_some_and(|layer| matches!(layer.spec, LayerSpec::Network(_)))
    }
}

/// Where names and calls lie.
struct Places {
    entries: HashMap<String, usize>,
    /// The number of each entry's first node.
    first_nodes: Vec<usize>,
    /// What each entry's calls are counted from.
    first_calls: Vec<usize>,
}

impl Places {
    fn of(entries: &[Entry]) -> Result<Self> {
        let mut places =
            Places { entries: HashMap::new(), first_nodes: Vec::new(), first_calls: vec![0; entries.len()] };
        let mut next = 0;
        for (index, entry) in entries.iter().enumerate() {
            places.first_nodes.push(next);
            // what an InputLayer's own node would be, older files do not agree on
            next += if entry.layer.is_none() { 0 } else { entry.calls.len() };
            if places.entries.insert(entry.name.clone(), index).is_some() {
                return Err(Error::model("two layers have one name").got(format!("'{}' twice", entry.name)));
            }
        }
        places.count_calls(entries);
        Ok(places)
    }

    /// Finds what calls are counted from. A nested network's are from 1 on in Keras 2, which has its own input for 0, and
    /// from 0 on in Keras 3. The first of several is never the output, so that another layer names it.
    fn count_calls(&mut self, entries: &[Entry]) {
        let mut least = vec![None; entries.len()];
        for history in entries.iter().flat_map(|entry| &entry.calls).flat_map(FileCall::tensors) {
            if let Some(&entry) = self.entries.get(&history.layer) {
                least[entry] = Some(least[entry].map_or(history.call, |least: usize| least.min(history.call)));
            }
        }
        for (first, (least, entry)) in self.first_calls.iter_mut().zip(least.into_iter().zip(entries)) {
            if entry.is_network() && least.is_some_and(|least| least > 0) {
                *first = 1;
            }
        }
    }

    /// As [`Places::node`], of the network's output. A nested network's last call is meant, which Keras 3 counts in another
    /// way here than elsewhere.
    fn output(&self, history: &History, entries: &[Entry]) -> Result<Option<usize>> {
        let entry = self.entry(&history.layer)?;
        match entries[entry].calls.len().checked_sub(1) {
            Some(last) if entries[entry].is_network() && [last, last + 1].contains(&history.call) => {
                Ok(Some(self.first_nodes[entry] + last))
            }
            _ => self.node(history, entries),
        }
    }

    fn entry(&self, name: &str) -> Result<usize> {
        self.entries.get(name).copied().ok_or_else(|| {
            let names: Vec<&str> = self.entries.keys().map(String::as_str).collect();
            Error::model(format!("there is no layer '{name}'{}", nearest(name, &names)))
        })
    }

    /// The number of the node that a history names; `None` for the input.
    fn node(&self, history: &History, entries: &[Entry]) -> Result<Option<usize>> {
        let entry = self.entry(&history.layer)?;
        if entries[entry].layer.is_none() {
            return Ok(None);
        }
        let first = self.first_calls[entry];
        match entries[entry].calls.len() {
            calls if (first..first + calls).contains(&history.call) => {
                Ok(Some(self.first_nodes[entry] + history.call - first))
            }
            calls => Err(Error::model(format!("layer '{}' has no call {}", history.layer, history.call))
                .expected(format!("{first} to {}", (first + calls).saturating_sub(1)))),
        }
    }
}
