//! The page around the sections.

use super::html::section;
use super::sections;
use super::story::Story;
use crate::drawing::escaped;

const STYLE: &str = include_str!("style.css");

/// The sections with their headings: what a page that grows exchanges.
pub fn content(story: &Story) -> String {
    let sections = [
        ("next", "What to try next", sections::next(story)),
        ("curves", "Curves", sections::curves(story)),
        ("classes", "Classes", sections::classes(story)),
        ("mistakes", "Mistakes", sections::mistakes(story)),
        ("suspects", "Suspicious labels", sections::suspects(story)),
        ("calibration", "Calibration", sections::calibration(story)),
        ("data", "Data", sections::data(story)),
        ("settings", "Settings", sections::settings(story)),
        ("environment", "Environment", sections::environment(story)),
    ];
    let there = || sections.iter().filter(|(.., body)| !body.is_empty());
    let links: String = there().map(|(id, title, _)| format!("<li><a href=\"#{id}\">{title}</a></li>\n")).collect();
    let bodies: String = there().map(|(id, title, body)| section(id, title, body)).collect();
    format!(
        "<header>\n<p class=\"kind\">convnet run</p>\n<h1>{}</h1>\n{}</header>\n{}<nav aria-label=\"Sections\"><ul>\n\
         {links}</ul></nav>\n{bodies}",
        escaped(&story.name),
        sections::lead(story),
        sections::tiles(story)
    )
}

/// The whole page. `script` is run on it, where there is one.
pub fn page(story: &Story, script: Option<&str>) -> String {
    let script = script.map(|script| format!("<script>{script}</script>\n")).unwrap_or_default();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{} – convnet run</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">To the content</a>\n<main id=\"main\">\n{}</main>\n{script}</body>\n</html>\n",
        escaped(&story.name),
        content(story)
    )
}
