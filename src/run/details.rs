//! What a run tells TensorBoard beside its curves.

use std::fmt::Write;

use image::RgbImage;
use serde_json::{Map, Value};

use super::record::{DataRecord, RunRecord};
use crate::config::RunConfig;
use crate::config::effects::idle_keys;
use crate::data::Dataset;
use crate::data::augment::augment_one;
use crate::data::grid::{GridConfig, changed_grid};
use crate::device::Selected;
use crate::error::Result;
use crate::log::TensorBoardLevel;
use crate::log::tensorboard::Details;
use crate::model::{Model, summary::Summary, thousands};

/// Settings that tell no run from another: names, places, how it is computed and what is written.
const NOT_SHOWN: [&str; 12] = [
    "logs",
    "models",
    "name",
    "run",
    "tensorboard",
    "histograms",
    "log_every",
    "save_every",
    "cache",
    "threads",
    "device",
    "keep_features",
];
/// Training images on the sheet of them.
const IMAGES_PER_CLASS: usize = 8;
const MAX_CLASSES: usize = 12;
/// The classes, the first ones, whose images are counted in the text.
const MAX_COUNTED_CLASSES: usize = 100;

/// Training images as the network sees them in its first epoch; none where nobody is to see them or they cannot be drawn.
pub(super) fn samples(config: &RunConfig, splits: &Dataset) -> Result<Option<RgbImage>> {
    let shape = splits.train.shape();
    if config.outputs.tensorboard != TensorBoardLevel::Full || ![1, 3].contains(&shape.channels) {
        return Ok(None);
    }
    let changes = &config.training.augment;
    let how = if changes.is_none() { String::new() } else { ", augmented".to_owned() };
    let grid = GridConfig {
        title: format!("{}: training images{how}", splits.name),
        seed: config.training.seed,
        images_per_class: IMAGES_PER_CLASS,
        max_classes: MAX_CLASSES,
    };
    let seen = |number, pixels: Vec<u8>| augment_one(changes, shape, number, &pixels, config.training.seed);
    changed_grid(&splits.train, &splits.classes, &grid, seen).map(Some)
}

/// What is known of a run before its first step. `command`: what was typed, in one or several lines, where something was.
pub(super) fn of_run(
    record: &RunRecord,
    config: &RunConfig,
    command: Option<&str>,
    model: &Model,
    selected: &Selected,
) -> Result<Details> {
    let mut texts = Vec::new();
    if let Some(command) = command {
        texts.push(("command", fenced("sh", command)));
    }
    texts.push(("settings", fenced("toml", &toml_of(config.keys()?))));
    texts.push(("network", network_table(&Summary::new(model.spec())?)));
    texts.push(("environment", environment(record, selected)));
    texts.push(("data", data_table(&record.data)));
    let num_threads = usize::try_from(tch::get_num_threads()).unwrap_or(1);
    Ok(Details {
        settings: shown_settings(config, num_threads, model, selected)?,
        texts,
        classes: record.data.classes.clone(),
        ..Details::default()
    })
}

/// The settings for the page of hyperparameters, and what is no setting and yet differs between runs.
fn shown_settings(
    config: &RunConfig,
    num_threads: usize,
    model: &Model,
    selected: &Selected,
) -> Result<Map<String, Value>> {
    let mut settings = config.with_defaults(num_threads).keys()?;
    let idle: Vec<&str> = idle_keys(config, selected.device.is_cuda()).collect();
    settings.retain(|key, _| !NOT_SHOWN.contains(&key.as_str()) && !idle.contains(&key.as_str()));
    settings.insert("device".into(), selected.name.as_str().into());
    settings.insert("parameters".into(), model.plan().num_parameters().into());
    if let Some(rates) = dropout(&model.spec().to_json()) {
        settings.insert("dropout".into(), rates);
    }
    Ok(settings)
}

/// The rates of a network's Dropout layers: a number where they have one in common, else all of them in words.
fn dropout(network: &Value) -> Option<Value> {
    fn collect(network: &Value, rates: &mut Vec<f64>) {
        for layer in network.pointer("/config/layers").and_then(Value::as_array).into_iter().flatten() {
            if layer["class_name"] == "Dropout" {
                rates.extend(layer.pointer("/config/rate").and_then(Value::as_f64));
            }
            collect(layer, rates);
        }
    }
    let mut rates = Vec::new();
    collect(network, &mut rates);
    match rates[..] {
        [] => None,
        [first, ..] if rates.iter().all(|&rate| rate == first) => Some(first.into()),
        _ => Some(rates.iter().map(f64::to_string).collect::<Vec<_>>().join(", ").into()),
    }
}

/// The settings as a configuration file has them; those that are absent are left out.
fn toml_of(mut settings: Map<String, Value>) -> String {
    settings.retain(|_, value| !value.is_null());
    toml::to_string(&settings).unwrap_or_else(|_| Value::Object(settings).to_string())
}

