//! Tables for people: aligned columns, cut to the terminal's width.

use std::io;

use console::{measure_text_width, truncate_str};

/// The widest cell, in columns of the terminal.
pub const MAX_CELL: usize = 28;
/// Between two columns.
const GAP: &str = "  ";

/// A column: its head, its cells, and how readily it is left out where the terminal is too narrow.
pub struct Column {
    /// The first line.
    pub head: String,
    /// A cell for each row.
    pub cells: Vec<String>,
    /// Whether numbers stand in it, which are aligned at their ends.
    pub is_number: bool,
    /// 0 stays; of the others the highest goes first, and of equal ones the last.
    pub dispensable: u8,
}

impl Column {
    fn width(&self) -> usize {
        let cells = self.cells.iter().chain([&self.head]);
        cells.map(|cell| measure_text_width(cell)).max().unwrap_or(0).min(MAX_CELL)
    }
}

/// The columns that `width` has room for, all where there is none, and the heads of those that are left out.
pub fn fitting(mut columns: Vec<Column>, width: Option<usize>) -> (Vec<Column>, Vec<String>) {
    let total = |columns: &[Column]| columns.iter().map(|column| column.width() + GAP.len()).sum::<usize>() - GAP.len();
    let mut left_out = Vec::new();
    while width.is_some_and(|width| total(&columns) > width) {
        let last = columns.iter().enumerate().filter(|(_, column)| column.dispensable > 0);
        let Some((index, _)) = last.max_by_key(|(index, column)| (column.dispensable, *index)) else { break };
        left_out.push(columns.remove(index).head);
    }
    left_out.reverse();
    (columns, left_out)
}

/// The table, a line for the heads and one for each row.
pub fn text(columns: &[Column]) -> String {
    let widths: Vec<usize> = columns.iter().map(Column::width).collect();
    let rows = columns.iter().map(|column| column.cells.len()).max().unwrap_or(0);
    let line = |cell: &dyn Fn(&Column) -> &str| {
        let cells = columns.iter().zip(&widths).map(|(column, &width)| aligned(cell(column), width, column.is_number));
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned() + "\n"
    };
    let mut text = line(&|column| &column.head);
    for row in 0..rows {
        text += &line(&|column| column.cells.get(row).map_or("", String::as_str));
    }
    text
}

fn aligned(text: &str, width: usize, is_number: bool) -> String {
    let text = truncate_str(text, width, "…");
    let blanks = " ".repeat(width - measure_text_width(&text).min(width));
    if is_number { blanks + &text } else { text.into_owned() + &blanks }
}

/// The columns of the terminal behind stdout; none where it is none.
pub fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|width| *width > 0)
}

/// A time in the system's time zone, to the minute.
pub fn local_time(utc: Option<&str>) -> String {
    let time = utc.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let zoned = time.map(|time| time.to_zoned(jiff::tz::TimeZone::system()));
    zoned.map_or("-".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(head: &str, cells: &[&str], is_number: bool, dispensable: u8) -> Column {
        let cells = cells.iter().map(|cell| (*cell).to_owned()).collect();
        Column { head: head.to_owned(), cells, is_number, dispensable }
    }

    #[test]
    fn columns_are_aligned_and_the_least_needed_goes_first() {
        let columns = || {
            let long = "x".repeat(40);
            vec![
                column("run", &["a", "日本"], false, 0),
                column("data", &["digits", &long], false, 1),
                column("lr", &["0.1", "-"], true, 2),
                column("seed", &["1", "20"], true, 2),
            ]
        };
        let cut = "x".repeat(27) + "…";
        let whole = format!(
            "run   data                           lr  seed\na     digits                        0.1     1\n\
             日本  {cut}    -    20\n"
        );
        assert_eq!(text(&columns()), whole);
        let (fit, left_out) = fitting(columns(), Some(44));
        assert_eq!((fit.len(), left_out), (3, vec!["seed".to_owned()]));
        let (fit, left_out) = fitting(columns(), Some(10));
        assert_eq!((fit.len(), left_out), (1, ["data", "lr", "seed"].map(str::to_owned).to_vec()));
        assert_eq!(fitting(columns(), None).0.len(), 4);
    }
}
