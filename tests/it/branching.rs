//! Networks that branch, against real Keras. Needs CONVNET_TEST_PYTHON.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{convnet, history, python, succeeded, train};
use convnet::export::{ExportFormat, export};
use convnet::keras::KerasModel;
use convnet::model::presets::Preset;
use convnet::model::{Model, ModelInfo, Spec, Summary};
use convnet::train::optimizer::{Optimizer, OptimizerConfig};
use serde_json::{Value, json as value};
use tch::{Device, Kind, Tensor};

/// The largest difference of logits, relative to the largest.
const TOLERANCE: f64 = 2e-5;

/// Networks of keras.applications that Keras's PyTorch backend makes.
const APPLICATIONS: [&str; 15] = [
    "vgg16",
    "resnet50",
    "resnet50v2",
    "mobilenet",
    "mobilenetv2",
    "mobilenetv3small",
    "mobilenetv3large",
    "mobilenetv3minimal",
    "densenet121",
    "xception",
    "inceptionv3",
    "inceptionresnetv2",
    "efficientnetb0",
    "efficientnetv2b0",
    "convnexttiny",
];

/// Runs tests/python/branching.py.
fn make(command: &str, folder: &Path, names: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/branching.py");
    let output = Command::new(python()).arg(script).arg(command).arg(folder).args(names).output().unwrap();
    assert!(output.status.success(), "{command} {names:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A network that Keras made: its files begin with this.
struct Made {
    folder: PathBuf,
    name: String,
}

impl Made {
    fn all(folder: &Path) -> Vec<Made> {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> =
            names.filter_map(|name| Some(name.strip_suffix(".facts.json")?.to_owned())).collect();
        names.sort();
        names.into_iter().map(|name| Made { folder: folder.to_owned(), name }).collect()
    }

    fn file(&self, suffix: &str) -> PathBuf {
        self.folder.join(format!("{}{suffix}", self.name))
    }

    fn open(&self, model: &str, weights: Option<&str>) -> KerasModel {
        KerasModel::open(&self.file(model), weights.map(|weights| self.file(weights)).as_deref())
            .unwrap_or_else(|error| panic!("{}{model}: {error}", self.name))
    }

    fn check(&self, keras: &KerasModel) {
        let facts = json(&self.file(".facts.json"));
        let summary = Summary::new(keras.spec()).unwrap();
        let names: Vec<&str> = summary.layers.iter().map(|layer| layer.name.as_str()).collect();
        assert_eq!(facts["layers"], value!(names), "{}", self.name);
        assert_eq!(facts["parameters"], summary.total, "{}", self.name);
        if let Some(trainable) = facts["trainable"].as_u64() {
            assert_eq!(trainable, summary.trainable as u64, "{}", self.name);
        }
        let model = keras.build(1.0, Device::Cpu).unwrap();
        let difference = self.difference(&model);
        assert!(difference < TOLERANCE, "{}: {difference}", self.name);
    }

    /// How far the model's logits are from Keras's.
    fn difference(&self, model: &Model) -> f64 {
        let images = Tensor::read_npy(self.file(".x.npy")).unwrap().to_kind(Kind::Float);
        let expected = Tensor::read_npy(self.file(".y.npy")).unwrap().to_kind(Kind::Float);
        let logits = tch::no_grad(|| model.values(&images, false));
        assert_eq!(logits.size(), expected.size(), "{}", self.name);
        (&logits - &expected).abs().max().double_value(&[]) / expected.abs().max().double_value(&[])
    }
}

/// A Functional network of these layers on images `[8, 8, 3]`, the input called `in`, in Keras 3's form.
fn functional(layers: &[(&str, Value, Value)], output: Value) -> Value {
    functional_of([8, 8, 3], layers, output)
}

pub fn functional_of(shape: [usize; 3], layers: &[(&str, Value, Value)], output: Value) -> Value {
    let [height, width, channels] = shape;
    let input = value!({
        "class_name": "InputLayer", "name": "in", "inbound_nodes": [],
        "config": { "batch_shape": [null, height, width, channels], "name": "in" },
    });
    let layer = |(class_and_name, config, nodes): &(&str, Value, Value)| {
        let (class_name, name) = class_and_name.split_once(' ').unwrap();
        let mut config = config.clone();
        config["name"] = value!(name);
        value!({ "class_name": class_name, "name": name, "config": config, "inbound_nodes": nodes })
    };
    let layers: Vec<Value> = std::iter::once(input).chain(layers.iter().map(layer)).collect();
    let config = value!({ "name": "net", "layers": layers, "input_layers": ["in", 0, 0], "output_layers": output });
    value!({ "class_name": "Functional", "config": config })
}

pub fn tensor(layer: &str, call: usize) -> Value {
    value!({ "class_name": "__keras_tensor__", "config": { "keras_history": [layer, call, 0] } })
}

/// One call of `inputs`, each of a first call.
pub fn call(inputs: &[&str]) -> Value {
    let tensors: Vec<Value> = inputs.iter().map(|input| tensor(input, 0)).collect();
    value!([{ "args": if tensors.len() == 1 { value!(tensors) } else { value!([tensors]) }, "kwargs": {} }])
}

#[test]
fn graphs_that_cannot_be_computed_are_refused_by_name() {
    let relu = |name: &'static str, nodes: Value| (name, value!({}), nodes);
    let last = || value!(["b", 0, 0]);
    let a = || relu("ReLU a", call(&["in"]));
    let with = |config: &str, value: Value| {
        let mut document = functional(&[a(), relu("ReLU b", call(&["a"]))], last());
        document["config"][config] = value;
        document
    };
    let add = |inputs: &[&str]| ("Add b", value!({}), call(inputs));
    let kwargs = |kwargs: Value| relu("ReLU b", value!([{ "args": [tensor("a", 0)], "kwargs": kwargs }]));
    let cases = [
        (functional(&[a(), relu("ReLU b", call(&["c"]))], last()), "there is no layer 'c'"),
        (functional(&[relu("ReLU a", call(&["b"])), relu("ReLU b", call(&["a"]))], last()), "in a circle"),
        (functional(&[a(), relu("ReLU c", call(&["a"])), relu("ReLU b", call(&["a"]))], last()), "layer c"),
        (functional(&[a(), a(), relu("ReLU b", call(&["a"]))], last()), "'a' twice"),
        (functional(&[a(), relu("ReLU b", value!([{ "args": [tensor("a", 1)], "kwargs": {} }]))], last()), "no call 1"),
        (
            functional(&[a(), relu("ReLU b", value!([{ "args": [tensor("a", 0), 3], "kwargs": {} }]))], last()),
            "constant",
        ),
        (functional(&[a(), kwargs(value!({ "training": true }))], last()), "training"),
        (functional(&[a(), kwargs(value!({ "scale": 2 }))], last()), "'scale'"),
        (functional(&[a(), relu("ReLU b", call(&["a", "in"]))], last()), "takes one input"),
        (functional(&[a(), relu("ReLU b", value!([]))], last()), "no call 0"),
        (functional(&[a(), relu("Lambda b", call(&["a"]))], last()), "Python code"),
        (functional(&[a(), ("Dot b", value!({ "axes": 1 }), call(&["a", "in"]))], last()), "'Dot'"),
        (
            functional(&[("Cropping2D a", value!({ "cropping": 1 }), call(&["in"])), add(&["a", "in"])], last()),
            "[6, 6, 3]",
        ),
        (functional(&[a(), ("Subtract b", value!({}), call(&["a", "in", "a"]))], last()), "two inputs"),
        (functional(&[a(), ("Concatenate b", value!({ "axis": 0 }), call(&["a", "in"]))], last()), "axis"),
        (functional(&[a(), ("Concatenate b", value!({ "axis": 4 }), call(&["a", "in"]))], last()), "axis"),
        (with("output_layers", value!([["a", 0, 0], ["b", 0, 0]])), "several outputs"),
        (with("output_layers", value!({ "x": ["a", 0, 0], "y": ["b", 0, 0] })), "several outputs"),
        (with("output_layers", value!(["in", 0, 0])), "output is its input"),
        (with("output_layers", value!(["c", 0, 0])), "'c'"),
        (with("output_layers", value!(["a", 0, 0])), "layer b"),
        (with("input_layers", value!(["a", 0, 0])), "not an InputLayer"),
        (with("input_layers", value!([["in", 0, 0], ["a", 0, 0]])), "several inputs"),
        (with("layers", value!([])), "'in'"),
        (with("layers", value!(3)), "layers"),
    ];
    for (document, says) in cases {
        let said = match Spec::from_json(&document).and_then(|spec| spec.plan()) {
            Ok(_) => panic!("taken, though it should say {says}: {document}"),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(says), "'{says}' is not in: {said}");
    }
    assert!(Spec::from_json(&functional(&[a(), add(&["a", "in"])], last())).is_ok());
    assert!(Spec::from_json(&functional(&[a(), kwargs(value!({ "training": false, "mask": null }))], last())).is_ok());
}

#[test]
fn a_long_chain_and_a_network_that_multiplies_end_in_time() {
    // 9,000 layers behind one another, in the file's wrong order
    let name = |index: usize| format!("ReLU l{index}");
    let names: Vec<String> = (0..9000).map(name).collect();
    let mut layers: Vec<(&str, Value, Value)> = (0..9000usize)
        .map(|index| {
            let input = index.checked_sub(1).map_or("in".to_owned(), |before| format!("l{before}"));
            (names[index].as_str(), value!({}), call(&[&input]))
        })
        .collect();
    layers.reverse();
    let spec = Spec::from_json(&functional(&layers, value!(["l8999", 0, 0]))).unwrap();
    assert_eq!(spec.plan().unwrap().calls.len(), 9000);
    // each level calls the one below four times: 4^12 layers
    let mut inner = functional(&[("ReLU a", value!({}), call(&["in"]))], value!(["a", 0, 0]));
    for _ in 0..12 {
        let calls = value!([
            { "args": [tensor("in", 0)], "kwargs": {} }, { "args": [tensor("net", 0)], "kwargs": {} },
            { "args": [tensor("net", 1)], "kwargs": {} }, { "args": [tensor("net", 2)], "kwargs": {} },
        ]);
        inner = functional(&[("Functional net", inner["config"].clone(), calls)], value!(["net", 4, 0]));
    }
    let error = Spec::from_json(&inner).and_then(|spec| spec.plan()).unwrap_err().to_string();
    assert!(error.contains("too large"), "{error}");
}

#[test]
fn keras_2_s_networks_are_read_as_they_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keras2_branching");
    for made in Made::all(&folder) {
        for (model, weights) in [(".h5", None), (".json", Some(".h5"))] {
            made.check(&made.open(model, weights));
        }
    }
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn branching_networks_compute_what_they_do_in_keras() {
    let folder = tempfile::tempdir().unwrap();
    make("networks", folder.path(), &[]);
    let all = Made::all(folder.path());
    assert_eq!(all.len(), 14);
    for made in all {
        let forms: &[(&str, Option<&str>)] = match made.name.as_str() {
            // Keras does not read its own .h5 of functions
            "operators" => &[(".keras", None), (".json", Some(".weights.h5"))],
            _ => &[(".keras", None), (".json", Some(".weights.h5")), (".h5", None)],
        };
        for (model, weights) in forms {
            made.check(&made.open(model, *weights));
        }
    }
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn branching_networks_go_back_to_keras_and_to_pytorch() {
    let folder = tempfile::tempdir().unwrap();
    make("networks", folder.path(), &[]);
    for made in Made::all(folder.path()) {
        let model = made.open(".keras", None).build(1.0, Device::Cpu).unwrap();
        let labels = (0..model.num_classes()).map(|class| class.to_string()).collect();
        let info = ModelInfo { labels, ..ModelInfo::default() };
        for (format, suffix) in [
            (ExportFormat::Keras, ".to.keras"),
            (ExportFormat::KerasJson, ".to.a.json"),
            (ExportFormat::KerasLegacy, ".to.model.h5"),
            (ExportFormat::Portable, ".to.b.json"),
            (ExportFormat::Pytorch, ".to.py"),
        ] {
            match export(&model, &info, format, &made.file(suffix)) {
                Ok(exported) => assert!(exported.max_difference.unwrap() < 1e-5, "{} {suffix}", made.name),
                Err(error) => {
                    let is_legacy = matches!(format, ExportFormat::KerasLegacy | ExportFormat::Portable);
                    let is_nested = ["nested", "nested_last", "transferred"].contains(&&*made.name);
                    assert!(is_legacy && is_nested, "{} {suffix}: {error}", made.name);
                    assert!(error.to_string().contains("count a nested network's calls"), "{error}");
                }
            }
        }
    }
    make("check", folder.path(), &[]);
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn applications_compute_what_they_do_in_keras() {
    let folder = tempfile::tempdir().unwrap();
    for name in APPLICATIONS {
        make("applications", folder.path(), &[name]);
        let made = Made { folder: folder.path().to_owned(), name: name.to_owned() };
        made.check(&made.open(".keras", None));
        std::fs::read_dir(folder.path())
            .unwrap()
            .for_each(|entry| std::fs::remove_file(entry.unwrap().path()).unwrap());
    }
}

/// A residual network for digits, its last convolution shared, with dropout in one branch.
pub fn residual() -> Value {
    let conv = value!({ "filters": 6, "kernel_size": 3, "padding": "same" });
    let twice = value!([
        { "args": [tensor("bn", 0)], "kwargs": {} }, { "args": [tensor("drop", 0)], "kwargs": {} },
    ]);
    let joined = value!([{ "args": [[tensor("twice", 0), tensor("twice", 1), tensor("bn", 0)]], "kwargs": {} }]);
    let layers = [
        ("Conv2D stem", value!({ "filters": 6, "kernel_size": 3, "strides": 2, "padding": "same" }), call(&["in"])),
        ("BatchNormalization bn", value!({}), call(&["stem"])),
        ("Dropout drop", value!({ "rate": 0.2, "noise_shape": [null, 1, 1, null] }), call(&["bn"])),
        ("Conv2D twice", conv, twice),
        ("Add add", value!({}), joined),
        ("Activation relu", value!({ "activation": "relu" }), call(&["add"])),
        ("MaxPooling2D pool", value!({}), call(&["relu"])),
        ("Flatten flat", value!({}), call(&["pool"])),
        ("Dense head", value!({ "units": 10, "activation": "softmax" }), call(&["flat"])),
    ];
    functional_of([28, 28, 1], &layers, value!(["head", 0, 0]))
}

#[test]
fn a_branching_network_trains_resumes_and_predicts_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("net.json"), residual().to_string()).unwrap();
    let model = ["--model", "net.json", "--ema", "0.9", "--seed", "3"];
    succeeded(&train(at, &[&model[..], &["--run", "whole", "--name", "whole"]].concat()));
    succeeded(&train(at, &[&model[..], &["--run", "part", "--name", "part", "--epochs", "1"]].concat()));
    succeeded(&convnet(at, &["train", "--resume", "part", "--epochs", "2", "-q"]));
    assert_eq!(history(at, "whole"), history(at, "part"));
    let weights = |name: &str| std::fs::read(at.join(format!("models/{name}.safetensors"))).unwrap();
    assert!(weights("whole") == weights("part"), "the same weights");
    succeeded(&convnet(at, &["reproduce", "whole", "-q"]));
    let table = succeeded(&convnet(at, &["summary", "models/whole"]));
    assert!(table.contains("twice[1][0],") && table.contains("Connected to"), "{table}");
    let evaluated = crate::program::json(&convnet(at, &["evaluate", "whole", "--json"]));
    assert_eq!(evaluated["count"], 100);
    let half = ["--precision", "bf16", "--freeze", "stem,bn", "--init-from", "whole", "--run", "half"];
    succeeded(&train(at, &[&half[..], &["--epochs", "1"]].concat()));
    crate::program::failed(&convnet(at, &["summary", "net.json", "--short"]), 4, "no branches");
    let drawn = ["summary", "net.json", "--plot", "net.svg", "--write", "again.json"];
    succeeded(&convnet(at, &drawn));
    let drawing = std::fs::read_to_string(at.join("net.svg")).unwrap();
    assert!(drawing.contains(">twice (call 2)<"), "{drawing}");
    let spec = |name: &str| Spec::from_json(&json(&at.join(name))).unwrap();
    assert_eq!(spec("again.json"), spec("net.json"));
    assert_eq!(spec("models/whole.json"), spec("net.json"));
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn twenty_steps_follow_keras() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["resnet", "shared", "mobilenetv2"];
    make("train", folder.path(), &names);
    for name in names {
        let made = Made { folder: folder.path().to_owned(), name: name.to_owned() };
        let model = made.open(".before.keras", None).build(1.0, Device::Cpu).unwrap();
        let trained = json(&made.file(".losses.json"));
        let expected: Vec<f64> = serde_json::from_value(trained["losses"].clone()).unwrap();
        let [images, labels] = [".images.npy", ".labels.npy"].map(|file| Tensor::read_npy(made.file(file)).unwrap());
        // Keras's epsilon
        let adam = OptimizerConfig::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };
        let mut optimizer = Optimizer::new(adam, model.weights());
        let batch = images.size()[0] / expected.len() as i64;
        for (step, expected) in (0..).zip(&expected) {
            let part = |values: &Tensor| values.narrow(0, step * batch, batch);
            let loss = model.forward(&part(&images), true).unwrap().loss(&part(&labels), 0.0);
            let difference = (loss.double_value(&[]) - expected).abs() / expected;
            assert!(difference < 1e-3, "{name}, step {step}: {difference:e} from {expected}");
            optimizer.step(&loss, trained["learning_rate"].as_f64().unwrap()).unwrap();
        }
    }
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn presets_take_what_keras_applications_publishes() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    make("published", at, &[]);
    for (name, top) in [
        ("resnet50", 2),
        ("mobilenet-v2", 2),
        ("efficientnet-b0", 2),
        ("densenet121", 2),
        ("mobilenet-v3-small", 4),
        ("mobilenet-v3-large", 4),
        ("convnext-tiny", 2),
    ] {
        let preset = Preset::find(name).unwrap();
        let (model, has_top) = convnet::keras::into_preset(preset, &at.join(format!("{name}.h5")), None).unwrap();
        assert!(has_top);
        let pixels = Tensor::read_npy(at.join(format!("{name}.x.npy"))).unwrap();
        let expected = Tensor::read_npy(at.join(format!("{name}.y.npy"))).unwrap();
        let logits = tch::no_grad(|| model.values(&pixels, false));
        let difference = (&logits - &expected).abs().max().double_value(&[]) / expected.abs().max().double_value(&[]);
        assert!(difference < TOLERANCE, "{name}: {difference}");
        let without = at.join(format!("{name}_notop.h5"));
        let (features, has_top) = convnet::keras::into_preset(preset, &without, None).unwrap();
        assert!(!has_top);
        let same = model.weights().iter().zip(features.weights()).filter(|(a, b)| a.tensor.equal(&b.tensor)).count();
        assert_eq!(same, model.weights().len() - top, "{name}: all but the top layers'");
    }
    let notop = ["import", "mobilenet-v2", "mobilenet-v2_notop.h5"];
    let imported = convnet(at, &notop);
    assert!(String::from_utf8_lossy(&imported.stderr).contains("no top layer"), "{imported:?}");
    succeeded(&imported);
    crate::program::failed(&convnet(at, &["import", "resnet50", "mobilenet-v2.h5"]), 4, "conv1_conv");
    crate::program::failed(&convnet(at, &["import", "resnet18", "resnet50.h5"]), 4, "does not take");
    let other = convnet(at, &["import", "mobilenet-v3-small", "mobilenet-v3-large.h5"]);
    crate::program::failed(&other, 4, "are not those of mobilenet-v3-small");
}
