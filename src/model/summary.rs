//! The table that Keras's `model.summary()` prints.

use std::fmt::Write;

use serde::Serialize;

use super::spec::{Connection, LayerPlan, Spec};
use crate::error::Result;

/// Keras's inner column widths on a terminal of 80 characters, where layers simply follow one another.
const CHAIN_WIDTHS: [usize; 3] = [33, 24, 15];
/// As [`CHAIN_WIDTHS`], where they do not.
const GRAPH_WIDTHS: [usize; 4] = [21, 19, 12, 19];
const HEADER: [&str; 4] = ["Layer (type)", "Output Shape", "Param #", "Connected to"];
/// The column with numbers.
const RIGHT_ALIGNED: usize = 2;

/// A network in rows: what `summary --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The network's name.
    pub name: String,
    /// `[H, W, C]`, or as the network has it.
    #[serde(skip)]
    pub input_shape: Vec<usize>,
    /// The input of a Functional network, whose table has it.
    #[serde(skip)]
    pub input: Option<SummaryLayer>,
    /// Its layers, the input not counted.
    pub layers: Vec<SummaryLayer>,
    /// All parameters.
    pub total: usize,
    /// Those that gradients change.
    pub trainable: usize,
    /// The others.
    pub non_trainable: usize,
    /// The products that one image costs: see [`crate::model::spec::Plan::multiply_adds`].
    pub multiply_adds: usize,
    /// How many of these Keras keeps in eight bytes rather than four.
    #[serde(skip)]
    pub integers: usize,
}

/// A layer's row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SummaryLayer {
    /// The layer's name.
    pub name: String,
    /// Keras's class name.
    pub class_name: String,
    /// `[null, H, W, C]`: the first axis is the batch.
    pub output_shape: Vec<Option<usize>>,
    /// Its parameters.
    pub parameters: usize,
    /// Where its inputs come from, as Keras says it, `<layer>[<call>][0]`; empty where layers simply follow one another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connected_to: Vec<String>,
}

impl Summary {
    /// Summarises `spec`.
    ///
    /// # Errors
    /// A model error where the shapes do not fit together.
    pub fn new(spec: &Spec) -> Result<Self> {
        let plan = spec.plan()?;
        let (total, trainable) = (plan.num_parameters(), plan.num_trainable());
        let input_name = spec.graph.as_ref().map(|graph| graph.input_name.as_str());
        let branches = !follow_one_another(&plan.layers);
        let input = input_name.map(|name| SummaryLayer {
            name: name.to_owned(),
            class_name: "InputLayer".to_owned(),
            output_shape: with_batch(spec.input_shape.as_deref().unwrap_or_default()),
            parameters: 0,
            connected_to: Vec::new(),
        });
        let connection = |connection: &Connection| match *connection {
            Connection::Input => format!("{}[0][0]", input_name.unwrap_or_default()),
            Connection::Layer { layer, call } => format!("{}[{call}][0]", plan.layers[layer].name()),
        };
        let layers = plan.layers.iter().map(|layer| SummaryLayer {
            name: layer.name().to_owned(),
            class_name: layer.class_name().to_owned(),
            output_shape: with_batch(layer.output_shape()),
            parameters: layer.num_parameters(),
            connected_to: layer.inputs.iter().flatten().filter(|_| branches).map(connection).collect(),
        });
        let layers = layers.collect();
        let weights = plan.flat_layers().into_iter().flat_map(|(_, leaf)| &leaf.weights);
        let integers = weights.filter(|weight| weight.is_integer_in_keras()).map(|weight| weight.num_elements()).sum();
        let non_trainable = total - trainable;
        let multiply_adds = plan.multiply_adds();
        let input_shape = spec.input_shape.clone().unwrap_or_default();
        Ok(Summary {
            name: spec.name.clone(),
            input_shape,
            input,
            layers,
            total,
            trainable,
            non_trainable,
            multiply_adds,
            integers,
        })
    }

