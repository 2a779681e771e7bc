use serde_json::json;

use super::*;

fn first_version_s() -> Value {
    json!({
        "config": RunConfig::from_toml("epochs = 3").unwrap(),
        "versions": { "convnet": "0.1.0", "tch": "0.24.0", "libtorch": "2.11.0" },
        "device": "cpu",
        "threads": 2,
        "parameters": 10,
        "architecture": { "class_name": "Sequential" },
        "data": {
            "name": "digits", "classes": ["0", "1"], "train": 5, "validation": null, "test": 2,
            "fingerprint": "aa", "validation_fingerprint": null, "test_fingerprint": "bb",
        },
        "paths": { "logs": "/tmp/logs" },
        "resumes": [{ "step": 7, "changed": { "epochs": 3 } }],
        "result": {
            "ending": "patience", "epochs": 3, "steps": 9, "seconds": 1.5,
            "best": { "monitor": "val_accuracy", "value": 0.5, "epoch": 2 },
            "test": { "loss": 0.25, "accuracy": 0.75 }, "model": "models/model", "weights_sha256": "cc",
        },
        "of_a_later_version": [1, 2],
    })
}

fn read(document: &Value) -> Result<RunRecord> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    fs::write(&path, document.to_string()).unwrap();
    RunRecord::read(&path)
}

#[test]
fn a_file_of_the_first_version_is_read_and_loses_nothing_when_it_is_written_again() {
    let document = first_version_s();
    let record = read(&document).unwrap();
    assert_eq!((record.version, record.config.training.epochs, record.resumes.len()), (1, 3, 1));
    let result = record.result.as_ref().unwrap();
    assert_eq!((result.ending, result.batches_seen, result.best.unwrap().epoch), (Some(EndedBy::Patience), Some(9), 2));
    let mut again = serde_json::to_value(&record).unwrap();
    assert_eq!(again.as_object_mut().unwrap().remove("version"), Some(json!(1)));
    assert_eq!(again, document);
}

#[test]
fn fingerprints_that_were_never_made_are_not_compared() {
    let with = |key: &str, value: Option<Value>| -> DataRecord {
        let mut data = first_version_s()["data"].clone();
        match value {
            Some(value) => data[key] = value,
            None => drop(data.as_object_mut().unwrap().remove(key)),
        }
        serde_json::from_value(data).unwrap()
    };
    let now = with("fingerprint", Some(json!("aa")));
    assert!(now.check_same(&now).is_ok());
    assert!(with("test_fingerprint", None).check_same(&now).is_ok(), "an early version made none");
    for (key, value) in
        [("fingerprint", json!("x")), ("test_fingerprint", Value::Null), ("validation_fingerprint", json!("x"))]
    {
        let error = with(key, Some(value)).check_same(&now).unwrap_err();
        assert_eq!(error.exit_code(), 3, "{error}");
    }
    let moved = |fingerprint: &str| DataRecord {
        relative_fingerprint: Some("r".into()),
        ..with("fingerprint", Some(json!(fingerprint)))
    };
    assert!(moved("x").check_same(&moved("y")).is_ok(), "the same files in another place");
}

#[test]
fn a_broken_file_is_a_run_that_cannot_go_on() {
    let changed = |key: &str, value: Value| {
        let mut document = first_version_s();
        document[key] = value;
        read(&document).unwrap_err()
    };
    for (error, place) in [
        (changed("threads", json!("two")), "threads"),
        (changed("config", json!({ "epoch": 3 })), "config"),
        (changed("data", Value::Null), "data"),
        (changed("version", json!(99)), "expected version 2 or below, got 99"),
        (read(&json!("text")).unwrap_err(), "run.json"),
    ] {
        let text = crate::error::describe(&error);
        assert_eq!(error.exit_code(), 2, "{text}");
        assert!(text.contains("the run's description cannot be used") && text.contains(place), "{text}");
    }
}
