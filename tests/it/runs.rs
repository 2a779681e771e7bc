//! What becomes of runs when folders vanish, data changes, or settings meet: nothing is lost in silence.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::program::{
    SMALL, convnet, failed, json, succeeded, train, wait_for_first_epoch, with_default_signals,
    write_as_before_checksums,
};
use serde_json::Value;

/// Starts a training that takes a while, waits for its first epoch, does `meanwhile` and waits for its end.
fn interfered(folder: &Path, more: &[&str], meanwhile: impl FnOnce(u32)) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_convnet"));
    let epochs = if more.contains(&"--epochs") { &[][..] } else { &["--epochs", "8"] };
    command.arg("train").args(SMALL).args(["-b", "4", "--run", "a", "--json"]).args(epochs).args(more);
    #[cfg(unix)]
    with_default_signals(&mut command);
    let mut child = command.current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    match wait_for_first_epoch(&mut child, folder, "a") {
        true => meanwhile(child.id()),
        false => eprintln!("the training ended before its first epoch"), // what follows says why
    }
    child.wait_with_output().unwrap()
}

fn interrupt(process: u32) {
    let status = Command::new("kill").args(["-INT", &process.to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_folder_that_vanishes_costs_logs_but_not_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let output = interfered(at, &[], |_| {
        // the run writes into it meanwhile, so that it may take several goes
        while at.join("logs").exists() {
            let _ = fs::remove_dir_all(at.join("logs"));
        }
    });
    let report = json(&output);
    assert_eq!(report["epochs"].as_array().unwrap().len(), 8);
    assert!(report["test"]["accuracy"].is_number());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("warning: cannot save") && !stderr.contains("is kept"), "{stderr}");
    assert!(at.join("models/model.safetensors").exists());
}

#[test]
#[cfg(target_os = "linux")]
fn a_signal_after_which_nothing_can_be_saved_is_no_ordinary_end() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let output = interfered(at, &[], |process| {
        fs::remove_dir_all(at.join("logs/a/checkpoints")).unwrap();
        interrupt(process);
    });
    failed(&output, 1, "the checkpoint could not be saved");
}

#[test]
fn a_checkpoint_that_is_gone_is_an_error_and_what_is_left_stays() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--run", "a"]));
    let checkpoints = at.join("logs/a/checkpoints");
    fs::remove_file(checkpoints.join("last.json")).unwrap();
    let files = || fs::read_dir(&checkpoints).unwrap().count();
    let before = (files(), fs::read(at.join("logs/a/history.csv")).unwrap());
    failed(&convnet(at, &["train", "--resume", "a", "--epochs", "4"]), 4, "last.json");
    assert_eq!(before, (files(), fs::read(at.join("logs/a/history.csv")).unwrap()));
}

/// Images of two classes in folders, `test` and `val` apart from `train`.
fn write_images(folder: &Path) {
    for (split, count) in [("train", 12), ("val", 4), ("test", 4)] {
        for class in ["a", "b"] {
            let place = folder.join(split).join(class);
            fs::create_dir_all(&place).unwrap();
            for number in 0..count {
                let shade = if class == "a" { 20 } else { 200 } + number;
                image::GrayImage::from_pixel(12, 12, image::Luma([shade]))
                    .save(place.join(format!("{number}.png")))
                    .unwrap();
            }
        }
    }
}

#[test]
fn other_validation_or_test_images_are_noticed_on_resume() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (split, word) in
        [("val", "the validation images"), ("test", "the test images"), ("train", "the training images")]
    {
        write_images(&at.join("d"));
        let run = ["--data", "d", "--epochs", "1", "--run", split, "-q", "--device=cpu"];
        succeeded(&convnet(at, &[&["train"], &run[..]].concat()));
        image::GrayImage::from_pixel(12, 12, image::Luma([99])).save(at.join("d").join(split).join("a/0.png")).unwrap();
        failed(&convnet(at, &["train", "--resume", split, "--epochs", "2", "-q"]), 3, word);
    }
}

#[test]
fn verify_resume_stops_where_there_are_steps() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for more in [&["-b", "4096"][..], &["-b", "16", "--accumulate", "8"]] {
        let report = json(&train(at, &[more, &["--verify-resume", "--json", "--threads", "1"]].concat()));
        assert_eq!(report["exact"], true, "{more:?}");
    }
}

