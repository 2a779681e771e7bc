//! A Keras model's compile settings as a run's keys, so that training goes on as it was.

use serde_json::{Map, Value, json};

use crate::model::spec::CompiledLoss;
use crate::model::{CompileInfo, OutputKind};
use crate::train::OptimizerKind;

/// Keras's setting, and this program's key for it.
const KEYS: [(&str, &str); 12] = [
    ("beta_1", "beta1"),
    ("beta_2", "beta2"),
    ("epsilon", "epsilon"),
    ("momentum", "momentum"),
    ("nesterov", "nesterov"),
    ("rho", "rho"),
    ("centered", "centered"),
    ("weight_decay", "weight_decay"),
    ("clipvalue", "clip_value"),
    ("clipnorm", "clip_norm"),
    ("global_clipnorm", "global_clip_norm"),
    ("learning_rate", "lr"),
];

/// The keys that `compile` says of a network whose outputs are `output`, and what of it cannot be taken over, in words.
pub fn keys(compile: &CompileInfo, output: OutputKind) -> (Map<String, Value>, Vec<String>) {
    let (mut keys, mut left) = (Map::new(), Vec::new());
    let Some(kind) = OptimizerKind::of_keras(&compile.optimizer) else {
        left.push(format!("the optimizer {}", compile.optimizer));
        return (keys, left);
    };
    keys.insert("optimizer".into(), json!(kind));
    for (keras, key) in KEYS {
        match compile.optimizer_config.get(keras) {
            None => {}
            Some(Value::Number(number)) => {
                keys.insert(key.into(), json!(number.as_f64().map(shortest)));
            }
            Some(Value::Bool(on)) => {
                keys.insert(key.into(), json!(on));
            }
            Some(schedule) if keras == "learning_rate" => {
                let class_name = schedule.get("class_name").and_then(Value::as_str).unwrap_or("of its own");
                left.push(format!("the learning rate's schedule {class_name}"));
                let initial = schedule.pointer("/config/initial_learning_rate").and_then(Value::as_f64);
                keys.extend(initial.map(|rate| (key.to_owned(), json!(shortest(rate)))));
            }
            Some(_) => left.push(format!("{keras}, which is no number")),
        }
    }
    let accumulate = compile.optimizer_config.get("gradient_accumulation_steps").and_then(whole);
    keys.extend(accumulate.map(|batches| ("accumulate".to_owned(), json!(batches))));
    let is_on = |key: &str| compile.optimizer_config.get(key) == Some(&Value::Bool(true));
    left.extend(["amsgrad", "use_ema"].into_iter().filter(|key| is_on(key)).map(str::to_owned));
    let is_trained = CompiledLoss::from_json(&compile.loss).is_some_and(|loss| output.is_trained_with(&loss));
    match loss(&compile.loss) {
        Some((name, _)) if !is_trained => left.push(format!("the loss {name}")),
        Some((_, Some(smoothing))) => {
            keys.insert("label_smoothing".into(), json!(shortest(smoothing)));
        }
        _ => {}
    }
    (keys, left)
}

/// The name of a loss, which may stand alone in a list or under an output's name, and how far it smooths labels. `None`
/// where there is none.
fn loss(loss: &Value) -> Option<(&str, Option<f64>)> {
    let of_several = |count: usize| (count > 1).then_some(("of several outputs", None));
    match loss {
        Value::String(name) => Some((name, None)),
        Value::Array(losses) => match &losses[..] {
            [loss] => self::loss(loss),
            losses => of_several(losses.len()),
        },
        Value::Object(object) => match (object.get("class_name").and_then(Value::as_str), object.get("config")) {
            (Some("function"), Some(name)) => self::loss(name),
            (Some(class_name), config) => {
                let smoothing = config.and_then(|config| config.get("label_smoothing")?.as_f64());
                Some((class_name.rsplit('>').next().unwrap_or(class_name), smoothing))
            }
            (None, _) if object.len() == 1 => object.values().next().and_then(self::loss),
            (None, _) => of_several(object.len()),
        },
        _ => None,
    }
}

/// A whole number above 0, also one written as 2.0.
fn whole(value: &Value) -> Option<u64> {
    let number = value.as_f64().filter(|number| number.fract() == 0.0 && (1.0..1e9).contains(number));
    number.map(|number| number as u64)
}

/// Keras keeps settings as f32: 0.0020000000949949026 was meant as 0.002.
fn shortest(number: f64) -> f64 {
    let single = number as f32;
    if f64::from(single) == number { single.to_string().parse().unwrap_or(number) } else { number }
}

#[cfg(test)]
mod tests;
