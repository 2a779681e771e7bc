//! An SVG drawing, element by element.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Text.
pub const INK: &str = "#1b1b1b";
/// Text that is not the first to be read; 4.5 to 1 on [`PAPER`] and above.
pub const MUTED: &str = "#595959";
/// Axes and grids.
pub const LINE: &str = "#d0d0d0";
/// The ground.
pub const PAPER: &str = "#ffffff";
/// Series, in order: Okabe's and Ito's colours, those first that are darkest on white.
pub const SERIES_COLORS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"];

/// The regular font's file, as TrueType.
pub(super) const REGULAR: &[u8] = include_bytes!("../../assets/fonts/DejaVuSans.ttf");
/// The bold font's.
pub(super) const BOLD: &[u8] = include_bytes!("../../assets/fonts/DejaVuSans-Bold.ttf");
/// A mean character's width, in parts of the size of text: DejaVu Sans's over English text, rounded up.
const MEAN_WIDTH: f64 = 0.62;

/// Which end of a text is at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// Its beginning.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub struct TextStyle {
    /// In pixels.
    pub size_px: f64,
    /// Whether it is bold.
    pub bold: bool,
    /// A colour.
    pub color: &'static str,
    /// Which end is at its place.
    pub anchor: Anchor,
}

impl Default for TextStyle {
    fn default() -> Self {
        TextStyle { size_px: 13.0, bold: false, color: INK, anchor: Anchor::Start }
    }
}

/// An SVG under way: a white ground of a width and height in pixels, and what was drawn on it.
#[derive(Debug, Clone)]
pub struct Svg {
    /// In pixels.
    pub width: f64,
    /// In pixels.
    pub height: f64,
    title: String,
    /// The class of the drawing itself.
    class: &'static str,
    body: String,
}

impl Svg {
    /// An empty drawing; `title` is what a screen reader says of it.
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        Svg { width, height, title: title.to_owned(), class: "chart", body: String::new() }
    }

    /// Of a class that a page's style sheet knows.
    #[must_use]
    pub fn with_class(self, class: &'static str) -> Self {
        Svg { class, ..self }
    }

    /// Writes `text` with its baseline at `(x, y)`.
    pub fn text(&mut self, x: f64, y: f64, text: &str, style: TextStyle) {
        self.turned_text(x, y, 0.0, text, style);
    }

    /// As [`Svg::text`], turned by `degrees` around its place.
    pub fn turned_text(&mut self, x: f64, y: f64, degrees: f64, text: &str, style: TextStyle) {
        let TextStyle { size_px, bold, color, anchor } = style;
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if bold { " font-weight=\"bold\"" } else { "" };
        let turn = match degrees {
            0.0 => String::new(),
            degrees => format!(" transform=\"rotate({degrees} {x:.1} {y:.1})\""),
        };
        let class = class_of(color);
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size_px}\"{weight} fill=\"{color}\"{class} \
             text-anchor=\"{anchor}\"{turn}>{}</text>",
            escaped(text)
        );
    }

    /// A line in `color`, `width_px` wide.
    pub fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], color: &str, width_px: f64) {
        let class = class_of(color);
        let _ = writeln!(
            self.body,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{color}\"{class} \
             stroke-width=\"{width_px}\"/>"
        );
    }

    /// A line through `points`; `dashes` as SVG's `stroke-dasharray` has them, empty for none.
    pub fn polyline(&mut self, points: &[[f64; 2]], color: &str, width_px: f64, dashes: &str) {
        let mut places = String::new();
        for [x, y] in points {
            let _ = write!(places, "{x:.1},{y:.1} ");
        }
        let dashes = if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
        let class = class_of(color);
        let _ = writeln!(
            self.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\"{class} stroke-width=\"{width_px}\"{dashes} \
             stroke-linejoin=\"round\"/>",
            places.trim_end()
        );
    }

    /// A filled rectangle; a page shows `hint` where the pointer rests on it, unless it is empty.
    pub fn rect(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], color: &str, hint: &str) {
        let (width, height) = (width.max(0.0), height.max(0.0));
        let class = class_of(color);
        let _ = write!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{color}\"{class}"
        );
        self.body += &match hint {
            "" => "/>\n".to_owned(),
            hint => format!("><title>{}</title></rect>\n", escaped(hint)),
        };
    }

    /// A disc.
    pub fn circle(&mut self, [x, y]: [f64; 2], radius_px: f64, color: &str, hint: &str) {
        let _ = writeln!(
            self.body,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius_px}\" fill=\"{color}\"{}><title>{}</title></circle>",
            class_of(color),
            escaped(hint)
        );
    }

    /// The drawing's text, without its fonts: for a page, which may have them once for many drawings, and for [`super::rasterize`].
    pub fn finish(self) -> String {
        let Svg { width, height, title, class, body } = self;
        let title = escaped(&title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} \
             {height:.0}\" class=\"{class}\" font-family=\"DejaVu Sans, sans-serif\" role=\"img\" aria-label=\"{title}\">\n\
             <title>{title}</title>\n<rect class=\"paper\" width=\"100%\" height=\"100%\" \
             fill=\"{PAPER}\"/>\n{body}</svg>\n"
        )
    }
}

/// `svg` with the fonts in it, so that it looks the same wherever it is opened.
pub fn embed_fonts(svg: &str) -> String {
    let face = |weight: &str, file: &[u8]| {
        format!(
            "@font-face{{font-family:\"DejaVu Sans\";font-weight:{weight};src:url(data:font/ttf;base64,{})}}",
            STANDARD.encode(file)
        )
    };
    let style = format!("<style>{}{}</style>\n", face("normal", REGULAR), face("bold", BOLD));
    match svg.find(">\n") {
        Some(end) => format!("{}{style}{}", &svg[..end + 2], &svg[end + 2..]),
        None => svg.to_owned(),
    }
}

/// An upper estimate of a text's width, in pixels.
pub fn text_width(text: &str, size_px: f64) -> f64 {
    let wide = |c: char| if (c as u32) < 0x1100 { MEAN_WIDTH } else { 1.0 };
    text.chars().map(wide).sum::<f64>() * size_px
}

/// A page's style sheet finds text, lines and ground by these.
fn class_of(color: &str) -> String {
    let class = match color {
        INK => "ink",
        MUTED => "muted",
        LINE => "line",
        PAPER => "paper",
        _ => {
            return SERIES_COLORS
                .iter()
                .position(|series| *series == color)
                .map(|number| format!(" class=\"series-{number}\""))
                .unwrap_or_default();
        }
    };
    format!(" class=\"{class}\"")
}

/// As XML wants it. What XML 1.0 cannot hold is left out.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\t' | '\n' | '\r' => escaped.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}
