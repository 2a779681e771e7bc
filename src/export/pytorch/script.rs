//! The script that builds a network in Python.

use serde_json::json;

use super::network::{Named, TorchNetwork, Use, What};
use crate::model::Model;
use crate::model::spec::Source;

impl TorchNetwork {
    /// The script's text. `weights_file` is the name of the weights' file beside it.
    pub fn script(&self, model: &Model, labels: &[String], weights_file: &str) -> String {
        let chain = self.is_chain();
        format!(
            include_str!("template.py"),
            version = env!("CARGO_PKG_VERSION"),
            labels = json!(labels),
            scale = format_args!("{:?}", model.input_scale()),
            weights = json!(weights_file),
            shape = shape(model),
            outputs = format_args!("[B, {}]", model.num_outputs()),
            kind = meaning(model),
            network = if chain { String::new() } else { self.network_class() },
            built = if chain { self.sequential() } else { "Network()".to_owned() },
        )
    }

    fn sequential(&self) -> String {
        let element = |Named { name, module, .. }: &Named| format!("        ({}, {}),\n", json!(name), module.python());
        format!("nn.Sequential(OrderedDict([\n{}    ]))", self.modules.iter().map(element).collect::<String>())
    }

    /// A class whose `forward` has a line for each use.
    fn network_class(&self) -> String {
        let module = |Named { name, module, .. }: &Named| {
            format!("        self.add_module({}, {})\n", json!(name), module.python())
        };
        format!(
            include_str!("network.py"),
            modules = self.modules.iter().map(module).collect::<String>(),
            lines = self.lines()
        )
    }

    /// The lines of `forward`. A variable is used again once its value has been read for the last time.
    fn lines(&self) -> String {
        let mut last_reads = vec![0; self.uses.len()];
        let mut last_read_of_input = 0;
        for (index, used) in self.uses.iter().enumerate() {
            for input in &used.inputs {
                match *input {
                    Source::Input => last_read_of_input = index,
                    Source::Call(read) => last_reads[read] = index,
                }
            }
        }
        let name = |variable: usize| if variable == 0 { "x".to_owned() } else { format!("x{variable}") };
        // for each variable until which use it is taken; the first one holds the input
        let mut taken = vec![last_read_of_input];
        let mut variables: Vec<usize> = Vec::with_capacity(self.uses.len());
        let mut lines = String::new();
        for (index, used) in self.uses.iter().enumerate() {
            let of = |source: &Source| match *source {
                Source::Input => name(0),
                Source::Call(read) => name(variables[read]),
            };
            let inputs: Vec<String> = used.inputs.iter().map(of).collect();
            let variable = taken.iter().position(|&until| until <= index).unwrap_or(taken.len());
            taken.resize(taken.len().max(variable + 1), 0);
            taken[variable] = last_reads[index];
            variables.push(variable);
            lines += &format!("        {} = {}\n", name(variable), self.expression(used, &inputs));
        }
        lines + &format!("        return {}\n", name(variables.last().copied().unwrap_or(0)))
    }

    fn expression(&self, used: &Use, inputs: &[String]) -> String {
        match &used.what {
            What::Module(module) => format!("m[{}]({})", json!(self.modules[*module].name), inputs[0]),
            What::Join(join) => join.python(inputs),
        }
    }
}

/// `[B, C, H, W]` in numbers.
fn shape(model: &Model) -> String {
    match model.spec().input_shape.as_deref() {
        Some([height, width, channels]) => format!("[B, {channels}, {height}, {width}]"),
        other => format!("[B, *{:?}]", other.unwrap_or_default()),
    }
}

/// What the outputs mean, in words.
fn meaning(model: &Model) -> String {
    model.output_kind().map_or_else(|_| "no classes".into(), |kind| kind.to_string())
}
