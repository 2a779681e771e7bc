use super::*;
use serde_json::{Map, json};

#[test]
fn what_cannot_be_used_is_refused() {
    for (keys, word) in [
        (json!({ "epoch": 3 }), "did you mean 'epochs'"),
        (json!({ "batch_size": 0 }), "`batch_size`"),
        (json!({ "lr": -1.0 }), "lr"),
        (json!({ "lr": null }), "lr"),
        (json!({ "beta2": 1.0 }), "beta2"),
        (json!({ "device": "gpu" }), "device"),
        (json!({ "name": "a/b" }), "name"),
        (json!({ "name": ".." }), "name"),
        (json!({ "name": "." }), "name"),
        (json!({ "name": "" }), "name"),
        (json!({ "name": "-x" }), "as flags do"),
        (json!({ "name": "a\u{0}b" }), "\"a\\0b\""),
        (json!({ "run": "a\nb" }), "control characters"),
        (json!({ "name": "é".repeat(122) }), "at most 243 bytes, got one of 244"),
        (json!({ "run": "r".repeat(248) }), "at most 245 bytes"),
        (json!({ "threads": 0 }), "threads"),
        (json!({ "clip_norm": 1.0, "clip_value": 1.0 }), "one of them"),
        (json!({ "clip_norm": 0.0 }), "`clip_norm`"),
        (json!({ "ema": 1.0 }), "ema"),
        (json!({ "label_smoothing": -0.1 }), "`label_smoothing`"),
        (json!({ "min_lr": 0.1 }), "`min_lr`"),
        (json!({ "schedule": "one-cycle", "warmup_epochs": 1 }), "warm-up of its own"),
        (json!({ "schedule": "cosin" }), "schedule"),
        (json!({ "validation": "none", "patience": 3 }), "validation images"),
        (json!({ "validation": "none", "monitor": "val_loss" }), "validation images"),
        (json!({ "until": "val_accuracy" }), "val_accuracy=0.92"),
        (json!({ "time": "10" }), "10m"),
        (json!({ "save_every": 0 }), "at least 1"),
        (json!({ "accumulate": 0 }), "accumulate"),
    ] {
        let error = RunConfig::resolve(keys.as_object().unwrap().clone(), Map::new()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(word), "{keys}: {error}");
    }
    let usable = json!({ "validation": "none", "patience": 3, "monitor": "loss" });
    assert!(RunConfig::resolve(usable.as_object().unwrap().clone(), Map::new()).is_ok());
}