#[test]
fn a_run_cannot_end_before_where_it_is_and_a_failed_resume_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--run", "a", "--epochs", "3"]));
    failed(&convnet(at, &["train", "--resume", "a", "--epochs", "2"]), 2, "--epochs 3 or more");
    let description = || fs::read_to_string(at.join("logs/a/run.json")).unwrap();
    let before = description();
    fs::rename(at.join("logs/a/train"), at.join("logs/a/elsewhere")).unwrap();
    fs::write(at.join("logs/a/train"), "not a folder").unwrap();
    failed(&convnet(at, &["train", "--resume", "a", "--epochs", "5", "-q"]), 2, "TensorBoard");
    assert_eq!(before, description());
}

#[test]
fn a_finished_run_can_be_saved_under_another_name_and_with_its_best_weights() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--run", "a"]));
    succeeded(&convnet(at, &["train", "--resume", "a", "--name", "other", "--restore-best", "-q"]));
    assert!(at.join("models/other.safetensors").exists());
    failed(&convnet(at, &["train", "--resume", "a", "-q"]), 2, "the run is finished");
}

#[test]
fn a_place_for_the_model_that_cannot_be_used_leaves_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir_all(at.join("models/model.json")).unwrap();
    failed(&train(at, &[]), 2, "--name");
    fs::write(at.join("file"), "").unwrap();
    failed(&train(at, &["--models", "file"]), 2, "--models");
    assert_eq!(fs::read_dir(at.join("logs")).unwrap().count(), 0);
}

#[test]
fn a_validation_loss_that_is_not_finite_ends_the_run_before_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    // the rate of the second epoch's one step is beyond all bounds: the loss before it is finite, the weights after it too
    let steep =
        ["--limit-train", "32", "-b", "32", "--schedule", "step", "--decay-rate", "1e33", "--decay-epochs", "2"];
    succeeded(&train(at, &[&steep[..], &["--run", "a"]].concat()));
    failed(&convnet(at, &["train", "--resume", "a", "--epochs", "3", "-q"]), 6, "epoch 3, validation");
    let last = fs::read_to_string(at.join("logs/a/checkpoints/last.json")).unwrap();
    assert!(last.contains("last.2."), "{last}");
}

#[test]
fn the_model_that_a_run_began_from_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1"]));
    succeeded(&train(at, &["--epochs", "1", "--init-from", "models/model", "--run", "a"]));
    failed(&convnet(at, &["reproduce", "a", "-q"]), 2, "the model that the run was started from has changed");
}

#[test]
fn folds_that_are_done_count_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let run = |name: &str, more: &[&str]| {
        let flags = ["train", "--data", "digits:90", "--epochs", "1", "-q", "--device=cpu", "--folds", "3", "--json"];
        convnet(at, &[&flags[..], &["--run", name], more].concat())
    };
    let whole = json(&run("a", &[]));
    fs::remove_dir_all(at.join("logs/a-fold3")).unwrap();
    let again = json(&run("a", &[]));
    let numbers = |report: &Value| (report["val_loss"].clone(), report["test_accuracy"].clone());
    assert_eq!(numbers(&whole), numbers(&again));
    let losses = |report: &Value| report["folds"][0]["epochs"][0]["loss"].clone();
    assert_eq!(losses(&whole), losses(&again));
    // another run of the same name, with other settings, is known before the first fold is trained
    fs::remove_dir_all(at.join("logs/a-fold1")).unwrap();
    failed(&run("a", &["--lr", "0.1"]), 2, "with other settings");
    assert!(!at.join("logs/a-fold1").exists());
}

#[test]
fn odd_numbers_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (flags, word) in [
        (&["--weight-decay", "-1"][..], "weight-decay cannot be used"),
        (&["--ema", "-0.1"], "ema cannot be used"),
        (&["-j", "100000"], "1 to 256"),
        (&["--class-weights", "nan"], "--class-weights"),
        (&["--validation", "none", "--patience", "2"], "--monitor loss"),
    ] {
        failed(&convnet(at, &[&["train", "--data", "digits:600"], flags].concat()), 2, word);
    }
    assert!(!at.join("logs").exists());
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_leaves_the_model_that_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1", "--run", "good"]));
    let model = || fs::read(at.join("models/model.safetensors")).unwrap();
    let before = model();
    for (signal, code, name) in [("INT", 130, "SIGINT"), ("TERM", 143, "SIGTERM"), ("HUP", 129, "SIGHUP")] {
        let output = interfered(at, &["--epochs", "2000"], |process| {
            let status = Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status().unwrap();
            assert!(status.success());
        });
        failed(&output, code, &format!("stopped by {name}"));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.ends_with("to go on: convnet train --resume a\n") && !stderr.contains("error"), "{stderr}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(report["model"].is_null() && report["run"] == "a", "{report}");
        assert_eq!(model(), before);
        assert!(at.join("logs/a/checkpoints/last.json").is_file());
        fs::remove_dir_all(at.join("logs/a")).unwrap();
    }
}

