use super::*;
use serde_json::json;

#[test]
fn every_version_s_settings_are_understood() {
    // from files of Keras 3.15, 2.15 and 1.2.2
    let newest = json!({
        "optimizer": { "module": "keras.optimizers", "class_name": "Adam", "registered_name": null,
                       "config": { "name": "adam", "learning_rate": 0.002, "clipnorm": null, "beta_1": 0.9 } },
        "loss": "categorical_crossentropy", "loss_weights": null, "metrics": ["accuracy"],
    });
    let newest = info_of(&newest).unwrap();
    assert_eq!((newest.optimizer.as_str(), newest.learning_rate()), ("Adam", Some(0.002)));
    assert!(!newest.optimizer_config.contains_key("clipnorm"));
    assert_eq!((newest.loss, newest.metrics), (json!("categorical_crossentropy"), vec!["accuracy".to_owned()]));

    let second = json!({
        "loss": { "class_name": "function", "config": "mse" },
        "metrics": [[{ "class_name": "MeanMetricWrapper", "config": { "name": "accuracy", "fn": "x" } }]],
        "optimizer_config": { "class_name": "Custom>Adam", "config": { "learning_rate": 0.001 } },
    });
    let second = info_of(&second).unwrap();
    assert_eq!((second.optimizer.as_str(), second.loss), ("Adam", json!("mse")));
    assert_eq!(second.metrics, ["accuracy"]);

    let first = json!({ "optimizer_config": { "class_name": "SGD", "config": { "lr": 0.01 } }, "loss": "mse" });
    assert_eq!(info_of(&first).unwrap().learning_rate(), Some(0.01));
    assert_eq!(info_of(&json!({})), None);
    assert_eq!(info_of(&json!({ "optimizer": [] })), None);
}
