//! After training: runs listed, shown and compared; runs repeated with other seeds.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use convnet::evaluate::stored;
use serde_json::{Value, json};

use crate::program::{SMALL, convnet, failed, history, json, succeeded, train, wait_for_first_epoch};

fn listed(at: &Path, more: &[&str]) -> Vec<Value> {
    let list = json(&convnet(at, &[&["runs", "list", "--json"], more].concat()));
    list["runs"].as_array().unwrap().clone()
}

fn names(runs: &[Value]) -> Vec<&str> {
    runs.iter().map(|run| run["run"].as_str().unwrap()).collect()
}

fn load(at: &Path, run: &str, split: &str) -> stored::StoredPredictions {
    stored::load(&at.join(format!("logs/{run}/predictions/{split}.safetensors"))).unwrap()
}

#[test]
fn a_run_keeps_its_predictions() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let report = json(&train(at, &["--run", "a", "--json"]));
    let record: Value = serde_json::from_str(&fs::read_to_string(at.join("logs/a/run.json")).unwrap()).unwrap();
    let [test, validation] = ["test", "validation"].map(|split| load(at, "a", split));
    assert_eq!(test.origin.images.as_deref(), record["data"]["test_fingerprint"].as_str());
    assert_eq!(validation.origin.images.as_deref(), record["data"]["validation_fingerprint"].as_str());
    assert_eq!(test.origin.weights_sha256.as_deref(), record["result"]["weights_sha256"].as_str());
    let accuracy = |of: &stored::StoredPredictions| {
        let each = &of.predictions;
        (0..each.len()).filter(|&index| each.is_right(index)).count() as f64 / each.len() as f64
    };
    assert_eq!(accuracy(&test), report["test"]["accuracy"].as_f64().unwrap());
    assert_eq!(accuracy(&validation), report["epochs"][1]["val_accuracy"].as_f64().unwrap());
    assert_eq!((test.predictions.len(), validation.predictions.len()), (100, 60));
    let loss = test.predictions.losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / 100.0;
    assert!((loss - report["test"]["loss"].as_f64().unwrap()).abs() < 1e-6);
    assert!(test.predictions.has_probabilities());
    // without test or validation images there are none
    let flags = ["train", "digits:600", "--validation", "none", "--epochs", "1", "--run", "b", "-q", "--device=cpu"];
    succeeded(&convnet(at, &flags));
    assert!(!at.join("logs/b/predictions/validation.safetensors").exists());
}

#[test]
#[cfg(unix)]
fn predictions_that_cannot_be_kept_are_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir_all(at.join("logs")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_convnet"));
    command.args(["train", "--data", "digits:600", "--validation", "60", "--device=cpu", "--progress=none"]);
    command
        .args(["-b", "4", "--epochs", "3", "--run", "a"])
        .current_dir(at)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    assert!(wait_for_first_epoch(&mut child, at, "a"));
    fs::write(at.join("logs/a/predictions"), "a file is in the way").unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("warning: cannot keep the predictions") && stderr.contains("the model is saved"),
        "{stderr}"
    );
    assert!(fs::read_to_string(at.join("logs/a/run.json")).unwrap().contains("weights_sha256"));
}

