//! The page of `convnet runs compare --out F.html`: one file, without network.

use std::fmt::Write;

use super::results::{result_rows, verdicts};
use convnet::drawing::{LineChart, embed_fonts, escaped};
use convnet::run::comparison::RunComparison;
use convnet::run::overview::value_text;

const STYLE: &str = "\
body{font:16px/1.5 'DejaVu Sans',system-ui,sans-serif;color:#1b1b1b;background:#fff;max-width:60rem;margin:0 auto;padding:1rem}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.3rem .8rem;border-bottom:1px solid #d0d0d0;text-align:right;overflow-wrap:anywhere}\
th:first-child,td:first-child{text-align:left}\
.scroll{overflow-x:auto}.charts{display:flex;flex-wrap:wrap;gap:1rem}.charts svg{max-width:100%;height:auto;flex:1 1 24rem}\
@media print{body{max-width:none}svg,table{break-inside:avoid}}";

/// The page's text.
pub fn page(compared: &RunComparison, charts: &[LineChart]) -> String {
    let names: Vec<&str> = compared.runs.iter().map(|run| run.overview.run.as_str()).collect();
    let title = escaped(&format!("{} compared", names.join(", ")));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    for sentence in verdicts(compared) {
        put(&mut page, &format!("<p>{}</p>\n", escaped(&sentence)));
    }
    page += "<h2>Results</h2>\n";
    let results = result_rows(compared).into_iter().map(|(key, values)| (key.to_owned(), values)).collect();
    page += &table("result", &names, results);
    page += "<h2>Curves</h2>\n<div class=\"charts\">\n";
    for (number, chart) in charts.iter().enumerate() {
        let drawn = chart.draw();
        // the fonts of the first hold in the whole page
        page += &if number == 0 { embed_fonts(&drawn) } else { drawn };
        page += "\n";
    }
    page += "</div>\n<h2>Settings that differ</h2>\n";
    page += &match compared.settings.is_empty() {
        true => "<p>None.</p>\n".to_owned(),
        false => {
            let texts = |values: &Vec<serde_json::Value>| values.iter().map(value_text).collect();
            table(
                "setting",
                &names,
                compared.settings.iter().map(|(key, values)| (key.clone(), texts(values))).collect(),
            )
        }
    };
    page + "</main>\n</body>\n</html>\n"
}

fn table(head: &str, names: &[&str], rows: Vec<(String, Vec<String>)>) -> String {
    let mut text = "<div class=\"scroll\"><table>\n<thead><tr>".to_owned();
    for name in [head].iter().chain(names) {
        put(&mut text, &format!("<th scope=\"col\">{}</th>", escaped(name)));
    }
    text += "</tr></thead>\n<tbody>\n";
    for (key, values) in rows {
        put(&mut text, &format!("<tr><th scope=\"row\">{}</th>", escaped(&key)));
        values.iter().for_each(|value| put(&mut text, &format!("<td>{}</td>", escaped(value))));
        text += "</tr>\n";
    }
    text + "</tbody>\n</table></div>\n"
}

fn put(page: &mut String, text: &str) {
    page.write_str(text).expect("a String takes all");
}