fn network_table(network: &Summary) -> String {
    let branches = network.layers.iter().any(|layer| !layer.connected_to.is_empty());
    let mut text = String::from("| Layer | Type | Output shape | Parameters |");
    text += if branches { " Connected to |\n" } else { "\n" };
    text += "| --- | --- | --- | ---: |";
    text += if branches { " --- |\n" } else { "\n" };
    for layer in &network.layers {
        let shape = layer.output_shape.iter().flatten().map(ToString::to_string).collect::<Vec<_>>().join(" × ");
        let [name, class] = [&layer.name, &layer.class_name].map(|text| escaped(text));
        let _ = write!(text, "| {name} | {class} | {shape} | {} |", thousands(layer.parameters));
        let connected = layer.connected_to.iter().map(|from| escaped(from)).collect::<Vec<_>>().join(", ");
        text += &if branches { format!(" {connected} |\n") } else { "\n".to_owned() };
    }
    let input = network.input_shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ");
    let [total, trainable, products] = [network.total, network.trainable, network.multiply_adds].map(thousands);
    let _ = write!(
        text,
        "\nInput {input}; {total} parameters, {trainable} of them trainable; {products} multiply-adds for an image."
    );
    text
}

fn environment(record: &RunRecord, selected: &Selected) -> String {
    let versions = &record.versions;
    let mut rows = vec![
        ("convnet", versions.convnet.clone()),
        ("tch", versions.tch.clone()),
        ("libtorch", versions.libtorch.clone()),
        ("device", selected.name.clone()),
    ];
    rows.extend(selected.gpu.as_ref().map(|gpu| ("GPU", gpu.clone())));
    rows.push(("threads", tch::get_num_threads().to_string()));
    table(rows.iter().map(|(name, value)| [escaped(name), escaped(value)]))
}

fn data_table(data: &DataRecord) -> String {
    let count = |images: Option<usize>| images.map_or("none".to_owned(), thousands);
    let rows = [
        ["data set".to_owned(), escaped(&data.name)],
        ["training images".to_owned(), thousands(data.train)],
        ["validation images".to_owned(), count(data.validation)],
        ["test images".to_owned(), count(data.test)],
        ["classes".to_owned(), thousands(data.classes.len())],
    ];
    let names = data.classes.iter().take(MAX_COUNTED_CLASSES).map(|name| escaped(name)).collect::<Vec<_>>().join(", ");
    let rest = if data.classes.len() > MAX_COUNTED_CLASSES { ", …" } else { "" };
    format!("{}\n\nClasses: {names}{rest}", table(rows))
}

/// The first row is the header.
fn table(rows: impl IntoIterator<Item = [String; 2]>) -> String {
    let mut lines: Vec<String> = rows.into_iter().map(|[name, value]| format!("| {name} | {value} |")).collect();
    lines.insert(lines.len().min(1), "| --- | --- |".to_owned());
    lines.join("\n")
}

/// A block of code, whatever is in it.
fn fenced(language: &str, code: &str) -> String {
    let fence = "`".repeat(3.max(1 + longest_run(code, '`')));
    format!("{fence}{language}\n{}\n{fence}", code.trim_end())
}

fn longest_run(text: &str, letter: char) -> usize {
    text.split(|other| other != letter).map(str::len).max().unwrap_or(0)
}

/// `text` as Markdown shows it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '\n' | '\r' => escaped.push(' '),
            '<' => escaped += "&lt;",
            '&' => escaped += "&amp;",
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '#' | '~' => escaped.extend(['\\', letter]),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_markdown() {
        assert_eq!(escaped("a|b_*`<\n"), "a\\|b\\_\\*\\`&lt; ");
        assert_eq!(fenced("sh", "echo ```"), "````sh\necho ```\n````");
    }

    #[test]
    fn settings_are_a_configuration_file() {
        let mut config = RunConfig::from_toml("data = 'digits'\nclass_weights = [1, 2]\nclip_norm = 2").unwrap();
        config.training.epochs = 3;
        assert_eq!(RunConfig::from_toml(&toml_of(config.keys().unwrap())).unwrap(), config);
    }

    #[test]
    fn dropout_is_a_number_where_it_is_one() {
        let network = |rates: &[f64]| {
            let layer = |rate| serde_json::json!({ "class_name": "Dropout", "config": { "rate": rate } });
            let layers: Vec<Value> = rates.iter().map(layer).collect();
            dropout(&serde_json::json!({ "config": { "layers": layers } }))
        };
        assert_eq!(network(&[]), None);
        assert_eq!(network(&[0.25, 0.25]), Some(0.25.into()));
        assert_eq!(network(&[0.25, 0.5]), Some("0.25, 0.5".into()));
    }
}
