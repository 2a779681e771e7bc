//! Models that real Keras made, of every version: read, planned, and (with their weights) run to Keras's own outputs.

use std::path::{Path, PathBuf};

use convnet::model::presets::{PRESETS, preset};
use convnet::model::spec::{WeightInfo, flat_layers};
use convnet::model::{Spec, Summary};
use serde_json::{Value, json};

/// The architecture files that a folder may have.
const DIALECTS: [&str; 7] = [
    "model.json",
    "minimal.json",
    "keras305_model.json",
    "legacy_model.json",
    "tf115_model.json",
    "keras216_model.json",
    "keras122_model.json",
];

/// The folders of models among the fixtures; empty where there are none.
fn folders() -> Vec<PathBuf> {
    let assets = crate::program::assets();
    let entries = std::fs::read_dir(Path::new(&assets).join("fixtures/keras")).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("meta.json").is_file());
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn architectures(folder: &Path) -> impl Iterator<Item = (&'static str, Value)> {
    let paths = DIALECTS.map(|name| (name, folder.join(name)));
    paths.into_iter().filter(|(_, path)| path.is_file()).map(|(name, path)| (name, json(&path)))
}

fn sizes(shape: &Value) -> Vec<usize> {
    let sizes = shape.as_array().unwrap().iter().filter(|size| !size.is_null());
    sizes.map(|size| usize::try_from(size.as_u64().unwrap()).unwrap()).collect()
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn every_dialect_is_the_network_that_keras_built() {
    for folder in folders() {
        let meta = json(&folder.join("meta.json"));
        let expected = meta["layers"].as_array().unwrap();
        for (file, document) in architectures(&folder) {
            let place = format!("{}/{file}", folder.display());
            let spec = match (
                Spec::from_json(&document).and_then(|spec| spec.plan().map(|_| spec)),
                meta["expect"].as_str(),
            ) {
                (Ok(_), Some("reject")) => panic!("{place} is accepted"),
                (Ok(spec), _) => spec,
                (Err(error), Some("ok")) => panic!("{place}: {error}"),
                (Err(error), _) => {
                    assert_eq!(error.exit_code(), 4, "{place}: {error}");
                    continue;
                }
            };
            check_plan(&spec, expected, &place);
            let summary = Summary::new(&spec).unwrap();
            let params = &meta["params"];
            assert_eq!(Some(summary.total as u64), params["total"].as_u64(), "{place}");
            assert_eq!(Some(summary.trainable as u64), params["trainable"].as_u64(), "{place}");
            assert_eq!(Some(summary.non_trainable as u64), params["non_trainable"].as_u64(), "{place}");
        }
    }
}

fn check_plan(spec: &Spec, expected: &[Value], place: &str) {
    let plan = spec.plan().unwrap();
    assert_eq!(plan.layers.len(), expected.len(), "{place}");
    for (layer, expected) in plan.layers.iter().zip(expected) {
        assert_eq!(Some(layer.class_name()), expected["class_name"].as_str(), "{place}");
        assert_eq!(layer.output_shape(), sizes(&expected["output_shape"]), "{place}: {}", layer.name());
        assert_eq!(Some(layer.num_parameters() as u64), expected["params"].as_u64(), "{place}: {}", layer.name());
        let weights: Vec<&WeightInfo> =
            flat_layers(std::slice::from_ref(layer)).iter().flat_map(|(_, leaf)| &leaf.weights).collect();
        let expected = expected["weights"].as_array().unwrap();
        assert_eq!(weights.len(), expected.len(), "{place}: {}", layer.name());
        for (weight, expected) in weights.iter().zip(expected) {
            let name = expected["name"].as_str().unwrap();
            assert!(weight.is_called_in_keras(name), "{place}: {}.{name}", layer.name());
            assert_eq!(weight.keras_shape, sizes(&expected["shape"]), "{place}: {}.{}", layer.name(), weight.name);
        }
    }
}

/// Every network at hand: of all dialects among the fixtures, of the layers' own, and the presets.
fn networks() -> Vec<(String, Spec)> {
    let layers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keras_layers/models.json");
    let layers = json(&layers);
    let of_layers = layers.as_array().unwrap().iter();
    let mut networks: Vec<(String, Spec)> = of_layers
        .map(|case| (case["name"].as_str().unwrap().to_owned(), Spec::from_json(&case["model"]).unwrap()))
        .collect();
    networks.extend(PRESETS.iter().map(|of| (of.name.to_owned(), preset(of.name).unwrap())));
    for folder in folders() {
        let of_folder = architectures(&folder).filter_map(|(file, document)| {
            Some((format!("{}/{file}", folder.display()), Spec::from_json(&document).ok()?))
        });
        networks.extend(of_folder);
    }
    networks
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS, CONVNET_TEST_PYTHON"]
fn real_keras_takes_what_is_written() {
    let python = crate::program::python();
    let documents = networks().into_iter().filter(|(_, spec)| spec.input_shape.is_some()).map(|(name, spec)| {
        let mut model = spec.to_json();
        model["convnet"] = json!({ "version": 1, "labels": ["a", "b"] });
        let plan = spec.plan().unwrap();
        let parameters = plan.num_parameters();
        let output_shape = plan.output_shape();
        json!({ "name": name, "model": model, "parameters": parameters, "output_shape": output_shape })
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("documents.json");
    std::fs::write(&path, Value::from_iter(documents).to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/accept_json.py");
    let output = std::process::Command::new(python).arg(script).arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
