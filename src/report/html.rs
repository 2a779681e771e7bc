//! Pieces of HTML.

use std::fmt::Write;

use crate::drawing::escaped;

/// A section with a heading, which the page's menu names by `id`; nothing where there is nothing to say.
pub fn section(id: &str, title: &str, body: &str) -> String {
    match body.is_empty() {
        true => String::new(),
        false => format!(
            "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>\n{body}</section>\n"
        ),
    }
}

/// A table that scrolls by itself where the screen is narrow. `head`: the columns' names; the first cell of a row is its heading.
/// Numbers are those cells that begin with a digit or a sign.
pub fn table(caption: &str, head: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\"><table>\n<caption>{caption}</caption>\n\
         <thead><tr>",
        caption = escaped(caption)
    );
    for (number, name) in head.iter().enumerate() {
        let class = if number > 0 && rows.iter().any(|row| is_number(&row[number])) { " class=\"number\"" } else { "" };
        let _ = write!(table, "<th scope=\"col\"{class}>{}</th>", escaped(name));
    }
    table += "</tr></thead>\n<tbody>\n";
    for row in rows {
        table += "<tr>";
        for (number, cell) in row.iter().enumerate() {
            let _ = match number {
                0 => write!(table, "<th scope=\"row\">{}</th>", escaped(cell)),
                _ if is_number(cell) => write!(table, "<td class=\"number\">{}</td>", escaped(cell)),
                _ => write!(table, "<td>{}</td>", escaped(cell)),
            };
        }
        table += "</tr>\n";
    }
    table + "</tbody></table></div>\n"
}

fn is_number(cell: &str) -> bool {
    cell.starts_with(|c: char| c.is_ascii_digit() || c == '−' || c == '-') && !cell.contains('/')
}

/// What is folded away until somebody asks for it.
pub fn details(summary: &str, body: &str) -> String {
    format!("<details><summary>{}</summary>\n{body}</details>\n", escaped(summary))
}

/// A drawing with words below it.
pub fn figure(svg: &str, caption: &str) -> String {
    format!("<figure>{svg}<figcaption>{}</figcaption></figure>\n", code(caption))
}

/// Text in which what stands between backticks is code. No line ends before a percent sign.
pub fn code(text: &str) -> String {
    let text = text.replace(" %", "\u{a0}%");
    let mut html = String::new();
    for (number, part) in text.split('`').enumerate() {
        match number % 2 {
            0 => html += &escaped(part),
            _ => {
                let _ = write!(html, "<code>{}</code>", escaped(part));
            }
        }
    }
    html
}

/// `<p>` with [`code`].
pub fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", code(text))
}
