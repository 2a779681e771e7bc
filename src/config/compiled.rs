//! A Keras model's compile settings as a run's keys, so that training goes on as it was.

use serde_json::{Map, Value, json};

use crate::model::CompileInfo;

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
/// Optimizers that are known by the same name in lower case.
const OPTIMIZERS: [&str; 6] = ["Adam", "AdamW", "Nadam", "SGD", "RMSprop", "Lion"];

/// The keys that `compile` says, and what of it cannot be taken over, in words.
pub fn keys(compile: &CompileInfo) -> (Map<String, Value>, Vec<String>) {
    let (mut keys, mut left) = (Map::new(), Vec::new());
    if OPTIMIZERS.contains(&compile.optimizer.as_str()) {
        keys.insert("optimizer".into(), json!(compile.optimizer.to_lowercase()));
    } else {
        left.push(format!("the optimizer {}", compile.optimizer));
        return (keys, left);
    }
    for (keras, key) in KEYS {
        match compile.optimizer_config.get(keras) {
            None => {}
            Some(Value::Number(number)) => {
                keys.insert(key.into(), json!(number.as_f64().map(shortest)));
            }
            Some(Value::Bool(on)) => {
                keys.insert(key.into(), json!(on));
            }
            Some(_) => left.push(format!("{keras}, which is no number")),
        }
    }
    let is_on = |key: &str| compile.optimizer_config.get(key) == Some(&Value::Bool(true));
    left.extend(["amsgrad", "use_ema"].into_iter().filter(|key| is_on(key)).map(str::to_owned));
    let smoothing = compile.loss.pointer("/config/label_smoothing").and_then(Value::as_f64);
    keys.extend(smoothing.map(|smoothing| ("label_smoothing".to_owned(), json!(shortest(smoothing)))));
    (keys, left)
}

/// Keras keeps settings as f32: 0.0020000000949949026 was meant as 0.002.
fn shortest(number: f64) -> f64 {
    let single = number as f32;
    if f64::from(single) == number { single.to_string().parse().unwrap_or(number) } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;
    use crate::train::OptimizerKind;

    fn compiled(document: Value) -> (Map<String, Value>, Vec<String>) {
        keys(&serde_json::from_value(document).unwrap())
    }

    #[test]
    fn what_keras_compiled_becomes_a_run() {
        let (keys, left) = compiled(json!({
            "optimizer": "SGD",
            "optimizer_config": {
                "name": "SGD", "learning_rate": 0.05000000074505806, "momentum": 0.9, "nesterov": true, "clipnorm": 1.0
            },
            "loss": { "class_name": "CategoricalCrossentropy", "config": { "label_smoothing": 0.1 } },
        }));
        let config = RunConfig::resolve(keys, Map::new()).unwrap();
        assert_eq!((config.optimizer, config.lr, config.momentum), (OptimizerKind::Sgd, 0.05, 0.9));
        assert_eq!((config.nesterov, config.clip_norm, config.label_smoothing), (true, Some(1.0), 0.1));
        assert!(left.is_empty());
    }

    #[test]
    fn what_cannot_be_taken_over_is_said() {
        let schedule = json!({ "class_name": "CosineDecay", "config": {} });
        let (keys, left) = compiled(json!({
            "optimizer": "Adam", "optimizer_config": { "learning_rate": schedule, "amsgrad": true },
        }));
        assert_eq!((keys.len(), left.len()), (1, 2), "{left:?}");
        let (keys, left) = compiled(json!({ "optimizer": "Adafactor", "optimizer_config": {} }));
        assert_eq!((keys.len(), left.len()), (0, 1));
    }
}
