//! A drawing of a network, as Keras's `plot_model(show_shapes=True)` makes: a box for each call of a layer, from input to
//! output, and an arrow for all that goes from one to another.

mod layout;

use std::fmt::Write;

use self::layout::{Point, Sizes};
use super::spec::{Call, LayerPlan, Plan, Source, Spec};
use super::summary::{shape_text, thousands};
use crate::error::Result;

const BOX_HEIGHT: usize = 52;
const GAP: usize = 34;
/// Between boxes beside one another.
const SIDE_GAP: usize = 28;
const MARGIN: usize = 24;
const TITLE_HEIGHT: usize = 40;
/// The narrowest box.
const MIN_BOX_WIDTH: usize = 300;
/// An upper estimate of a character's width at the drawing's size of text.
const CHARACTER_WIDTH: usize = 8;

/// What is written into a box: name, class, shape, parameters.
type Cells = [String; 4];

/// An SVG of `spec`, top to bottom: name, class, output shape and parameters of every layer, below the input. A layer that
/// is called several times has a box for each call, a nested network one for itself.
///
/// # Errors
/// A model error where the shapes do not fit together.
pub fn svg(spec: &Spec) -> Result<String> {
    let plan = spec.plan()?;
    let calls = spec.calls();
    let boxes = boxes(spec, &plan, &calls);
    let inputs: Vec<Vec<usize>> = std::iter::once(Vec::new()).chain(calls.iter().map(box_numbers)).collect();
    let width = boxes.iter().map(width_of).max().unwrap_or(0).max(MIN_BOX_WIDTH);
    let sizes = Sizes { width: width as f64, height: BOX_HEIGHT as f64, side_gap: SIDE_GAP as f64, gap: GAP as f64 };
    let drawn = layout::place(&inputs, sizes);
    let (total_width, total_height) =
        (drawn.width as usize + 2 * MARGIN, drawn.height as usize + 2 * MARGIN + TITLE_HEIGHT);
    let mut drawing = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{total_width}\" height=\"{total_height}\" viewBox=\"0 0 \
         {total_width} {total_height}\" font-family=\"DejaVu Sans, sans-serif\" font-size=\"14\">\n<rect width=\"100%\" \
         height=\"100%\" fill=\"#fff\"/>\n"
    );
    text(&mut drawing, MARGIN, MARGIN + 16, "start", "font-weight=\"bold\" font-size=\"18\"", &spec.name);
    let _ = writeln!(drawing, "<g transform=\"translate({MARGIN} {})\">", MARGIN + TITLE_HEIGHT);
    drawn.arrows.iter().for_each(|arrow| draw_arrow(&mut drawing, arrow));
    for (place, cells) in drawn.boxes.iter().zip(&boxes) {
        draw_box(&mut drawing, place, width, cells);
    }
    drawing += "</g>\n</svg>\n";
    Ok(drawing)
}

/// What is in each box: the input's first, then one a call.
fn boxes(spec: &Spec, plan: &Plan, calls: &[Call]) -> Vec<Cells> {
    let name = spec.graph.as_ref().map_or("input", |graph| graph.input_name.as_str());
    let input = spec.input_shape.as_deref().unwrap_or_default();
    let mut counts = vec![0; spec.layers.len()];
    let of_call = |call: &Call| {
        counts[call.layer] += 1;
        cells(&plan.layers[call.layer], counts[call.layer])
    };
    let input = [name.to_owned(), String::new(), shape_text(&with_batch(input)), String::new()];
    std::iter::once(input).chain(calls.iter().map(of_call)).collect()
}

/// Those of the `number`th call of `layer`, counted from 1.
fn cells(layer: &LayerPlan, number: usize) -> Cells {
    let parameters = match (layer.num_parameters(), number) {
        (0, _) => String::new(),
        (count, 1) => format!("{} parameters", thousands(count)),
        _ => "the same parameters".to_owned(),
    };
    let name = if number > 1 { format!("{} (call {number})", layer.name()) } else { layer.name().to_owned() };
    let shape = shape_text(&with_batch(&layer.output_shapes[number - 1]));
    [name, layer.class_name().to_owned(), shape, parameters]
}

fn with_batch(shape: &[usize]) -> Vec<Option<usize>> {
    std::iter::once(None).chain(shape.iter().copied().map(Some)).collect()
}

/// The boxes that the call reads.
fn box_numbers(call: &Call) -> Vec<usize> {
    let number = |source: &Source| match *source {
        Source::Input => 0,
        Source::Call(call) => call + 1,
    };
    call.inputs.iter().map(number).collect()
}

fn width_of([name, class_name, shape, parameters]: &Cells) -> usize {
    let line = |left: &str, right: &str| (left.chars().count() + right.chars().count() + 5) * CHARACTER_WIDTH;
    line(name, shape).max(line(class_name, parameters))
}

fn draw_box(drawing: &mut String, place: &Point, width: usize, [name, class_name, shape, parameters]: &Cells) {
    let fill = if class_name.is_empty() { "#f2f2f2" } else { "#e8f0fb" };
    let (left, top) = (place.x.round() as usize, place.y.round() as usize);
    let _ = writeln!(
        drawing,
        "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{BOX_HEIGHT}\" rx=\"6\" fill=\"{fill}\" \
         stroke=\"#445\"/>"
    );
    let (left, right) = (left + 12, left + width - 12);
    text(drawing, left, top + 22, "start", "font-weight=\"bold\"", name);
    text(drawing, left, top + 42, "start", "fill=\"#445\"", class_name);
    text(drawing, right, top + 22, "end", "", shape);
    text(drawing, right, top + 42, "end", "fill=\"#445\"", parameters);
}

/// A line through `points`, bent smoothly, with a head at its end.
fn draw_arrow(drawing: &mut String, points: &[Point]) {
    let [first, then @ ..] = points else { return };
    let mut path = format!("M{:.0} {:.0}", first.x, first.y);
    for (from, to) in points.iter().zip(then) {
        let _ = match (from.x - to.x).abs() < 0.5 {
            true => write!(path, "V{:.0}", to.y),
            false => {
                let middle = (from.y + to.y) / 2.0;
                write!(path, "C{:.0} {middle:.0} {:.0} {middle:.0} {:.0} {:.0}", from.x, to.x, to.x, to.y)
            }
        };
    }
    let Point { x, y } = points[points.len() - 1];
    let _ = write!(path, "M{:.0} {:.0}L{x:.0} {y:.0}L{:.0} {:.0}", x - 5.0, y - 8.0, x + 5.0, y - 8.0);
    let _ = writeln!(drawing, "<path d=\"{path}\" fill=\"none\" stroke=\"#445\"/>");
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
        assert!(drawing.contains(">18,496 parameters<"));
    }
}
