use super::*;
use crate::config::RunConfig;
use crate::model::spec::{Crossentropy, Form, Head};

fn compiled(document: Value) -> (Map<String, Value>, Vec<String>) {
    compiled_for(document, Head::Softmax, Form::Activated)
}

fn compiled_for(document: Value, head: Head, form: Form) -> (Map<String, Value>, Vec<String>) {
    keys(&serde_json::from_value(document).unwrap(), OutputKind { head, evaluated: form, trained: form })
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
    assert_eq!(
        (config.optimizer.kind, config.learning_rate.lr, config.optimizer.momentum),
        (OptimizerKind::Sgd, 0.05, 0.9)
    );
    assert_eq!(
        (config.optimizer.nesterov, config.optimizer.clip_norm, config.training.label_smoothing),
        (true, Some(1.0), 0.1)
    );
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

#[test]
fn gradients_are_gathered_as_in_keras() {
    let config = json!({ "learning_rate": 0.5, "gradient_accumulation_steps": 2 });
    let (keys, left) = compiled(json!({ "optimizer": "SGD", "optimizer_config": config }));
    assert_eq!(RunConfig::resolve(keys, Map::new()).unwrap().training.accumulate, 2);
    assert!(left.is_empty());
}

#[test]
fn a_schedule_gives_its_first_rate() {
    let decay = json!({ "initial_learning_rate": 0.02, "decay_steps": 10 });
    let (keys, left) = compiled(json!({
        "optimizer": "Adam",
        "optimizer_config": { "learning_rate": { "class_name": "ExponentialDecay", "config": decay } },
    }));
    assert_eq!(RunConfig::resolve(keys, Map::new()).unwrap().learning_rate.lr, 0.02);
    assert_eq!(left, ["the learning rate's schedule ExponentialDecay"]);
}

#[test]
fn a_loss_of_another_kind_is_said() {
    let smoothed = |class_name: &str| json!({ "class_name": class_name, "config": { "label_smoothing": 0.1 } });
    let function = json!({ "class_name": "function", "config": "sparse_categorical_crossentropy" });
    for (loss, left, smoothing) in [
        (Value::Null, None, 0.0),
        (json!("sparse_categorical_crossentropy"), None, 0.0),
        (json!(["categorical_crossentropy"]), None, 0.0),
        (json!({ "dense": smoothed("CategoricalCrossentropy") }), None, 0.1),
        (json!([function]), None, 0.0),
        (json!([]), None, 0.0),
        (json!(3), None, 0.0),
        (json!("mse"), Some("the loss mse"), 0.0),
        (smoothed("CategoricalFocalCrossentropy"), Some("the loss CategoricalFocalCrossentropy"), 0.0),
        (json!(["mse", "mse"]), Some("the loss of several outputs"), 0.0),
        (json!({ "a": "mse", "b": "mse" }), Some("the loss of several outputs"), 0.0),
    ] {
        let document = json!({ "optimizer": "Adam", "optimizer_config": {}, "loss": loss });
        let (keys, said) = compiled(document);
        assert_eq!(said.first().map(String::as_str), left, "{loss}");
        assert_eq!(RunConfig::resolve(keys, Map::new()).unwrap().training.label_smoothing, smoothing, "{loss}");
    }
}
#[test]
fn the_loss_has_to_be_the_outputs_own() {
    let [binary, categorical] = ["BinaryCrossentropy", "CategoricalCrossentropy"];
    for (head, form, class_name, from_logits, is_taken_over) in [
        (Head::Binary, Form::Activated, binary, false, true),
        (Head::Binary, Form::Activated, binary, true, true),
        (Head::Binary, Form::Logits, binary, true, true),
        (Head::Binary, Form::Activated, categorical, false, false),
        (Head::Softmax, Form::Activated, binary, false, false),
        (Head::Softmax, Form::Activated, categorical, true, true),
        (Head::Softmax, Form::Logits, categorical, true, true),
        (Head::Softmax, Form::Logits, categorical, false, false),
        (Head::Softmax, Form::Probabilities, categorical, true, false),
        (Head::Sigmoids(Crossentropy::Binary), Form::Activated, binary, false, true),
        (Head::Sigmoids(Crossentropy::Categorical), Form::Activated, categorical, false, true),
    ] {
        let loss =
            json!({ "class_name": class_name, "config": { "from_logits": from_logits, "label_smoothing": 0.25 } });
        let document = json!({ "optimizer": "Adam", "optimizer_config": {}, "loss": loss });
        let (keys, left) = compiled_for(document, head, form);
        let smoothing = RunConfig::resolve(keys, Map::new()).unwrap().training.label_smoothing;
        assert_eq!(smoothing, if is_taken_over { 0.25 } else { 0.0 }, "{head:?} {form:?} {class_name} {from_logits}");
        assert_eq!(left.is_empty(), is_taken_over, "{left:?}");
    }
}
