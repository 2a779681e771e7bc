//! The table that Keras's `model.summary()` prints.

use std::fmt::Write;

use serde::Serialize;

use super::spec::{Spec, flat_layers};
use crate::error::Result;

/// Keras's inner column widths at its default line length of 80.
const COLUMN_WIDTHS: [usize; 3] = [33, 24, 15];

/// A network in rows: what `summary --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The network's name.
    pub name: String,
    /// Its layers, the input not counted.
    pub layers: Vec<SummaryLayer>,
    /// All parameters.
    pub total: usize,
    /// Those that gradients change.
    pub trainable: usize,
    /// The others.
    pub non_trainable: usize,
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
}

impl Summary {
    /// Summarises `spec`.
    ///
    /// # Errors
    /// A model error where the shapes do not fit together.
    pub fn new(spec: &Spec) -> Result<Self> {
        let plan = spec.plan()?;
        let total = plan.iter().map(|layer| layer.num_parameters()).sum();
        let trainable = plan.iter().map(|layer| layer.num_trainable()).sum();
        let layers = plan.iter().map(|layer| SummaryLayer {
            name: layer.name.clone(),
            class_name: layer.class_name.to_owned(),
            output_shape: std::iter::once(None).chain(layer.output_shape.iter().copied().map(Some)).collect(),
            parameters: layer.num_parameters(),
        });
        let layers = layers.collect();
        let weights = flat_layers(&plan).into_iter().flat_map(|(_, leaf)| &leaf.weights);
        let integers = weights.filter(|weight| weight.is_integer_in_keras()).map(|weight| weight.num_elements()).sum();
        let non_trainable = total - trainable;
        Ok(Summary { name: spec.name.clone(), layers, total, trainable, non_trainable, integers })
    }

    /// Keras's table. Columns grow where a name is longer than Keras's column.
    pub fn table(&self) -> String {
        let rows: Vec<[String; 3]> = self.layers.iter().map(SummaryLayer::cells).collect();
        let header = ["Layer (type)", "Output Shape", "Param #"].map(str::to_owned);
        let mut widths = COLUMN_WIDTHS;
        for row in rows.iter().chain([&header]) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count() + 2);
            }
        }
        let mut table = format!("Model: \"{}\"\n", self.name);
        table += &rule(widths, ['┏', '━', '┳', '┓']);
        table += &line(widths, &header, '┃');
        table += &rule(widths, ['┡', '━', '╇', '┩']);
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                table += &rule(widths, ['├', '─', '┼', '┤']);
            }
            table += &line(widths, row, '│');
        }
        table += &rule(widths, ['└', '─', '┴', '┘']);
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

impl SummaryLayer {
    fn cells(&self) -> [String; 3] {
        let layer = format!("{} ({})", self.name, self.class_name);
        [layer, shape_text(&self.output_shape), thousands(self.parameters)]
    }
}

/// A shape as Keras prints it: `(None, 26, 26, 32)`.
pub fn shape_text(shape: &[Option<usize>]) -> String {
    let sizes: Vec<String> = shape.iter().map(|size| size.map_or("None".to_owned(), |size| size.to_string())).collect();
    format!("({})", sizes.join(", "))
}

fn rule(widths: [usize; 3], [left, middle, between, right]: [char; 4]) -> String {
    let columns = widths.map(|width| middle.to_string().repeat(width));
    format!("{left}{}{right}\n", columns.join(&between.to_string()))
}

fn line([first, second, third]: [usize; 3], [layer, shape, parameters]: &[String; 3], bar: char) -> String {
    let (first, second, third) = (first - 2, second - 2, third - 2);
    format!("{bar} {layer:<first$} {bar} {shape:<second$} {bar} {parameters:>third$} {bar}\n")
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