#[test]
#[cfg(unix)]
fn a_signal_that_nohup_ignores_stays_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let line = format!(
        "trap '' INT HUP; exec {} train {} -b 4 --epochs 6 --run a",
        env!("CARGO_BIN_EXE_convnet"),
        SMALL.join(" ")
    );
    let mut command = Command::new("sh");
    let mut child = command.args(["-c", &line]).current_dir(at).stdout(Stdio::null()).spawn().unwrap();
    assert!(wait_for_first_epoch(&mut child, at, "a"));
    for signal in ["-INT", "-HUP"] {
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    }
    assert!(child.wait().unwrap().success());
    assert!(at.join("models/model.json").is_file());
}

#[test]
fn a_model_that_is_replaced_is_named_with_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let loud = |more: &[&str]| {
        let flags = ["train", "--data", "digits:600", "--validation", "60", "--device=cpu", "--progress", "none"];
        convnet(at, &[&flags[..], more].concat())
    };
    let first = loud(&["--epochs", "1", "--run", "first"]);
    assert!(!String::from_utf8_lossy(&first.stderr).contains("replaces"));
    let text = succeeded(&first);
    assert!(text.contains("best      epoch 1  val_accuracy ") && !text.contains("replaces"), "{text}");
    let stderr = String::from_utf8_lossy(&first.stderr).into_owned();
    assert!(stderr.contains("data: digits, 540 training, 60 validation and 100 test images"), "{stderr}");
    let json = fs::read_to_string(at.join("models/model.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["convnet"]["run"], "first");

    let second = loud(&["--epochs", "1", "--run", "second"]);
    let stderr = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(stderr.contains("note: replaces models/model (of run first) when it is done"), "{stderr}");
    assert!(succeeded(&second).contains(": replaces models/model (of run first)\n"));
    // its own model is no other run's
    let resumed = convnet(at, &["train", "--resume", "second", "--epochs", "2"]);
    let stderr = String::from_utf8_lossy(&resumed.stderr).into_owned();
    assert!(stderr.contains("resume: run second goes on after epoch 1 of 2 (step 5)"), "{stderr}");
    assert!(!stderr.contains("replaces"), "{stderr}");
    // a model of the release before knows no run
    fs::write(at.join("models/model.json"), &json).unwrap();
    write_as_before_checksums(&at.join("models/model.json"), |old| {
        old["convnet"].as_object_mut().unwrap().remove("run");
    });
    let third = loud(&["--epochs", "1", "--run", "third"]);
    assert!(String::from_utf8_lossy(&third.stderr).contains("note: replaces models/model when it is done"));
}

#[test]
fn a_run_is_found_again_from_any_folder_and_by_one_rule() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (home, other) = (at.join("home"), at.join("other"));
    fs::create_dir_all(&other).unwrap();
    write_images(&home.join("d"));
    let flags = ["train", "--data", "d", "--epochs", "1", "--run", "w1", "-q", "--device=cpu"];
    succeeded(&convnet(&home, &flags));
    let run: Value = serde_json::from_str(&fs::read_to_string(home.join("logs/w1/run.json")).unwrap()).unwrap();
    assert_eq!(run["paths"]["data"].as_str().map(Path::new), Some(home.join("d").as_path()));
    assert_eq!(run["config"]["data"], "d", "as it was typed");

    let absolute = home.join("logs/w1").display().to_string();
    let data = home.join("d").display().to_string();
    for (place, name) in [(&home, "w1"), (&home, "logs/w1"), (&home, absolute.as_str()), (&other, absolute.as_str())] {
        succeeded(&convnet(place, &["evaluate", name, "--data", &data, "-q"]));
        succeeded(&convnet(place, &["summary", name]));
        succeeded(&convnet(place, &["reproduce", name, "-q"]));
        let epochs = if place == &other { "3" } else { "2" };
        let again = convnet(place, &["train", "--resume", name, "--epochs", epochs, "-q"]);
        assert!(again.status.success() || String::from_utf8_lossy(&again.stderr).contains("finished"), "{again:?}");
    }
    assert!(!other.join("logs").exists() && !other.join("models").exists(), "nothing is written elsewhere");
    let json: Value = serde_json::from_str(&fs::read_to_string(home.join("models/model.json")).unwrap()).unwrap();
    assert_eq!(json["convnet"]["run"], "w1");
    // a model's files win over a run of the same name
    fs::copy(home.join("models/model.json"), home.join("w1.json")).unwrap();
    failed(&convnet(&home, &["evaluate", "w1", "--data", &data]), 4, "model.safetensors");
    failed(&convnet(&home, &["evaluate", "w2", "--data", &data]), 4, "w2.json");
}

