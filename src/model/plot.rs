//! A drawing of a network, as Keras's `plot_model(show_shapes=True)` makes: a box a layer, from input to output.

use std::fmt::Write;

use super::spec::Spec;
use super::summary::{Summary, shape_text};
use crate::error::Result;

const BOX_WIDTH: usize = 420;
const BOX_HEIGHT: usize = 52;
const GAP: usize = 34;
const MARGIN: usize = 24;
const TITLE_HEIGHT: usize = 40;

/// An SVG of `spec`, top to bottom: name, class, output shape and parameters of every layer, after the input's shape.
///
/// # Errors
/// A model error where the shapes do not fit together.
pub fn svg(spec: &Spec) -> Result<String> {
    let summary = Summary::new(spec)?;
    let input: Vec<Option<usize>> =
        std::iter::once(None).chain(spec.input_shape.iter().flatten().copied().map(Some)).collect();
    let mut boxes = vec![["input".to_owned(), String::new(), shape_text(&input), String::new()]];
    boxes.extend(summary.layers.iter().map(|layer| {
        let parameters = if layer.parameters > 0 { format!("{} parameters", layer.parameters) } else { String::new() };
        [layer.name.clone(), layer.class_name.clone(), shape_text(&layer.output_shape), parameters]
    }));
    let width = BOX_WIDTH + 2 * MARGIN;
    let height = 2 * MARGIN + TITLE_HEIGHT + boxes.len() * (BOX_HEIGHT + GAP) - GAP;
    let mut drawing = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"14\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    text(&mut drawing, MARGIN, MARGIN + 16, "start", "font-weight=\"bold\" font-size=\"18\"", &summary.name);
    let top = |index: usize| MARGIN + TITLE_HEIGHT + index * (BOX_HEIGHT + GAP);
    for (index, cells) in boxes.iter().enumerate() {
        if index > 0 {
            arrow(&mut drawing, width / 2, top(index) - GAP, top(index));
        }
        layer_box(&mut drawing, top(index), cells);
    }
    drawing += "</svg>\n";
    Ok(drawing)
}

fn layer_box(drawing: &mut String, top: usize, [name, class_name, shape, parameters]: &[String; 4]) {
    let fill = if class_name.is_empty() { "#f2f2f2" } else { "#e8f0fb" };
    let _ = writeln!(
        drawing,
        "<rect x=\"{MARGIN}\" y=\"{top}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"6\" fill=\"{fill}\" \
         stroke=\"#445\"/>"
    );
    let (left, right) = (MARGIN + 12, MARGIN + BOX_WIDTH - 12);
    text(drawing, left, top + 22, "start", "font-weight=\"bold\"", name);
    text(drawing, left, top + 42, "start", "fill=\"#556\"", class_name);
    text(drawing, right, top + 22, "end", "", shape);
    text(drawing, right, top + 42, "end", "fill=\"#556\"", parameters);
}

fn arrow(drawing: &mut String, x: usize, from: usize, to: usize) {
    let _ = writeln!(
        drawing,
        "<path d=\"M{x} {from}V{} M{} {}L{x} {to}L{} {}\" fill=\"none\" stroke=\"#445\"/>",
        to - 1,
        x - 5,
        to - 8,
        x + 5,
        to - 8
    );
}

fn text(drawing: &mut String, x: usize, y: usize, anchor: &str, style: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(drawing, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" {style}>{words}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::presets;

    #[test]
    fn every_layer_is_drawn_once_and_names_are_escaped() {
        let mut spec = presets::preset("keras-cnn").unwrap();
        spec.name = "a<b&c".into();
        let drawing = svg(&spec).unwrap();
        for layer in &spec.layers {
            assert_eq!(drawing.matches(&format!(">{}<", layer.name)).count(), 1, "{}", layer.name);
        }
        assert!(drawing.contains(">a&lt;b&amp;c<") && drawing.contains(">(None, 5, 5, 64)<"));
        assert!(drawing.contains(">18496 parameters<"));
    }
}