#[test]
fn runs_are_listed_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    failed(&convnet(at, &["runs", "list"]), 2, "--logs names another");
    succeeded(&train(at, &["--run", "a", "--epochs", "1"]));
    succeeded(&train(at, &["--run", "b", "--epochs", "2", "--lr", "0.01"]));
    failed(&train(at, &["--run", "diverged", "--lr", "1e30", "--optimizer", "sgd"]), 6, "finite");
    for (name, text) in [("broken", "{"), ("foreign", "")] {
        fs::create_dir_all(at.join("logs").join(name)).unwrap();
        if !text.is_empty() {
            fs::write(at.join("logs").join(name).join("run.json"), text).unwrap();
        }
    }
    let output = convnet(at, &["runs", "list"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("warning: ") && stderr.contains("logs/broken/run.json"), "{stderr}");
    assert!(!stderr.contains("foreign"), "{stderr}");
    let table = succeeded(&output);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    assert!(lines[0].starts_with("run ") && lines[0].contains("  lr") && !lines[0].contains("seed"), "{table}");
    assert!(lines[3].starts_with("diverged  ") && lines[3].contains("  failed  "), "{table}");

    let runs = listed(at, &[]);
    assert_eq!(names(&runs), ["a", "b", "diverged"], "the first that was started comes first");
    assert_eq!(
        (&runs[0]["epochs"], &runs[0]["status"], &runs[0]["data"]),
        (&json!(1), &json!("done"), &json!("digits:600"))
    );
    assert_eq!((&runs[1]["settings"]["lr"], &runs[1]["model"]), (&json!(0.01), &json!("keras-cnn")));
    assert!(runs[1]["val_accuracy"].is_f64() && runs[1]["test"]["accuracy"].is_f64());
    assert!(runs[2]["failure"].as_str().unwrap().contains("finite"));
    assert_eq!(names(&listed(at, &["--sort", "lr", "--reverse"])), ["diverged", "b", "a"]);
    assert_eq!(names(&listed(at, &["--filter", "epochs>=1", "--filter", "lr!=0.01"])), ["a"]);
    assert!(listed(at, &["--filter", "run=z"]).is_empty());
    failed(&convnet(at, &["runs", "list", "--sort", "val_acuracy"]), 2, "did you mean");
    failed(&convnet(at, &["runs", "list", "--filter", "lr"]), 2, "no sign");

    let shown = succeeded(&convnet(at, &["runs", "show", "b"]));
    for text in
        ["done, 2 of 2 epochs", "540 training, 60 validation and 100 test images", "lr ", "  0.01", "logs/b/run.json"]
    {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert!(
        shown.contains("models/model.json")
            && !succeeded(&convnet(at, &["runs", "show", "a"])).contains("models/model.json")
    );
    let shown = json(&convnet(at, &["runs", "show", "logs/b", "--json"]));
    assert_eq!((&shown["given_settings"]["lr"], &shown["given_settings"]["beta1"]), (&json!(0.01), &Value::Null));
    assert_eq!((shown["epochs"].as_array().unwrap().len(), &shown["epochs_done"]), (2, &json!(2)));
    failed(&convnet(at, &["runs", "show", "z"]), 2, "there is no run 'z'");
    // a history that is gone costs its columns only
    fs::remove_file(at.join("logs/b/history.csv")).unwrap();
    assert_eq!(listed(at, &["--filter", "run=b"])[0]["val_accuracy"], Value::Null);
    assert!(succeeded(&convnet(at, &["runs", "show", "b"])).contains("no whole epoch"));
}

#[test]
#[cfg(unix)]
fn a_run_is_running_stopped_and_done() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut command = Command::new(env!("CARGO_BIN_EXE_convnet"));
    command
        .arg("train")
        .args(SMALL)
        .args(["-b", "4", "--epochs", "50", "--run", "a"])
        .current_dir(at)
        .stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    assert!(wait_for_first_epoch(&mut child, at, "a"));
    let status = || listed(at, &[])[0]["status"].clone();
    assert_eq!(status(), "running");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(status(), "stopped");
    let epochs = (history(at, "a").len() + 1).to_string();
    succeeded(&convnet(at, &["train", "--resume", "a", "--epochs", &epochs, "-q"]));
    assert_eq!(status(), "done");
}

#[test]
fn runs_are_compared_on_the_same_test_images() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--run", "a", "--epochs", "4"]));
    succeeded(&train(at, &["--run", "same", "--epochs", "4"]));
    succeeded(&train(at, &["--run", "poor", "--epochs", "1", "--lr", "1e-5"]));
    let compared = |runs: &[&str]| json(&convnet(at, &[&["runs", "compare", "--json"], runs].concat()));

    let same = compared(&["a", "same"]);
    assert_eq!((&same["runs"], &same["settings"]), (&json!(["a", "same"]), &json!({})));
    assert_eq!((&same["test"]["verdict"], &same["test"]["p_value"]), (&json!("noise"), &json!(1.0)));
    let poor = compared(&["poor", "a"]);
    assert_eq!((&poor["settings"]["lr"], &poor["settings"]["epochs"]), (&json!([1e-5, 0.002]), &json!([1, 4])));
    assert_eq!((&poor["test"]["verdict"], &poor["test"]["count"]), (&json!("second"), &json!(100)));
    assert!(poor["test"]["p_value"].as_f64().unwrap() < 0.01 && poor["test"]["accuracy_interval"][1][1].is_f64());
    let difference = &poor["test"]["loss_difference"];
    let [low, high] = [0, 1].map(|end| difference["interval"][end].as_f64().unwrap());
    assert!(low < difference["mean"].as_f64().unwrap() && high < 0.0, "{difference}");
    assert_eq!(compared(&["a", "poor"])["test"]["verdict"], "first");
    let three = compared(&["a", "same", "poor"]);
    let tests = three["tests"].as_array().unwrap();
    assert_eq!((tests.len(), &tests[1]["runs"], &tests[0]["verdict"]), (2, &json!(["a", "poor"]), &json!("noise")));
    assert_eq!(tests[1]["p_corrected"].as_f64().unwrap(), 2.0 * tests[1]["p_value"].as_f64().unwrap());

    let said = succeeded(&convnet(at, &["runs", "compare", "a", "poor", "--out", "c/curves.png"]));
    assert!(said.contains("a is better, and that is not noise") && said.contains("paired bootstrap"), "{said}");
    let picture = image::open(at.join("c/curves.png")).unwrap();
    assert!(picture.width() > 800 && picture.height() > 1000);
    succeeded(&convnet(at, &["runs", "compare", "a", "same", "--out", "c/page.html"]));
    let page = fs::read_to_string(at.join("c/page.html")).unwrap();
    assert!(
        page.contains("<svg") && page.contains("may be noise") && !page.contains("http://")
            || page.contains("www.w3.org")
    );
    assert!(!page.contains("src=") && !page.contains("<script"), "it needs nothing beside itself");
}

