//! Files that real Keras wrote: taken over with the same outputs, refused where they cannot be, never a panic.

use std::path::{Path, PathBuf};

use convnet::error::{Error, ErrorKind};
use convnet::keras::KerasModel;
use convnet::model::Model;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

fn fixtures() -> PathBuf {
    crate::program::assets().join("fixtures/keras")
}

fn document(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The folders of models that must be taken over.
fn folders(root: &Path) -> Vec<PathBuf> {
    let index = document(&root.join("index.json"));
    let models = index.as_array().unwrap().iter().filter(|entry| entry["kind"] == "model" && entry["expect"] == "ok");
    models.map(|entry| root.join(entry["name"].as_str().unwrap())).collect()
}

/// An architecture, its weights where they are another file, and the outputs that go with them.
const SOURCES: [(&str, Option<&str>, &str); 17] = [
    ("model.json", Some("model.weights.h5"), "output.npy"),
    ("minimal.json", Some("model.weights.h5"), "output.npy"),
    ("model.json", Some("legacy.h5"), "output.npy"),
    ("model.keras", None, "output.npy"),
    ("keras305_model.json", Some("keras305.weights.h5"), "output.npy"),
    ("keras305.keras", None, "output.npy"),
    ("legacy_model.json", Some("legacy.h5"), "legacy_output.npy"),
    ("legacy_model.json", Some("model.weights.h5"), "legacy_output.npy"),
    ("legacy_model.h5", None, "legacy_output.npy"),
    ("tf115_model.json", Some("tf115_weights.h5"), "legacy_output.npy"),
    ("tf115_model.h5", None, "legacy_output.npy"),
    ("keras216_model.json", Some("keras216_weights.h5"), "legacy_output.npy"),
    ("keras216_model.h5", None, "legacy_output.npy"),
    ("keras122_model.json", Some("keras122_weights.h5"), "legacy_output.npy"),
    ("keras122_model.h5", None, "legacy_output.npy"),
    ("model.json", Some("legacy_model.h5"), "output.npy"),
    ("model.json", Some("tf115_weights.h5"), "output.npy"),
];

/// The outputs of `model` on a fixture's input, f32 as it is.
fn outputs(model: &Model, folder: &Path) -> Tensor {
    let input = Tensor::read_npy(folder.join("input.npy")).unwrap().to_kind(Kind::Float);
    tch::no_grad(|| model.predict(&input))
}

/// The largest difference, absolute below 1 and relative above.
fn difference(got: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(got.size(), expected.size());
    ((got - expected).abs() / expected.abs().clamp_min(1.0)).max().double_value(&[])
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn every_file_gives_keras_s_outputs() {
    let root = fixtures();
    let mut tried = 0;
    for folder in folders(&root) {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let tolerance = document(&folder.join("meta.json"))["tolerance"].as_f64().unwrap();
        for (architecture, weights, expected) in SOURCES {
            let paths = [Some(architecture), weights].map(|file| file.map(|file| folder.join(file)));
            if paths.iter().flatten().any(|path| !path.is_file()) {
                continue;
            }
            let source = format!("{name}: {architecture} {}", weights.unwrap_or_default());
            let [architecture, weights] = paths;
            let keras = KerasModel::open(&architecture.unwrap(), weights.as_deref());
            let model = keras.and_then(|keras| keras.build(1.0, Device::Cpu));
            let model = model.unwrap_or_else(|error| panic!("{source}: {error}"));
            let expected =
                [expected, "output.npy"].map(|file| folder.join(file)).into_iter().find(|path| path.is_file());
            let expected = Tensor::read_npy(expected.unwrap()).unwrap();
            let difference = difference(&outputs(&model, &folder), &expected);
            assert!(difference <= tolerance, "{source}: {difference} > {tolerance}");
            tried += 1;
        }
    }
    assert!(tried >= 60, "only {tried} were there");
}

/// Where the file holds settings of `compile` and an optimizer's state, both are taken over.
#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn settings_and_state_of_training_are_taken_over() {
    let root = fixtures();
    let keras = KerasModel::open(&root.join("seed_trained/model.keras"), None).unwrap();
    let compile = keras.compile().unwrap();
    assert_eq!((compile.optimizer.as_str(), compile.learning_rate()), ("Adam", Some(0.0020000000949949026)));
    assert_eq!(
        (&compile.loss, &compile.metrics[..]),
        (&json!("categorical_crossentropy"), &["accuracy".to_owned()][..])
    );
    let state = keras.optimizer_state().unwrap().unwrap();
    assert!(state.steps > 0);
    let bytes = state.tensors.to_bytes();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for (weight, shape) in
        [("conv2d.weight", vec![32, 1, 3, 3]), ("dense.weight", vec![10, 1600]), ("dense.bias", vec![10])]
    {
        for slot in ["momentum", "velocity"] {
            assert_eq!(tensors.tensor(&format!("{weight}.{slot}")).unwrap().shape(), shape, "{weight}.{slot}");
        }
    }
    assert_eq!(tensors.len(), 12);
    for (file, rate) in [("tf115_model.h5", 0.001), ("keras122_model.h5", 0.0010000000474974513)] {
        let keras = KerasModel::open(&root.join("seed_trained").join(file), None).unwrap();
        assert_eq!(keras.compile().unwrap().learning_rate(), Some(rate), "{file}");
        assert!(keras.optimizer_state().unwrap().is_none(), "{file}");
    }
}

fn refusal(architecture: &Path, weights: Option<&Path>) -> String {
    let error: Error = match KerasModel::open(architecture, weights) {
        Err(error) => error,
        Ok(_) => panic!("{} was accepted", architecture.display()),
    };
    assert_eq!(error.kind(), ErrorKind::Model, "{error}");
    error.to_string()
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn weights_of_another_network_are_refused_by_name() {
    let root = fixtures();
    let of = |folder: &str, file: &str| root.join(folder).join(file);
    let seed = of("seed_trained", "model.json");
    let message = refusal(&seed, Some(&of("trajectory_bn_sgd", "final.weights.h5")));
    assert!(message.contains("final.weights.h5") && message.contains("layer"), "{message}");
    let message = refusal(&seed, Some(&of("batchnorm", "legacy.h5")));
    assert!(message.contains("3 layers with weights"), "{message}");
    let message = refusal(&of("seed_trained", "legacy.h5"), None);
    assert!(message.contains("model_config") && message.contains("MODEL.json WEIGHTS.h5"), "{message}");

    // the same network but for one layer's units: the shape is refused, not reshaped
    let mut other = document(&seed);
    let layers = other["config"]["layers"].as_array_mut().unwrap();
    layers.last_mut().unwrap()["config"]["units"] = json!(5);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.json");
    std::fs::write(&path, other.to_string()).unwrap();
    for weights in ["model.weights.h5", "legacy.h5"] {
        let message = refusal(&path, Some(&of("seed_trained", weights)));
        for part in ["layer dense (Dense)", "kernel", "[1600, 5]", "[1600, 10]"] {
            assert!(message.contains(part), "'{part}' is not in: {message}");
        }
    }
    // one layer fewer: the file has weights that nothing takes
    other["config"]["layers"].as_array_mut().unwrap().pop();
    std::fs::write(&path, other.to_string()).unwrap();
    let message = refusal(&path, Some(&of("seed_trained", "model.weights.h5")));
    assert!(message.contains("no layer for the group layers/dense"), "{message}");
}

/// Sources for damage: an architecture that stays whole, and the file that is damaged; `None`: it is both.
const DAMAGED: [(Option<&str>, &str); 5] = [
    (Some("model.json"), "model.weights.h5"),
    (Some("model.json"), "legacy.h5"),
    (Some("model.json"), "tf115_weights.h5"),
    (None, "legacy_model.h5"),
    (None, "model.keras"),
];

/// Opens `bytes` as the file of a source, and builds the network where that succeeds.
fn open_bytes(bytes: &[u8], architecture: Option<&Path>, at: &Path) -> Result<Model, Error> {
    std::fs::write(at, bytes).unwrap();
    let keras = match architecture {
        Some(architecture) => KerasModel::open(architecture, Some(at)),
        None => KerasModel::open(at, None),
    };
    keras.and_then(|keras| {
        let _ = keras.optimizer_state();
        keras.build(1.0, Device::Cpu)
    })
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn files_cut_short_are_refused() {
    let root = fixtures();
    let scratch = tempfile::tempdir().unwrap();
    for (architecture, file) in DAMAGED {
        let architecture = architecture.map(|name| root.join("batchnorm").join(name));
        let whole = std::fs::read(root.join("batchnorm").join(file)).unwrap();
        for length in (0..whole.len()).step_by(97) {
            let opened = open_bytes(&whole[..length], architecture.as_deref(), &scratch.path().join("file"));
            let error = opened.err().unwrap_or_else(|| panic!("{file} of {length} bytes was accepted"));
            assert_eq!(error.kind(), ErrorKind::Model, "{file} of {length} bytes: {error}");
        }
    }
}

/// Flipped bytes are an error or change a weight; they never panic and never take long.
#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn flipped_bytes_do_no_harm() {
    use convnet::rng::{Stream, below, generator};
    let root = fixtures();
    let scratch = tempfile::tempdir().unwrap();
    let mut random = generator(0, Stream::Show);
    let mut refused = 0;
    for (architecture, file) in DAMAGED {
        let architecture = architecture.map(|name| root.join("batchnorm").join(name));
        let whole = std::fs::read(root.join("batchnorm").join(file)).unwrap();
        for round in 0..300 {
            let mut bytes = whole.clone();
            // every other time among the first 4 kB, where the structure is
            let region = if round % 2 == 0 { bytes.len().min(4096) } else { bytes.len() };
            for _ in 0..=below(&mut random, 4) {
                bytes[below(&mut random, region as u64) as usize] = below(&mut random, 256) as u8;
            }
            let started = std::time::Instant::now();
            match open_bytes(&bytes, architecture.as_deref(), &scratch.path().join("file")) {
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Model, "{file}: {error}");
                    refused += 1;
                }
            }
            assert!(started.elapsed().as_secs() < 5, "{file}: {:?}", started.elapsed());
        }
    }
    assert!(refused > 100, "only {refused} were refused");
}

