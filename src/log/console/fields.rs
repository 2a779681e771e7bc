//! What a line of progress is made of: fields that are dropped by their importance where the terminal is narrow.

use crate::metrics::{Definition, Metric};

/// The least width of a bar.
const MIN_BAR: usize = 6;

/// How long the words are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wording {
    /// `2/10`, `acc`: below 70 columns.
    Short,
    /// `Epoch 2/10`, `acc`, `img/s`: below 100 columns.
    Medium,
    /// `Epoch 2/10`, `accuracy`, `images/s`.
    Full,
}

impl Wording {
    pub fn of(columns: usize) -> Self {
        match columns {
            0..70 => Wording::Short,
            70..100 => Wording::Medium,
            _ => Wording::Full,
        }
    }

    /// What a metric is called; none where there is no room for it.
    pub fn label(self, metric: Metric) -> Option<&'static str> {
        let Definition { label, short_label, .. } = metric.definition();
        if self == Wording::Full { Some(label) } else { short_label }
    }

    pub fn images_per_second(self) -> &'static str {
        if self == Wording::Full { "images/s" } else { "img/s" }
    }
}

/// How a field looks where there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    /// As it is.
    Plain,
    /// Less important.
    Dim,
    /// Good news.
    Good,
}

impl Paint {
    fn on(self, text: &str) -> String {
        match self {
            Paint::Plain => text.to_owned(),
            Paint::Dim => format!("\x1b[2m{text}\x1b[0m"),
            Paint::Good => format!("\x1b[1;32m{text}\x1b[0m"),
        }
    }
}

enum FieldPart {
    Text(String, Paint),
    Bar,
}

/// A line's fields in order, each with a rank: where the line is too wide, the field with the highest rank goes first.
pub(super) struct Fields {
    columns: usize,
    parts: Vec<(u8, FieldPart)>,
}

/// A line that fits: what stands before the bar and behind it. Without a bar, all stands before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Line {
    pub before: String,
    pub after: String,
    pub has_bar: bool,
}

impl Fields {
    /// A line of at most `columns`, which begins with `head`.
    pub fn new(head: String, columns: usize) -> Self {
        Fields { columns, parts: vec![(0, FieldPart::Text(head, Paint::Plain))] }
    }

    pub fn push(&mut self, rank: u8, text: String) {
        self.paint(rank, text, Paint::Plain);
    }

    pub fn paint(&mut self, rank: u8, text: String, paint: Paint) {
        self.parts.push((rank, FieldPart::Text(text, paint)));
    }

    /// Here the bar stands, as wide as the line has room for.
    pub fn push_bar(&mut self, rank: u8) {
        self.parts.push((rank, FieldPart::Bar));
    }

    fn width(&self) -> usize {
        let widths = self.parts.iter().map(|(_, part)| match part {
            FieldPart::Text(text, _) => text.chars().count(),
            FieldPart::Bar => MIN_BAR,
        });
        widths.sum::<usize>() + 2 * self.parts.len().saturating_sub(1)
    }

    /// The line of the fields that there is room for, with colours or without.
    pub fn fit(mut self, colours: bool) -> Line {
        while self.width() > self.columns {
            let last_rank = self.parts.iter().map(|(rank, _)| *rank).max().unwrap_or(0);
            if last_rank == 0 {
                let Some((_, FieldPart::Text(head, _))) = self.parts.first() else { return Line::default() };
                return Line { before: head.chars().take(self.columns).collect(), ..Line::default() };
            }
            self.parts.retain(|(rank, _)| *rank < last_rank);
        }
        let mut line = Line::default();
        for (index, (_, part)) in self.parts.iter().enumerate() {
            let gap = if index == 0 { "" } else { "  " };
            match part {
                FieldPart::Bar => {
                    line.before += gap;
                    line.has_bar = true;
                }
                FieldPart::Text(text, paint) => {
                    let text = if colours { paint.on(text) } else { text.clone() };
                    let side = if line.has_bar { &mut line.after } else { &mut line.before };
                    *side += &format!("{gap}{text}");
                }
            }
        }
        line
    }
}

/// Images a second with two digits or more, 4 characters wide: `9.1k`.
pub(super) fn rate(images_per_second: f64) -> String {
    let (value, unit) = match images_per_second {
        rate if rate < 999.5 => (rate, ""),
        rate if rate < 999_500.0 => (rate / 1e3, "k"),
        rate => (rate / 1e6, "M"),
    };
    let digits = if value < 9.95 { 1 } else { 0 };
    format!("{:>4}", format!("{value:.digits$}{unit}"))
}

/// The time of a step as Keras has it, ` 14 ms/step`, 11 characters wide; `-` where it is not known.
pub(super) fn step_time(seconds: f64) -> String {
    let (value, unit) = match seconds {
        seconds if !seconds.is_finite() => return "  - ms/step".to_owned(),
        seconds if seconds < 0.000_999_5 => (seconds * 1e6, "µs"),
        seconds if seconds < 0.9995 => (seconds * 1e3, "ms"),
        seconds => (seconds, "s"),
    };
    let digits = if value < 9.95 { 1 } else { 0 };
    format!("{:>11}", format!("{value:.digits$} {unit}/step"))
}

/// Seconds below a minute, else a clock; 6 characters wide.
pub(super) fn duration(seconds: f64) -> String {
    let text = if seconds < 59.95 { format!("{seconds:.1} s") } else { clock(seconds) };
    format!("{text:>6}")
}

/// `0:07`, `1:02:03`; `-` where the time is not known.
pub(super) fn clock(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "-".to_owned();
    }
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// `320 MB`, `1.2 GB`, in powers of ten.
pub(super) fn bytes(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    if megabytes < 999.5 { format!("{megabytes:.0} MB") } else { format!("{:.1} GB", megabytes / 1e3) }
}

/// `done` of `total` in per cent; 100 only where all is done.
pub(super) fn percent(done: u64, total: u64) -> String {
    let percent = (done.min(total) as f64 / total.max(1) as f64 * 100.0).floor();
    format!("{percent:>3} %")
}

/// `215/430`, as wide for every `done`.
pub(super) fn count(done: u64, total: u64) -> String {
    format!("{done:>width$}/{total}", width = total.to_string().len())
}

#[cfg(test)]
mod tests;