#[test]
fn what_cannot_be_compared_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--run", "a", "--epochs", "1"]));
    succeeded(&train(at, &["--run", "b", "--epochs", "1", "--seed", "1"]));
    let compare = |runs: &[&str]| convnet(at, &[&["runs", "compare"], runs].concat());
    failed(&compare(&["a"]), 2, "2 values required");
    failed(&compare(&["a", "logs/a"]), 2, "not with itself");
    failed(&compare(&["a", "z"]), 2, "there is no run 'z'");
    failed(&compare(&["a", "b", "--out", "c.svg"]), 2, ".png or .html");
    let other = ["train", "--data", "digits:400", "--epochs", "1", "--run", "other", "-q", "--device=cpu"];
    succeeded(&convnet(at, &other));
    failed(&compare(&["a", "other"]), 3, "different images");
    // other classes
    let path = at.join("logs/other/run.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut record: Value = serde_json::from_str(&text).unwrap();
    record["data"]["classes"].as_array_mut().unwrap().pop();
    fs::write(&path, record.to_string()).unwrap();
    failed(&compare(&["a", "other"]), 3, "different classes: expected 10");
    // predictions of other weights, broken ones, and none
    let predictions = at.join("logs/b/predictions/test.safetensors");
    fs::copy(at.join("logs/a/predictions/test.safetensors"), &predictions).unwrap();
    assert!(
        succeeded(&compare(&["a", "b"])).contains("no test of the difference: the predictions that b has kept are not")
    );
    fs::write(&predictions, "x").unwrap();
    failed(&compare(&["a", "b"]), 3, "logs/b/predictions/test.safetensors");
    fs::remove_file(&predictions).unwrap();
    let said = succeeded(&compare(&["a", "b"]));
    assert!(said.contains("no test of the difference: b has kept no predictions") && said.contains("seed"), "{said}");
    assert!(json(&compare(&["a", "b", "--json"]))["no_test"].is_string());
    // a history that is broken is named
    fs::write(at.join("logs/b/history.csv"), "epoch,what\n").unwrap();
    failed(&compare(&["a", "b"]), 3, "logs/b/history.csv");
}

#[test]
fn a_training_is_repeated_with_seeds_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let flags = ["--epochs", "1", "--repeats", "3", "--seed", "5", "--run", "r", "--json"];
    let report = json(&train(at, &flags));
    let repeats = report["repeats"].as_array().unwrap();
    let seeds: Vec<u64> = repeats.iter().map(|run| run["seed"].as_u64().unwrap()).collect();
    assert_eq!(seeds, [5, 6, 7]);
    let accuracies: Vec<f64> = repeats.iter().map(|run| run["test"]["accuracy"].as_f64().unwrap()).collect();
    let mean = accuracies.iter().sum::<f64>() / 3.0;
    let of = |key: &str| report["test_accuracy"][key].as_f64().unwrap();
    assert!((of("mean") - mean).abs() < 1e-12);
    let low = report["test_accuracy"]["interval"][0].as_f64().unwrap();
    assert!((low - (mean - 4.302_652_729_9 * of("sd") / 3f64.sqrt())).abs() < 1e-9);
    assert!(report["test_loss"]["mean"].is_f64() && report["val_loss"]["sd"].is_f64());
    for number in 1..=3 {
        assert!(at.join(format!("models/model-repeat{number}.json")).is_file());
        assert!(at.join(format!("logs/r-repeat{number}/run.json")).is_file());
    }
    // what is done counts: the command can be given again
    fs::remove_dir_all(at.join("logs/r-repeat3")).unwrap();
    let again = json(&train(at, &flags));
    assert_eq!(again["repeats"][2]["test"], report["repeats"][2]["test"]);
    assert_eq!(again["test_accuracy"], report["test_accuracy"]);
    failed(&train(at, &["--repeats", "1"]), 2, "--repeats cannot be used: expected at least 2");
    failed(&train(at, &["--repeats", "2", "--folds", "2"]), 2, "--folds");
    failed(&train(at, &["--repeats", "2", "--resume", "r"]), 2, "--resume");
}

