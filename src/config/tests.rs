use super::*;
use crate::data::split::Validation;
use serde_json::json;

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let file = object(json!({ "epochs": 3, "lr": 0.1, "validation": 100 }));
    let config = RunConfig::resolve(file, object(json!({ "lr": 0.2 }))).unwrap();
    assert_eq!((config.training.epochs, config.learning_rate.lr, config.training.batch_size), (3, 0.2, 128));
    assert_eq!(config.data.validation, Validation::Count(100));
}

#[test]
fn only_what_comes_of_all_layers_has_to_fit_together() {
    for (file, flags) in [
        (json!({ "min_lr": 0.01 }), json!({ "lr": 0.1 })),
        (json!({ "monitor": "val_loss", "validation": "none" }), json!({ "validation": 50 })),
        (json!({ "clip_norm": 1.0 }), json!({ "global_clip_norm": 2.0 })),
        (json!({ "schedule": "cosine", "warmup_epochs": 2 }), json!({ "schedule": "one-cycle", "warmup_epochs": 0 })),
    ] {
        RunConfig::resolve(object(file.clone()), object(flags)).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    let both = object(json!({ "clip_norm": 1.0, "clip_value": 1.0 }));
    assert!(RunConfig::resolve(both, Map::new()).is_err(), "one layer says two of them");
    let config = RunConfig::resolve(object(json!({ "clip_norm": 1.0 })), object(json!({ "clip_value": 0.5 }))).unwrap();
    assert_eq!((config.optimizer.clip_norm, config.optimizer.clip_value), (None, Some(0.5)));
}

#[test]
#[cfg(unix)]
fn a_path_that_run_json_cannot_keep_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let mut config = RunConfig::default();
    config.outputs.logs = std::ffi::OsStr::from_bytes(b"logs\xff").into();
    let error = config.keys().unwrap_err();
    assert_eq!((error.exit_code(), error.to_string().contains("UTF-8")), (2, true), "{error}");
}

#[test]
fn no_two_parts_have_the_same_key() {
    let Value::Object(all) = json!(RunConfig::default()) else { unreachable!() };
    let RunConfig { data, load, network, training, optimizer, learning_rate, best_epoch, device, outputs } =
        RunConfig::default();
    let parts = json!([data, load, network, training, optimizer, learning_rate, best_epoch, device, outputs]);
    let counts = parts.as_array().unwrap().iter().map(|part| part.as_object().unwrap().len());
    assert_eq!(counts.sum::<usize>(), all.len());
}

#[test]
fn a_resolved_run_survives_json() {
    let keys = json!({
        "run": "a", "threads": 2, "until": "val_loss=0.25", "time": "10m", "save_every": "500",
        "class_weights": [1.0, 2.0], "monitor": "val_loss", "input_scale": "1/3", "image_size": "28x32",
    });
    let config = RunConfig::resolve(object(keys), Map::new()).unwrap();
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<RunConfig>(&text).unwrap(), config);
}