#[test]
fn moved_images_are_the_same_images_wherever_they_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for cache in ["auto", "none", "disk"] {
        let [before, after] = ["before", "after"].map(|name| format!("{cache}-{name}"));
        write_images(&at.join(&before));
        let flags = ["--data", &before, "--cache", cache, "--epochs", "1", "--run", cache, "-q", "--device=cpu"];
        succeeded(&convnet(at, &[&["train"], &flags[..]].concat()));
        fs::rename(at.join(&before), at.join(&after)).unwrap();
        failed(&convnet(at, &["train", "--resume", cache, "--epochs", "2", "-q"]), 3, &before);
        succeeded(&convnet(at, &["train", "--resume", cache, "--data", &after, "--epochs", "2", "-q"]));
        succeeded(&convnet(at, &["train", "--resume", cache, "--epochs", "3", "-q"]));
        succeeded(&convnet(at, &["reproduce", cache, "--data", &after, "-q"]));
        // as many bytes, another image
        let path = at.join(&after).join("train/a/0.png");
        image::GrayImage::from_pixel(12, 12, image::Luma([99])).save(&path).unwrap();
        failed(&convnet(at, &["train", "--resume", cache, "--epochs", "4", "-q"]), 3, "the training images");
    }
}

#[test]
fn what_may_be_wrong_with_a_data_set_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write_images(&at.join("d"));
    let said = |cache: &str| {
        let output = convnet(at, &["train", "--data", "d", "--epochs", "1", "--device=cpu", "--cache", cache]);
        succeeded(&output);
        String::from_utf8_lossy(&output.stderr).contains("convnet data check d")
    };
    assert!(said("auto"));
    assert!(!said("auto"));
}

#[test]
fn settings_that_do_nothing_are_named_and_a_run_s_description_is_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let flags =
        ["train", "--data", "digits:600", "--epochs", "1", "--run", "a", "--device=cpu", "--nesterov", "--power=2"];
    let output = convnet(at, &flags);
    succeeded(&output);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("warning: --nesterov has no effect: it belongs to --optimizer sgd"), "{stderr}");
    assert!(stderr.contains("warning: --power has no effect: it belongs to --schedule polynomial"), "{stderr}");
    let printed = succeeded(&convnet(at, &["train", "--config", "logs/a/run.json", "--print-config"]));
    let line = |start: &str| printed.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    assert!(line("epochs = 1 ").ends_with("# file") && line("beta2 = 0.999 ").ends_with("# default"), "{printed}");
    assert!(line("threads = ").ends_with("# default") && line("# run: the time").ends_with("# default"), "{printed}");
    assert!(!printed.lines().any(|line| line.starts_with("# ") && !line.contains(": ")), "{printed}");
    fs::write(at.join("c.toml"), "epochs = 1\n\nlr = -1\n").unwrap();
    failed(&convnet(at, &["train", "--config", "c.toml"]), 2, "(c.toml, line 3)");
    for name in ["-x", "..", "a\tb", &"x".repeat(250)] {
        failed(&convnet(at, &["train", "--data", "digits:600", &format!("--name={name}")]), 2, "name cannot be used");
    }
}

#[test]
fn outputs_get_their_folders_and_what_they_replace_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1"]));
    let export = |out: &str| convnet(at, &["export", "models/model", "--format", "keras", "--out", out]);
    assert!(!succeeded(&export("new/folder/m.keras")).contains("replaced"));
    assert!(succeeded(&export("new/folder/m")).contains("replaced  new/folder/m.keras"));
    failed(&export("m.onnx"), 2, "ends in .keras");
    let plot = |out: &str| convnet(at, &["summary", "models/model", "--plot", out]);
    assert!(String::from_utf8_lossy(&plot("p/a.svg").stderr).contains("wrote p/a.svg"));
    assert!(String::from_utf8_lossy(&plot("p/a.svg").stderr).contains("replaced p/a.svg"));
    failed(&plot("a.jpg"), 2, ".svg or .png");
    succeeded(&plot("a.png"));
    let predict = |out: &str| {
        convnet(at, &["predict", "models/model", "--data", "digits:600", "--index", "1", "--out", out, "--device=cpu"])
    };
    assert!(String::from_utf8_lossy(&predict("q/a.csv").stderr).contains("wrote q/a.csv"));
    assert!(String::from_utf8_lossy(&predict("q/a.csv").stderr).contains("replaced q/a.csv"));
    failed(&predict("q/a.csv/b.csv"), 2, "q/a.csv/b.csv");
    failed(&convnet(at, &["data", "show", "digits:100", "--out", "a.jpg"]), 2, "ends in .png");
}
