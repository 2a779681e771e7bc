//! `convnet lr-find`: what it prints and draws.

use crate::program::{convnet, failed, json, succeeded};

const SMALL: [&str; 7] = ["lr-find", "--data", "digits:600", "--validation", "60", "-q", "--device=cpu"];

#[test]
fn a_rate_is_suggested_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let report = json(&convnet(at, &[&SMALL[..], &["--steps", "60", "-b", "32", "--run", "a", "--json"]].concat()));
    let points = report["points"].as_array().unwrap();
    assert!(points.len() > 20 && points.len() <= 60, "{}", points.len());
    assert!((points[0]["learning_rate"].as_f64().unwrap() - 1e-6).abs() < 1e-18);
    let suggestion = report["suggestion"].as_f64().expect("digits are learned");
    // the course's rate for this network is 0.002
    assert!((1e-4..0.1).contains(&suggestion), "{suggestion}");
    let picture = image::open(at.join(report["picture"].as_str().unwrap())).unwrap();
    assert!(picture.width() > 400);
    assert_eq!(std::fs::read_dir(at.join("logs/a/lr_find")).unwrap().count(), 1);
    assert!(!at.join("models").exists(), "nothing is saved as a model");

    failed(&convnet(at, &[&SMALL[..], &["--run", "a"]].concat()), 2, "logs/a");
    failed(&convnet(at, &[&SMALL[..], &["--start-lr", "1", "--end-lr", "0.1"]].concat()), 2, "--start-lr");
    failed(&convnet(at, &[&SMALL[..], &["--start-lr", "1e9", "--end-lr", "1e12"]].concat()), 2, "lower --start-lr");
    let text = succeeded(&convnet(at, &[&SMALL[..], &["--steps", "40"]].concat()));
    assert!(text.contains("lr_find.png") && text.contains("half of the loss's fall"), "{text}");

    let idle =
        ["lr-find", "--data", "digits:600", "--steps", "20", "--epochs", "3", "--device=cpu", "--end-lr", "1e-4"];
    let output = convnet(at, &[&idle[..], &["--start-lr", "1e-5"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && stderr.contains("warning: --epochs has no effect on lr-find"), "{stderr}");
}
