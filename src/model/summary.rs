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
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_default_s_table_is_keras_s() {
        // printed by Keras 3.15.1: model.summary() of the same network before it is compiled
        let expected = "\
Model: \"KerasCNN\"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ conv2d (Conv2D)                 │ (None, 26, 26, 32)     │           320 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ max_pooling2d (MaxPooling2D)    │ (None, 13, 13, 32)     │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ conv2d_1 (Conv2D)               │ (None, 11, 11, 64)     │        18,496 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ max_pooling2d_1 (MaxPooling2D)  │ (None, 5, 5, 64)       │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dropout (Dropout)               │ (None, 5, 5, 64)       │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ flatten (Flatten)               │ (None, 1600)           │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense (Dense)                   │ (None, 10)             │        16,010 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 34,826 (136.04 KB)
 Trainable params: 34,826 (136.04 KB)
 Non-trainable params: 0 (0.00 B)
";
        let spec = crate::model::presets::preset("keras-cnn").unwrap();
        assert_eq!(Summary::new(&spec).unwrap().table(), expected);
    }

    #[test]
    fn a_nested_network_is_one_row_and_the_count_takes_eight_bytes() {
        // printed by Keras 3.15.1: model.summary() of Normalization, Sequential of Conv2D(4, 3) and BatchNormalization,
        // Flatten, Dense(3) on images of 8 × 8 × 3
        let layer = |class_name: &str, config: Value| json!({ "class_name": class_name, "config": config });
        let inner =
            [layer("Conv2D", json!({ "filters": 4, "kernel_size": 3 })), layer("BatchNormalization", json!({}))];
        let document = layer(
            "Sequential",
            json!({ "layers": [
                layer("InputLayer", json!({ "batch_shape": [null, 8, 8, 3] })),
                layer("Normalization", json!({})),
                layer("Sequential", json!({ "layers": inner })),
                layer("Flatten", json!({})),
                layer("Dense", json!({ "units": 3 })),
            ] }),
        );
        let summary = Summary::new(&Spec::from_json(&document).unwrap()).unwrap();
        let rows: Vec<usize> = summary.layers.iter().map(|layer| layer.parameters).collect();
        assert_eq!(rows, [7, 128, 0, 435]);
        let table = summary.table();
        assert!(
            table.contains("│ sequential (Sequential)         │ (None, 6, 6, 4)        │           128 │"),
            "{table}"
        );
        assert!(
            table.ends_with(
                " Total params: 570 (2.23 KB)\n Trainable params: 555 (2.17 KB)\n Non-trainable params: 15 (64.00 B)\n"
            ),
            "{table}"
        );
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!([0, 999, 1000, 34_826, 1_234_567].map(thousands), ["0", "999", "1,000", "34,826", "1,234,567"]);
    }
}