/// Files that claim far more than they hold: memory stays small because nothing is allocated on their word.
#[test]
fn claims_beyond_the_file_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("claims.weights.h5");
    let mut file = hdf5_pure::FileBuilder::new();
    let mut layers = file.create_group("layers");
    let mut dense = layers.create_group("dense");
    let mut variables = dense.create_group("vars");
    let zeros = vec![0f32; 1 << 24];
    variables
        .create_dataset("0")
        .with_f32_data(&zeros)
        .with_shape(&[1 << 12, 1 << 12])
        .with_chunks(&[1 << 10, 1 << 12])
        .with_deflate(9);
    dense.add_group(variables.finish());
    layers.add_group(dense.finish());
    file.add_group(layers.finish());
    file.write(&path).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 1 << 20, "it is packed");
    let architecture = scratch.path().join("model.json");
    let dense = json!({ "units": 1 << 12, "use_bias": false });
    let layers = json!([
        { "class_name": "InputLayer", "config": { "batch_shape": [null, 1 << 12] } },
        { "class_name": "Dense", "config": dense },
    ]);
    std::fs::write(&architecture, json!({ "class_name": "Sequential", "config": { "layers": layers } }).to_string())
        .unwrap();
    let message = refusal(&architecture, Some(&path));
    assert!(message.contains("far larger than the file"), "{message}");
}
