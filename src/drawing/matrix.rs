//! A confusion matrix as one can read it, from 2 to 100 classes.

use super::svg::{Anchor, INK, MUTED, PAPER, Svg, TextStyle, text_width};

/// Above so many classes, the counts of the diagonal and of small cells are not written.
const MAX_WRITTEN_CLASSES: usize = 25;
/// Names are cut to so many characters.
const MAX_NAME_CHARS: usize = 18;
const MARGIN_PX: f64 = 16.0;
/// The darkest of shares: blue for what is right, vermilion for what is wrong, both of Okabe's and Ito's.
const RIGHT: [f64; 3] = [0.0, 114.0, 178.0];
const WRONG: [f64; 3] = [213.0, 94.0, 0.0];

/// A drawing of `confusion` (`[K][K]`: true class by row, predicted by column). A cell's shade is its share of the row; its
/// number is the images, where there is room.
pub fn confusion_matrix(labels: &[String], confusion: &[Vec<u64>], title: &str) -> String {
    let num_classes = confusion.len();
    let cell = cell_px(num_classes);
    let size = (cell * 0.42).clamp(8.0, 13.0);
    let names: Vec<String> = labels.iter().map(|label| shortened(label)).collect();
    let name_px = names.iter().map(|name| text_width(name, size)).fold(0.0, f64::max);
    let (left, top) = (MARGIN_PX + 22.0 + name_px + 8.0, MARGIN_PX + 52.0 + name_px);
    let side = cell * num_classes as f64;
    let width = (left + side + MARGIN_PX + name_px * 0.3).max(text_width(title, 15.0) + 2.0 * MARGIN_PX);
    let mut svg = Svg::new(width, top + side + MARGIN_PX, &alternative(title, labels, confusion)).with_class("matrix");
    svg.text(MARGIN_PX, MARGIN_PX + 12.0, title, TextStyle { bold: true, size_px: 15.0, ..TextStyle::default() });
    let middle = TextStyle { color: MUTED, anchor: Anchor::Middle, ..TextStyle::default() };
    svg.text(left + side / 2.0, MARGIN_PX + 36.0, "predicted", middle);
    svg.turned_text(MARGIN_PX + 10.0, top + side / 2.0, -90.0, "true", middle);
    for (number, name) in names.iter().enumerate() {
        let centre = (number as f64 + 0.5) * cell;
        let style = TextStyle { size_px: size, ..TextStyle::default() };
        svg.text(left - 6.0, top + centre + size * 0.35, name, TextStyle { anchor: Anchor::End, ..style });
        svg.turned_text(left + centre + size * 0.35, top - 6.0, -90.0, name, style);
    }
    for (truth, row) in confusion.iter().enumerate() {
        let total = row.iter().sum::<u64>().max(1);
        for (predicted, &count) in row.iter().enumerate() {
            let place = [left + predicted as f64 * cell, top + truth as f64 * cell];
            let share = count as f64 / total as f64;
            let [truth_name, predicted_name] =
                [truth, predicted].map(|class| labels.get(class).map_or("?", |name| name));
            let hint = match count {
                0 => String::new(),
                count => format!("{truth_name} → {predicted_name}: {count} of {total}"),
            };
            let gap = if cell > 6.0 { 1.0 } else { 0.0 };
            svg.rect(place, [cell - gap, cell - gap], &shade(share, truth == predicted), &hint);
            if count > 0 && num_classes <= MAX_WRITTEN_CLASSES {
                let is_dark = truth == predicted && share > 0.8;
                write_count(&mut svg, [place[0] + cell / 2.0, place[1] + cell / 2.0], cell, count, is_dark);
            }
        }
    }
    svg.finish()
}

fn write_count(svg: &mut Svg, [x, y]: [f64; 2], cell: f64, count: u64, is_dark: bool) {
    let text = count.to_string();
    let size_px = (cell * 0.36).min(cell * 0.9 / (text.len() as f64 * 0.65)).min(14.0);
    let color = if is_dark { PAPER } else { INK };
    svg.text(x, y + size_px * 0.35, &text, TextStyle { size_px, color, anchor: Anchor::Middle, bold: false });
}

/// A cell's side: all of a picture fits a screen, and 100 classes can be told apart.
fn cell_px(num_classes: usize) -> f64 {
    (640.0 / num_classes.max(1) as f64).clamp(11.0, 56.0)
}

/// White for nothing; the square root shows small shares, which are what is looked for.
fn shade(share: f64, is_right: bool) -> String {
    let full = if is_right { RIGHT } else { WRONG };
    let strength = if is_right { share } else { share.sqrt() };
    let [r, g, b] = full.map(|value| (245.0 + (value - 245.0) * strength).round() as u8);
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn shortened(name: &str) -> String {
    match name.chars().count() > MAX_NAME_CHARS {
        true => name.chars().take(MAX_NAME_CHARS - 1).chain(['…']).collect(),
        false => name.to_owned(),
    }
}

/// What is said of it to those who do not see it: the largest confusions.
fn alternative(title: &str, labels: &[String], confusion: &[Vec<u64>]) -> String {
    let mut wrong: Vec<(u64, usize, usize)> = Vec::new();
    for (truth, row) in confusion.iter().enumerate() {
        wrong.extend(
            row.iter().enumerate().filter(|&(class, &count)| class != truth && count > 0).map(|(c, &n)| (n, truth, c)),
        );
    }
    wrong.sort_by_key(|&(count, ..)| std::cmp::Reverse(count));
    let name = |class: usize| labels.get(class).map_or("?", |name| name);
    let largest = wrong.iter().take(3).map(|&(count, a, b)| format!("{count} {} taken for {}", name(a), name(b)));
    format!("{title}; largest confusions: {}", largest.collect::<Vec<_>>().join(", "))
}