#[test]
fn a_plan_writes_nothing_and_names_what_it_cannot_foresee() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let plan = json(&train(at, &["--epochs", "3", "--plan", "--json"]));
    assert_eq!(
        (&plan["parameters"], &plan["steps_per_epoch"], &plan["epochs"]),
        (&json!(34_826), &json!(5), &json!(3))
    );
    assert_eq!((&plan["train"], &plan["validation"], &plan["test"]), (&json!(540), &json!(60), &json!(100)));
    let seconds = |key: &str| plan[key].as_f64().unwrap();
    assert!(seconds("step_seconds") > 0.0 && plan["timed_steps"].as_u64().unwrap() >= 5);
    let epoch = 5.0 * seconds("step_seconds") + seconds("validation_seconds");
    assert!((seconds("epoch_seconds") - epoch).abs() < 1e-9 * epoch);
    assert!(seconds("total_seconds") > 3.0 * epoch && plan["peak_memory_bytes"].as_u64().unwrap() > 50 << 20);
    assert!(!at.join("logs").exists() && !at.join("models").exists(), "nothing is written");
    let said = succeeded(&train(at, &["--plan"]));
    assert!(said.contains("34,826 parameters") && said.contains("nothing was trained or written"), "{said}");
    failed(&train(at, &["--plan", "--freeze-epochs", "1"]), 2, "expected --freeze-epochs 0");
    failed(&train(at, &["--plan", "--freeze", "conv2d"]), 2, "--keep-features false");
    failed(&train(at, &["--plan", "--folds", "2"]), 2, "--folds");
}

#[test]
fn a_profile_changes_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--run", "plain", "--name", "plain"]));
    let report = json(&train(at, &["--run", "a", "--name", "a", "--profile", "--json"]));
    assert_eq!(history(at, "plain"), history(at, "a"));
    let [plain, profiled] = ["plain", "a"].map(|name| fs::read(at.join(format!("models/{name}.safetensors"))).unwrap());
    assert_eq!(plain, profiled);
    let phases = report["profile"]["phases"].as_array().unwrap();
    let of = |phase: &str| phases.iter().find(|entry| entry["phase"] == phase).unwrap();
    assert_eq!(
        (&of("forward")["count"], &of("optimizer")["count"], &of("validation")["count"]),
        (&json!(10), &json!(10), &json!(2))
    );
    let seconds: f64 = phases.iter().map(|entry| entry["seconds"].as_f64().unwrap()).sum();
    assert!(seconds > 0.0 && seconds <= report["total_seconds"].as_f64().unwrap());
    let layers = report["profile"]["layers"].as_array().unwrap();
    let names: Vec<&str> = layers.iter().map(|layer| layer["layer"].as_str().unwrap()).collect();
    assert_eq!(names, ["conv2d", "max_pooling2d", "conv2d_1", "max_pooling2d_1", "dropout", "flatten", "dense"]);
    assert!(
        layers[2]["forward_seconds"].as_f64().unwrap() > 0.0 && layers[2]["backward_seconds"].as_f64().unwrap() > 0.0
    );
    let trace: Value = serde_json::from_slice(&fs::read(at.join("logs/a/trace.json")).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let spans: Vec<&Value> = events.iter().filter(|event| event["ph"] == "X").collect();
    assert_eq!(spans.iter().filter(|event| event["name"] == "backward").count(), 10);
    assert!(spans.iter().all(|event| event["ts"].is_number() && event["dur"].is_number() && event["pid"] == 1));
    assert!(!at.join("logs/plain/trace.json").exists());
    let said = succeeded(&train(at, &["--run", "b", "--profile"]));
    assert!(said.contains("trace     logs/b/trace.json") && said.contains("backward  "), "{said}");
    assert!(said.contains("conv2d_1         Conv2D  ") && said.contains("each layer by itself"), "{said}");
    // images that threads decode are waited for
    assert!(phases.iter().all(|entry| entry["phase"] != "waiting"), "{phases:?}");
    let streamed = json(&train(at, &["--run", "c", "--cache", "none", "--profile", "--json"]));
    let phases = streamed["profile"]["phases"].as_array().unwrap();
    assert!(phases.iter().any(|entry| entry["phase"] == "waiting" && entry["count"] == 10), "{phases:?}");
    failed(&train(at, &["--profile", "--repeats", "2"]), 2, "--repeats");
}
