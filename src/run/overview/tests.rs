use serde_json::json;

use super::*;
use crate::run::selection::{Filter, sort_runs};

fn run(name: &str, settings: Value, val_accuracy: Option<f64>) -> RunOverview {
    let Value::Object(given) = settings else { panic!("an object") };
    let mut settings = RunConfig::default().keys().unwrap();
    settings.extend(given);
    RunOverview {
        run: name.into(),
        started: None,
        model: "keras-cnn".into(),
        data: "digits".into(),
        settings,
        epochs: 3,
        val_accuracy,
        test: val_accuracy.map(|accuracy| Scores::new(0.5, accuracy)),
        status: RunStatus::Done,
        failure: None,
        folder: PathBuf::new(),
    }
}

#[test]
fn runs_are_filtered_and_sorted_by_columns_and_settings() {
    let mut runs = vec![
        run("a", json!({ "lr": 0.01, "run": "a" }), Some(0.8)),
        run("b", json!({ "lr": 0.001, "patience": 3 }), None),
        run("c", json!({}), Some(0.9)),
    ];
    let met = |runs: &[RunOverview], filter: &str| {
        let filter: Filter = filter.parse().unwrap();
        runs.iter().filter(|run| filter.meets(run)).map(|run| run.run.clone()).collect::<Vec<_>>().join("")
    };
    let cases = [
        ("lr=1e-3", "b"),
        ("lr>=0.002", "ac"),
        ("lr!=0.01", "bc"),
        ("run=[ab]", ""),
        ("run=*", "abc"),
        ("model=keras-*", "abc"),
        ("val_accuracy>0.8", "c"),
        ("val_accuracy<0.95", "ac"),
        ("test-accuracy=0.8", "a"),
        ("patience=-", "ac"),
        ("patience<10", "b"),
        ("status=done", "abc"),
        ("epochs=3.0", "abc"),
    ];
    for (filter, names) in cases {
        assert_eq!(met(&runs, filter), names, "{filter}");
    }
    let mut sorted = |key: &str, descending| {
        sort_runs(&mut runs, key, descending).unwrap();
        runs.iter().map(|run| run.run.clone()).collect::<Vec<_>>().join("")
    };
    assert_eq!(sorted("lr", false), "bca");
    assert_eq!(sorted("val_accuracy", false), "acb", "what is not there comes last");
    assert_eq!(sorted("val_accuracy", true), "cab", "in both directions");
    assert_eq!(sorted("run", true), "cba");
    assert!(sort_runs(&mut runs, "leraning_rate", false).is_err());
}

#[test]
fn settings_that_differ_are_aligned() {
    let runs = [run("a", json!({ "lr": 0.01, "name": "a" }), None), run("b", json!({ "patience": 3 }), None)];
    let differing = differing_settings(&runs.iter().collect::<Vec<_>>());
    assert_eq!(
        differing,
        [("lr".to_owned(), vec![json!(0.01), json!(0.002)]), ("patience".to_owned(), vec![Value::Null, json!(3)]),]
    );
    assert_eq!(Value::Object(runs[1].given_settings().unwrap()), json!({ "patience": 3 }));
}

#[test]
fn a_broken_run_costs_no_other_and_foreign_folders_are_none() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["broken", "foreign", ".unfinished-x"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("broken/run.json"), "{").unwrap();
    fs::write(folder.path().join(".unfinished-x/run.json"), "{").unwrap();
    fs::write(folder.path().join("notes.txt"), "").unwrap();
    let list = list_runs(folder.path()).unwrap();
    assert!(list.runs.is_empty() && list.faults.len() == 1, "{list:?}");
    assert!(list.faults[0].to_string().contains("broken/run.json"));
    assert!(list_runs(Path::new("/nowhere")).unwrap_err().to_string().contains("/nowhere"));
}
