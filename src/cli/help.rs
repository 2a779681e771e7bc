//! What `--help` says beside the flags' own sentences: their defaults, from the settings themselves, and examples.

use clap::Arg;
use serde_json::Value;

use crate::cli::spelling::with_flags;
use convnet::config::{RunConfig, origin};
use convnet::train::OptimizerKind;

/// The flags that stand for a setting get its default behind their help, `[default: 128]`, and those of some optimizers
/// only their names before it, `(sgd, rmsprop)`. A switch is off where it is not given, and an argument without a setting
/// stays as it is.
pub fn with_default(arg: Arg) -> Arg {
    let key = arg.get_id().as_str();
    let is_switch = arg.get_num_args().is_some_and(|range| range.max_values() == 0);
    let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let optimizers = OptimizerKind::names_taking(key);
    if !optimizers.is_empty() {
        help += &format!(" ({})", optimizers.join(", "));
    }
    if let Some(default) = default(key).filter(|_| !is_switch) {
        help += &format!(" [default: {default}]");
    }
    arg.help(help)
}

/// The default of the setting `key`, as a flag takes it; in words where the data, the run or the machine decides.
fn default(key: &str) -> Option<String> {
    if let Some(words) = origin::words_of_default(key) {
        return Some(with_flags(words));
    }
    let Ok(Value::Object(defaults)) = serde_json::to_value(RunConfig::default()) else {
        unreachable!("the defaults are finite numbers and text")
    };
    match defaults.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.as_f64().map_or_else(|| number.to_string(), short)),
        other => Some(other.to_string()),
    }
}

/// A number as people write it: `0`, `0.002`, `1e-7`.
fn short(number: f64) -> String {
    if number != 0.0 && number.abs() < 1e-4 { format!("{number:e}") } else { number.to_string() }
}

/// Two examples for each command, at the end of its help.
pub mod examples {
    pub const TRAIN: &str = "\
Examples:
  convnet train fashion-mnist --epochs 20 --augment light --run light
  convnet train photos/ --image-size 64 --schedule cosine --patience 5 --restore-best";
    pub const REPRODUCE: &str = "\
Examples:
  convnet reproduce 20260101-120000
  convnet reproduce logs/light --data /mnt/fashion-mnist";
    pub const LR_FIND: &str = "\
Examples:
  convnet lr-find fashion-mnist
  convnet lr-find fashion-mnist --optimizer sgd --momentum 0.9 --end-lr 10";
    pub const EVALUATE: &str = "\
Examples:
  convnet evaluate logs/light photos/ --json
  convnet evaluate models/model --confusion confusion.png --mistakes mistakes.png --out predictions.csv";
    pub const PREDICT: &str = "\
Examples:
  convnet predict models/model picture.png folder/ --out predictions.csv
  convnet predict models/model --data fashion-mnist --index 786";
    pub const SERVE: &str = "\
Examples:
  convnet serve models/model
  convnet serve clothes=models/model logs/light --port 8080 --watch";
    pub const REPORT: &str = "\
Examples:
  convnet report light --out light.html
  convnet report logs/light --watch";
    pub const EXPLAIN: &str = "\
Examples:
  convnet explain models/model picture.png --out why.png
  convnet explain models/model --data fashion-mnist --index 786 --class Shirt";
    pub const SUMMARY: &str = "\
Examples:
  convnet summary keras-cnn --short > net.txt
  convnet summary models/model --plot model.svg";
    pub const IMPORT: &str = "\
Examples:
  convnet import model.keras --input-scale 1/255 --labels labels.txt
  convnet import model.json model.weights.h5 --input-scale 1/255 --name clothes";
    pub const EXPORT: &str = "\
Examples:
  convnet export models/model --format keras --out model.keras
  convnet export models/model --format onnx --out model.onnx";
    pub const VERIFY: &str = "\
Examples:
  convnet verify models/model
  convnet verify logs/light --data fashion-mnist --json";
    pub const DATA: &str = "\
Examples:
  convnet data show fashion-mnist --validation 5000
  convnet data check photos/ --out exclude.csv";
    pub const DATA_SHOW: &str = "\
Examples:
  convnet data show fashion-mnist --validation 5000
  convnet data show photos/ --image-size 64 --augment light -o photos.png";
    pub const DATA_CHECK: &str = "\
Examples:
  convnet data check fashion-mnist
  convnet data check photos/ --out exclude.csv";
    pub const DATA_SUSPECTS: &str = "\
Examples:
  convnet data suspects 20260101-120000 --sheet suspects.png
  convnet data suspects logs/light --count 500 --out exclude.csv";
    pub const DATA_EXPORT: &str = "\
Examples:
  convnet data export fashion-mnist --format png --out fashion/
  convnet data export photos/ --image-size 64 --format npz --out photos.npz";
    pub const DATA_DOWNLOAD: &str = "\
Examples:
  convnet data download fashion-mnist
  CONVNET_DATA=/mnt/data convnet data download cifar10";
    pub const RUNS: &str = "\
Examples:
  convnet runs list --sort val_accuracy
  convnet runs compare light strong --out compared.html";
    pub const RUNS_LIST: &str = "\
Examples:
  convnet runs list --sort val_accuracy --reverse
  convnet runs list --filter data=fashion-mnist --filter 'lr>=0.001' --json";
    pub const RUNS_SHOW: &str = "\
Examples:
  convnet runs show light
  convnet runs show logs/20260101-120000 --json";
    pub const RUNS_COMPARE: &str = "\
Examples:
  convnet runs compare light strong --out curves.png
  convnet runs compare baseline light strong --json";
    pub const DOCTOR: &str = "\
Examples:
  convnet doctor
  convnet doctor --json";
    pub const COMPLETIONS: &str = "\
Examples:
  convnet completions bash > ~/.local/share/bash-completion/completions/convnet
  convnet completions zsh > ~/.zfunc/_convnet";
    pub const MAN: &str = "\
Examples:
  convnet man ~/.local/share/man/man1
  convnet man man/";
}

#[cfg(test)]
mod tests;