    /// Keras's table. Columns grow where a name is longer than Keras's column.
    pub fn table(&self) -> String {
        let branches = self.layers.iter().any(|layer| !layer.connected_to.is_empty());
        let mut widths = if branches { GRAPH_WIDTHS.to_vec() } else { CHAIN_WIDTHS.to_vec() };
        let layers = self.input.iter().chain(&self.layers);
        let rows: Vec<Vec<Vec<String>>> = layers.map(|layer| layer.cells(branches)).collect();
        let header: Vec<Vec<String>> = HEADER[..widths.len()].iter().map(|text| vec![(*text).to_owned()]).collect();
        for row in rows.iter().chain([&header]) {
            for (width, cell) in widths.iter_mut().zip(row) {
                let longest = cell.iter().map(|text| text.chars().count()).max();
                *width = (*width).max(longest.unwrap_or(0) + 2);
            }
        }
        let mut table = format!("Model: \"{}\"\n", self.name);
        table += &rule(&widths, ['┏', '━', '┳', '┓']);
        table += &lines(&widths, &header, '┃');
        table += &rule(&widths, ['┡', '━', '╇', '┩']);
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                table += &rule(&widths, ['├', '─', '┼', '┤']);
            }
            table += &lines(&widths, row, '│');
        }
        table += &rule(&widths, ['└', '─', '┴', '┘']);
        for (what, count, integers) in [
            ("Total", self.total, self.integers),
            ("Trainable", self.trainable, 0),
            ("Non-trainable", self.non_trainable, self.integers),
        ] {
            let memory = memory(count * 4 + integers * 4);
            writeln!(table, " {what} params: {} ({memory})", thousands(count)).expect("a String takes all");
        }
        table
    }
}

/// Whether each of `layers` takes what the one before gives, and nothing else.
fn follow_one_another(layers: &[LayerPlan]) -> bool {
    let before = |index: usize| match index.checked_sub(1) {
        Some(layer) => Connection::Layer { layer, call: 0 },
        None => Connection::Input,
    };
    layers.iter().enumerate().all(|(index, layer)| layer.inputs == [vec![before(index)]])
}

fn with_batch(shape: &[usize]) -> Vec<Option<usize>> {
    std::iter::once(None).chain(shape.iter().copied().map(Some)).collect()
}

impl SummaryLayer {
    /// Its cells, each in lines.
    fn cells(&self, branches: bool) -> Vec<Vec<String>> {
        let layer = format!("{} ({})", self.name, self.class_name);
        let mut cells = vec![vec![layer], vec![shape_text(&self.output_shape)], vec![thousands(self.parameters)]];
        if branches {
            cells.push(if self.connected_to.is_empty() { vec!["-".to_owned()] } else { self.connections() });
        }
        cells
    }

    /// Where the inputs come from, as many in a line as Keras's column holds.
    fn connections(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for (index, connection) in self.connected_to.iter().enumerate() {
            let comma = if index + 1 < self.connected_to.len() { "," } else { "" };
            match lines.last_mut() {
                Some(line) if line.len() + 1 + connection.len() + comma.len() <= GRAPH_WIDTHS[3] - 2 => {
                    *line = format!("{line} {connection}{comma}");
                }
                _ => lines.push(format!("{connection}{comma}")),
            }
        }
        lines
    }
}

/// A shape as Keras prints it: `(None, 26, 26, 32)`.
pub fn shape_text(shape: &[Option<usize>]) -> String {
    let sizes: Vec<String> = shape.iter().map(|size| size.map_or("None".to_owned(), |size| size.to_string())).collect();
    format!("({})", sizes.join(", "))
}

fn rule(widths: &[usize], [left, middle, between, right]: [char; 4]) -> String {
    let columns: Vec<String> = widths.iter().map(|&width| middle.to_string().repeat(width)).collect();
    format!("{left}{}{right}\n", columns.join(&between.to_string()))
}

/// A row, in as many lines as its longest cell.
fn lines(widths: &[usize], cells: &[Vec<String>], bar: char) -> String {
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    let padded = |line: usize| {
        let cell = |(column, (cell, width)): (usize, (&Vec<String>, &usize))| {
            let (text, width) = (cell.get(line).map_or("", String::as_str), width - 2);
            match column {
                RIGHT_ALIGNED => format!(" {text:>width$} "),
                _ => format!(" {text:<width$} "),
            }
        };
        let cells: Vec<String> = cells.iter().zip(widths).enumerate().map(cell).collect();
        format!("{bar}{}{bar}\n", cells.join(&bar.to_string()))
    };
    (0..height).map(padded).collect()
}

/// `1234567` as `1,234,567`.
pub fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The memory of f32 parameters as Keras writes it: `136.04 KB`.
fn memory(bytes: usize) -> String {
    let bytes = bytes as f64;
    let unit =
        ["B", "KB", "MB", "GB"].into_iter().enumerate().rev().find(|(power, _)| bytes >= 1024f64.powi(*power as i32));
    let (power, unit) = unit.unwrap_or((0, "B"));
    format!("{:.2} {unit}", bytes / 1024f64.powi(power as i32))
}

#[cfg(test)]
mod tests;
