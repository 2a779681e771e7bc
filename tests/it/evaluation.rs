//! What `evaluate` writes, and what the model keeps of its confidence.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::program::{convnet, failed, json, succeeded, train, write_as_before_checksums};

fn on_cpu(folder: &Path, args: &[&str]) -> Output {
    convnet(folder, &[args, &["--device", "cpu"]].concat())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn files_say_what_the_report_says() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--run", "a"]));
    let files = ["--out", "p.csv", "--confusion", "c.csv", "--reliability", "r.svg", "--mistakes", "m.png"];
    let report = json(&on_cpu(at, &[&["evaluate", "models/model", "--json"], &files[..]].concat()));

    let mut confusion = csv::Reader::from_path(at.join("c.csv")).unwrap();
    for (row, expected) in confusion.records().zip(report["confusion"].as_array().unwrap()) {
        let counts: Vec<u64> = row.unwrap().iter().skip(1).map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(Value::from(counts), *expected);
    }
    let mut predictions = csv::Reader::from_path(at.join("p.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = predictions.records().map(Result::unwrap).collect();
    assert_eq!(rows.len() as u64, report["count"]);
    let right = rows.iter().filter(|row| row[3] == row[5]).count();
    assert_eq!(right as f64 / rows.len() as f64, report["accuracy"]);
    // predict says the same
    let predicted = json(&on_cpu(at, &["predict", "models/model", "--split", "test", "--json"]));
    for (row, predicted) in rows.iter().zip(predicted["predictions"].as_array().unwrap()) {
        assert_eq!((&row[2], &row[3]), (predicted["label"].as_str().unwrap(), &*predicted["class"].to_string()));
        let [evaluated, alone] = [row[4].parse().unwrap(), predicted["probability"].as_f64().unwrap()];
        let difference: f64 = evaluated - alone;
        assert!(difference.abs() < 1e-6, "{evaluated} {alone}");
    }
    assert!(fs::read_to_string(at.join("r.svg")).unwrap().contains("@font-face"));
    assert!(image::open(at.join("m.png")).unwrap().width() > 100);
    for name in ["c.png", "c.svg"] {
        succeeded(&on_cpu(at, &["evaluate", "models/model", "--confusion", name]));
        assert!(fs::metadata(at.join(name)).unwrap().len() > 1000);
    }
    for (flag, name) in [("--out", "p.npy"), ("--confusion", "c.jpg"), ("--reliability", "r"), ("--mistakes", "m.csv")]
    {
        failed(&on_cpu(at, &["evaluate", "models/model", flag, name]), 2, name);
    }
    failed(&on_cpu(at, &["evaluate", "models/model", "--out", "/proc/p.csv"]), 2, "/proc/p.csv");
}

#[test]
fn a_model_knows_what_its_confidence_is_worth() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let args = ["train", "digits:1500", "--validation", "600", "--epochs", "2", "--run", "a", "-q"];
    succeeded(&on_cpu(at, &args));
    let calibration = |at: &Path| -> Value {
        let text = fs::read_to_string(at.join("models/model.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["convnet"]["calibration"].clone()
    };
    let kept = calibration(at);
    assert_eq!(kept["images"], 600);
    let report = json(&on_cpu(at, &["evaluate", "models/model", "--split", "validation", "--json"]));
    assert_eq!(report["calibration"]["temperature"], kept["temperature"]);
    let [before, after] = ["ece", "ece_calibrated"].map(|key| report["calibration"][key].as_f64().unwrap());
    assert!(after < before + 0.01, "{before} {after}");

    // as sure as asked for, on the images that it was measured on
    let args = ["predict", "models/model", "--split", "validation", "--json", "--min-precision", "0.8"];
    let output = on_cpu(at, &args);
    let predictions = json(&output)["predictions"].as_array().unwrap().clone();
    let named: Vec<&Value> = predictions.iter().filter(|one| !one["label"].is_null()).collect();
    assert!(!named.is_empty() && named.len() < predictions.len(), "{} of {}", named.len(), predictions.len());
    let right = named.iter().filter(|one| one["class"] == one["expected"]).count();
    assert!(right as f64 >= 0.8 * named.len() as f64, "{right} of {}", named.len());
    assert!(
        said(&output).contains(&format!("here {} of 600, {right} of them right", named.len())),
        "{}",
        said(&output)
    );
    failed(&on_cpu(at, &["predict", "models/model", "--split", "test", "--min-precision", "0.99999"]), 2, "at most 0.");
    failed(&on_cpu(at, &["predict", "models/model", "--split", "test", "--min-precision", "2"]), 2, "below 1");

    // calibrated probabilities are the softmax of the logits divided by the temperature
    let plain = json(&on_cpu(at, &["predict", "models/model", "--split", "test", "--index", "0", "--json"]));
    let args = ["predict", "models/model", "--split", "test", "--index", "0", "--json", "--calibrated"];
    let calibrated = json(&on_cpu(at, &args));
    let numbers = |document: &Value| -> Vec<f64> {
        let probabilities = document["predictions"][0]["probabilities"].as_array().unwrap();
        probabilities.iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let temperature = kept["temperature"].as_f64().unwrap();
    let powers: Vec<f64> = numbers(&plain).iter().map(|value| value.powf(1.0 / temperature)).collect();
    let sum: f64 = powers.iter().sum();
    for (power, value) in powers.iter().zip(numbers(&calibrated)) {
        assert!((power / sum - value).abs() < 1e-5, "{} {value}", power / sum);
    }

    // a model from before, or of others
    let document = write_as_before_checksums(&at.join("models/model.json"), |document| {
        document["convnet"].as_object_mut().unwrap().remove("calibration").unwrap();
    });
    failed(&on_cpu(at, &["predict", "models/model", "--split", "test", "--calibrated"]), 4, "--calibrate");
    let output = on_cpu(at, &["evaluate", "models/model", "--split", "validation", "--calibrate", "--json"]);
    let temperature = json(&output)["calibration"]["temperature"].as_f64().unwrap();
    let again = calibration(at)["temperature"].as_f64().unwrap();
    assert!((temperature - again).abs() < 1e-12 && said(&output).contains("is in models/model.json"));
    succeeded(&on_cpu(at, &["predict", "models/model", "--split", "test", "--index", "0", "--calibrated"]));

    for lie in ["0", "-1", "1e999", "\"x\""] {
        let text = document.to_string();
        let key =
            format!("\"convnet\":{{\"calibration\":{{\"images\":1,\"temperature\":{lie},\"thresholds\":\"0 1 1\"}},");
        fs::write(at.join("models/model.json"), text.replacen("\"convnet\":{", &key, 1)).unwrap();
        failed(&on_cpu(at, &["predict", "models/model", "--split", "test"]), 4, "models/model.json");
    }
}
