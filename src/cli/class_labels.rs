//! The names of an imported model's classes: a flag's, a file's, or the numbers.

use std::collections::HashSet;
use std::path::Path;

use serde_json::{Map, Value};

use convnet::data::names::composed;
use convnet::error::{Error, Result};

/// Endings of a file of names, which no class's name has.
const FILE_ENDINGS: [&str; 9] = [".txt", ".json", ".csv", ".tsv", ".names", ".labels", ".list", ".yaml", ".yml"];
/// From so many numbered classes on their order as text is another one.
const MIN_REORDERED: usize = 11;

/// The `num_classes` classes' names: those that `given` (`--labels`) lists or the file of that name holds, else those that are
/// `remembered` from an export of ours, else the numbers, which is noted.
///
/// # Errors
/// A configuration error where the file cannot be used, or the names do not go with the classes.
pub fn choose(
    given: Option<&str>,
    remembered: Option<&[String]>,
    num_classes: usize,
    notes: &mut Vec<String>,
) -> Result<Vec<String>> {
    if let Some(given) = given {
        let labels = read(given)?;
        return check(&labels, num_classes).map(|()| labels);
    }
    if let Some(labels) = remembered.filter(|labels| check(labels, num_classes).is_ok()) {
        return Ok(labels.to_vec());
    }
    notes.push(format!("the classes are called 0 to {}: --labels names them", num_classes.saturating_sub(1)));
    if num_classes >= MIN_REORDERED {
        notes.push(
            "a model trained on folders called 0, 1, 2 … in Keras or torchvision has its classes in the order of text: 0, 1, 10, \
             11, … 2; --labels has to list them so"
                .to_owned(),
        );
    }
    Ok((0..num_classes).map(|class| class.to_string()).collect())
}

/// A name for each class, and another for each.
fn check(labels: &[String], num_classes: usize) -> Result<()> {
    if labels.len() != num_classes {
        return Err(Error::config("--labels does not go with the network's outputs")
            .expected(format!("{num_classes} names"))
            .got(labels.len()));
    }
    let mut seen = HashSet::new();
    match labels.iter().find(|label| !seen.insert(label.as_str())) {
        None => Ok(()),
        Some(twice) => Err(Error::config("--labels names two classes alike")
            .expected("another name for each class")
            .got(format!("'{twice}' twice"))),
    }
}

/// The names in the file `given`, or in the text itself.
fn read(given: &str) -> Result<Vec<String>> {
    let path = Path::new(given);
    if path.is_file() {
        let unreadable = |error| {
            let error = Error::config("cannot read the labels").at_path(path).because(error);
            error.help("save the file as UTF-8, with a name on each line")
        };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        return parse_file(&text).map_err(|error| error.at_path(path));
    }
    if is_like_a_path(given) {
        let got = if path.exists() { "no file" } else { "no such file" };
        return Err(Error::config("cannot read the labels")
            .expected("a file with a name on each line, or the names as a,b,c")
            .got(got)
            .at(given));
    }
    Ok(lines(&given.replace(',', "\n")))
}

/// Whether it was meant as a path: a list has commas.
fn is_like_a_path(given: &str) -> bool {
    let lower = given.to_lowercase();
    let is_place = !given.contains(',') && (given.contains(['/', '\\']) || Path::new(given).exists());
    is_place || FILE_ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

/// A name on each line, or JSON: a list, `{"cat": 0, "dog": 1}` as Keras's `class_indices`, or `{"0": "cat", "1": "dog"}`, also
/// with ImageNet's `["n01440764", "tench"]` for a name.
fn parse_file(text: &str) -> Result<Vec<String>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.trim_start().starts_with(['[', '{']) {
        return Ok(lines(text));
    }
    let expected = r#"["cat", "dog"], {"cat": 0, "dog": 1} or {"0": "cat", "1": "dog"}"#;
    let wrong = || Error::config("the labels' JSON cannot be used").expected(expected);
    let names = match serde_json::from_str(text).map_err(|error| wrong().because(error))? {
        Value::Array(names) => names.iter().map(name).collect(),
        Value::Object(map) => by_index(&map),
        _ => None,
    };
    let names = names.ok_or_else(wrong)?;
    Ok(names.iter().map(|name| composed(name.trim()).into_owned()).collect())
}

fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| composed(line).into_owned()).collect()
}

fn name(value: &Value) -> Option<String> {
    match value {
        Value::String(name) => Some(name.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(pair) => match &pair[..] {
            [Value::String(_), Value::String(name)] => Some(name.clone()),
            _ => None,
        },
        Value::Null | Value::Bool(_) | Value::Object(_) => None,
    }
}

/// The names in the order of their numbers, which have to be 0 to K-1.
fn by_index(map: &Map<String, Value>) -> Option<Vec<String>> {
    let mut names = vec![None; map.len()];
    for (key, value) in map {
        let (index, name) = match value.as_u64() {
            Some(index) => (usize::try_from(index).ok()?, key.clone()),
            None => (key.trim().parse().ok()?, name(value)?),
        };
        if names.get_mut(index)?.replace(name).is_some() {
            return None;
        }
    }
    names.into_iter().collect()
}

#[cfg(test)]
mod tests;
