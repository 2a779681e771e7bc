//! Whole trainings against what Keras's `fit` made of the same data: callbacks, recipes, the batches' order; and identities.

use std::path::Path;

use convnet::data::batches::DataLoader;
use convnet::data::{ImageShape, Samples};
use convnet::keras::KerasModel;
use convnet::log::{Epoch, Event, Sink};
use convnet::model::{Model, Spec};
use convnet::train::range_test::RangeTest;
use convnet::train::{
    ClassWeights, Clip, EarlyStopping, Monitor, Optimizer, OptimizerConfig, Outcome, ReduceOnPlateau, Schedule,
    StepOptions, StopReason, TrainConfig, Trainer,
};
use serde_json::Value;
use tch::{Device, Tensor};

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/histories.json")).unwrap()
}

/// Images `[N, side, side, 1]` with labels below `num_classes`.
fn samples(pixels: &[u8], labels: &[i64], side: usize, num_classes: usize) -> DataLoader {
    let shape = ImageShape { height: side, width: side, channels: 1 };
    let samples = Samples::new(shape, pixels.to_vec(), labels.to_vec(), num_classes).unwrap();
    DataLoader::new(&samples, Device::Cpu).unwrap()
}

/// The fixture's images: those to train on, and the last ones, which validate.
fn data(fixture: &Value) -> (DataLoader, DataLoader) {
    let numbers =
        |key: &str| fixture[key].as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect::<Vec<i64>>();
    let pixels: Vec<u8> = numbers("pixels").into_iter().map(|pixel| pixel as u8).collect();
    let labels = numbers("labels");
    let (images, validation_images) = pixels.split_at(70 * 36);
    (samples(images, &labels[..70], 6, 3), samples(validation_images, &labels[70..], 6, 3))
}

fn tensor(weight: &Value) -> Tensor {
    let numbers = |key: &str| weight[key].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect::<Vec<f64>>();
    let shape: Vec<i64> = numbers("shape").into_iter().map(|size| size as i64).collect();
    Tensor::from_slice(&numbers("values")).to_kind(tch::Kind::Float).reshape(shape)
}

fn network(fixture: &Value, weights: &Value) -> Model {
    let model = Model::new(Spec::from_json(&fixture["model"]).unwrap(), 1.0 / 255.0, Device::Cpu, 0).unwrap();
    for weight in model.weights() {
        tch::no_grad(|| weight.tensor.shallow_clone().copy_(&tensor(&weights[&weight.name])));
    }
    model
}

/// 10 epochs of batches of 16 in the files' order.
fn plain(learning_rate: f64) -> TrainConfig {
    let schedule = Schedule { base: learning_rate, ..Schedule::default() };
    TrainConfig { batch_size: 16, shuffle: false, schedule, ..TrainConfig::default() }
}

fn fit(
    config: TrainConfig,
    model: &Model,
    optimizer: Optimizer,
    train: &DataLoader,
    validation: Option<&DataLoader>,
) -> Outcome {
    Trainer { validation, ..Trainer::new(config, model, optimizer, train) }.fit().unwrap()
}

/// Trains as `case` of the fixture says, and compares.
fn follow(fixture: &Value, name: &str) -> Outcome {
    let case = &fixture["cases"][name];
    let options = &case["optimizer"][1];
    let number = |key: &str, default: f64| options[key].as_f64().unwrap_or(default);
    let config = match case["optimizer"][0].as_str().unwrap() {
        "SGD" => OptimizerConfig::Sgd { momentum: number("momentum", 0.0), nesterov: false },
        "RMSprop" => OptimizerConfig::RmsProp { rho: 0.9, momentum: 0.0, epsilon: 1e-7, centered: false },
        _ => OptimizerConfig::default(),
    };
    let clip = options["global_clipnorm"].as_f64().map(Clip::GlobalNorm);
    let step = StepOptions { clip, weight_decay: number("weight_decay", 0.0), ema: None };
    let mut train = plain(number("learning_rate", 0.0));
    train.label_smoothing = case["loss"]["label_smoothing"].as_f64().unwrap_or(0.0);
    let weights = case["fit"]["class_weight"].as_object();
    train.class_weights =
        weights.map(|weights| ClassWeights::List(weights.values().map(|weight| weight.as_f64().unwrap()).collect()));
    for callback in case["callbacks"].as_array().unwrap() {
        let given = &callback[1];
        let monitor = if given["monitor"] == "val_loss" { Monitor::VAL_LOSS } else { Monitor::VAL_ACCURACY };
        let patience = given["patience"].as_u64().unwrap();
        if callback[0] == "EarlyStopping" {
            let restore_best = given["restore_best_weights"].as_bool().unwrap_or(false);
            let patience = Some(patience);
            train.early_stopping = EarlyStopping { monitor, patience, restore_best, ..EarlyStopping::default() };
        } else {
            train.reduce_on_plateau = Some(ReduceOnPlateau {
                monitor,
                patience,
                factor: given["factor"].as_f64().unwrap(),
                cooldown: given["cooldown"].as_u64().unwrap(),
                min_rate: given["min_lr"].as_f64().unwrap(),
                ..ReduceOnPlateau::default()
            });
        }
    }
    let model = network(fixture, &case["start"]);
    let optimizer = Optimizer::with_options(config, step, model.weights());
    let (images, validation) = data(fixture);
    let outcome = fit(train, &model, optimizer, &images, Some(&validation));
    compare(name, &outcome.epochs, &case["history"], 2e-4);
    for weight in model.weights() {
        let difference = (weight.tensor.detach() - tensor(&case["end"][&weight.name])).abs().max().double_value(&[]);
        assert!(difference < 5e-4, "{name}: {} differs by {difference:e}", weight.name);
    }
    outcome
}

/// Losses to `tolerance` of themselves; accuracies, which are counts, and rates to the bits of f32.
fn compare(name: &str, epochs: &[Epoch], history: &Value, tolerance: f64) {
    let losses = history["loss"].as_array().unwrap();
    assert_eq!(epochs.len(), losses.len(), "{name}: epochs");
    for (index, epoch) in epochs.iter().enumerate() {
        let validation = epoch.validation.unwrap();
        for (key, got) in [("loss", epoch.train.loss()), ("val_loss", validation.loss())] {
            let expected = history[key][index].as_f64().unwrap();
            let difference = ((got - expected) / expected).abs();
            assert!(difference < tolerance, "{name}, epoch {index}: {key} is {got}, not {expected} ({difference:e})");
        }
        for (key, got) in [
            ("accuracy", epoch.train.accuracy()),
            ("val_accuracy", validation.accuracy()),
            ("learning_rate", epoch.learning_rate),
        ] {
            let Some(expected) = history[key][index].as_f64() else { continue };
            assert!((got - expected).abs() < 1e-6, "{name}, epoch {index}: {key} is {got}, not {expected}");
        }
    }
}

#[test]
fn histories_are_keras_s() {
    let fixture = fixture();
    for name in fixture["cases"].as_object().unwrap().keys() {
        let outcome = follow(&fixture, name);
        let stops = name == "early_stopping" || name == "restore_best";
        assert_eq!(outcome.ending, if stops { StopReason::Patience } else { StopReason::Epochs }, "{name}");
    }
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn the_tail_validates_as_in_keras() {
    let assets = crate::program::assets();
    let folder = Path::new(&assets).join("fixtures/keras/history_val_split");
    let record: Value = serde_json::from_slice(&std::fs::read(folder.join("history.json")).unwrap()).unwrap();
    let source = KerasModel::open(&folder.join("model.json"), Some(&folder.join("initial.weights.h5"))).unwrap();
    let model = source.build(1.0 / 255.0, Device::Cpu).unwrap();
    let pixels = Vec::<u8>::try_from(Tensor::read_npy(folder.join("x_train_u8.npy")).unwrap().flatten(0, -1)).unwrap();
    let labels = Vec::<i64>::try_from(Tensor::read_npy(folder.join("y_train.npy")).unwrap()).unwrap();
    let train = samples(&pixels[..240 * 784], &labels[..240], 28, 10);
    let validation = samples(&pixels[240 * 784..], &labels[240..], 28, 10);
    let optimizer = Optimizer::new(OptimizerConfig::default(), model.weights());
    let outcome =
        fit(TrainConfig { epochs: 3, batch_size: 64, ..plain(0.002) }, &model, optimizer, &train, Some(&validation));
    compare("history_val_split", &outcome.epochs, &record["history"], 2e-4);
}

/// An untrained network without dropout.
fn small_network() -> Model {
    let mut spec = convnet::model::presets::preset("mlp").unwrap();
    spec.layers.retain(|layer| !layer.name.contains("dropout"));
    spec.adapt(ImageShape { height: 6, width: 6, channels: 1 }, 3);
    Model::new(spec, 1.0 / 255.0, Device::Cpu, 3).unwrap()
}

fn sgd(model: &Model, options: StepOptions) -> Optimizer {
    Optimizer::with_options(OptimizerConfig::Sgd { momentum: 0.9, nesterov: false }, options, model.weights())
}

/// A network's weights, one after the other.
fn flat_weights(model: &Model) -> Tensor {
    let flat: Vec<Tensor> = model.weights().iter().map(|weight| weight.tensor.detach().reshape([-1])).collect();
    Tensor::cat(&flat, 0)
}

/// The weights of a small network that was trained as `config` says.
fn weights_after(config: TrainConfig, options: StepOptions) -> Tensor {
    let (train, _) = data(&fixture());
    let model = small_network();
    fit(config, &model, sgd(&model, options), &train, None);
    flat_weights(&model)
}

fn difference(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn small_batches_accumulated_are_the_large_one() {
    // 70 images: 4 × 8 and 4 × 8 and a last group of 6; 32, 32 and 6
    let shuffled = |batch_size, accumulate| TrainConfig { batch_size, accumulate, shuffle: true, ..plain(0.05) };
    let options = StepOptions { clip: Some(Clip::Norm(0.5)), ..StepOptions::default() };
    let large = weights_after(shuffled(32, 1), options);
    assert!(difference(&large, &weights_after(shuffled(8, 4), options)) < 1e-5);
    assert!(difference(&large, &weights_after(shuffled(16, 1), options)) > 1e-3, "it makes a difference");
    // weights by class and smoothed labels, too
    let weighted = |batch_size, accumulate| TrainConfig {
        class_weights: Some(ClassWeights::List(vec![0.5, 2.0, 3.0])),
        label_smoothing: 0.1,
        ..shuffled(batch_size, accumulate)
    };
    let large = weights_after(weighted(32, 1), options);
    assert!(difference(&large, &weights_after(weighted(8, 4), options)) < 1e-5);
}

#[test]
fn one_seed_one_result() {
    let seeded = |seed| TrainConfig { seed, shuffle: true, epochs: 2, ..plain(0.05) };
    let none = StepOptions::default();
    assert_eq!(weights_after(seeded(1), none), weights_after(seeded(1), none));
    assert!(difference(&weights_after(seeded(1), none), &weights_after(seeded(2), none)) > 0.0);
}

#[test]
fn the_range_test_takes_the_steps_of_a_training() {
    let (train, _) = data(&fixture());
    let options = StepOptions { ema: None, weight_decay: 0.01, clip: None };
    for shuffle in [true, false] {
        // 7 batches an epoch, the last of 4 images: steps of 3, 3 and 1
        let config = TrainConfig { accumulate: 3, batch_size: 11, epochs: 4, shuffle, ..plain(0.05) };
        let tested = small_network();
        let test = RangeTest { start: 0.05, end: 0.05, steps: 12, config: config.clone() };
        let points = test.run(&tested, &mut sgd(&tested, options), &train).unwrap();
        assert_eq!(points.len(), 12);
        assert_eq!(flat_weights(&tested), weights_after(config, options), "shuffle {shuffle}");
    }
}

#[test]
fn the_average_is_what_is_left() {
    // a = δa + (1 - δ)w, beginning with the first w: by hand, from the weights after each step
    let steps = |updates: usize, ema| {
        let config = TrainConfig { epochs: 1, batch_size: 70usize.div_ceil(updates), ..plain(0.05) };
        weights_after(config, StepOptions { ema, ..StepOptions::default() })
    };
    assert_eq!(steps(1, None), steps(1, Some(0.9)), "the first average is the first weights");
    let averaged = steps(5, Some(0.5));
    assert!(difference(&averaged, &steps(5, None)) > 1e-4, "it makes a difference");
}

/// Keeps the epochs that it hears of.
struct Recorded(std::rc::Rc<std::cell::RefCell<Vec<u64>>>);

impl Sink for Recorded {
    fn on(&mut self, event: &Event) -> convnet::error::Result<()> {
        if let Event::Batch(batch) = event
            && batch.is_recorded
        {
            self.0.borrow_mut().push(batch.step);
        }
        Ok(())
    }
}

#[test]
fn targets_times_and_recorded_points() {
    let fixture = fixture();
    let (train, _) = data(&fixture);
    let run = |config: TrainConfig| {
        let model = network(&fixture, &fixture["cases"]["plain"]["start"]);
        let optimizer = Optimizer::new(OptimizerConfig::default(), model.weights());
        let steps = std::rc::Rc::default();
        let mut trainer = Trainer::new(config, &model, optimizer, &train);
        trainer.sinks.add(Recorded(std::rc::Rc::clone(&steps)));
        let outcome = trainer.fit().unwrap();
        (outcome, steps.take())
    };
    let (outcome, steps) =
        run(TrainConfig { until: Some("accuracy=0.6".parse().unwrap()), log_every: Some(3), ..plain(0.01) });
    assert_eq!(outcome.ending, StopReason::Target);
    let last = outcome.epochs.last().unwrap();
    assert!(last.train.accuracy() >= 0.6 && outcome.epochs.len() < 10);
    // 5 batches an epoch: the third of each
    assert_eq!(steps, (0..outcome.epochs.len() as u64).map(|epoch| epoch * 5 + 3).collect::<Vec<_>>());
    let (outcome, _) = run(TrainConfig { epochs: 1_000_000, time: Some("0.2s".parse().unwrap()), ..plain(0.01) });
    assert_eq!(outcome.ending, StopReason::Time);
}

/// Two steps of the loop from weights of which those named `huge` are 3e38, and what it says.
fn said_of(huge: &str, class_weight: f64) -> String {
    let dataset = convnet::data::registry::load("digits:64").unwrap();
    let train = DataLoader::new(&dataset.train, Device::Cpu).unwrap();
    let spec = convnet::model::presets::preset("keras-cnn").unwrap();
    let model = Model::new(spec, 1.0 / 255.0, Device::Cpu, 0).unwrap();
    for weight in model.weights().iter().filter(|weight| weight.name == huge) {
        let _ = tch::no_grad(|| weight.tensor.shallow_clone().fill_(3e38));
    }
    let class_weights = Some(ClassWeights::List(vec![class_weight; 10]));
    let config = TrainConfig { epochs: 1, batch_size: 32, class_weights, ..TrainConfig::default() };
    let optimizer = Optimizer::new(OptimizerConfig::default(), model.weights());
    let error = Trainer::new(config, &model, optimizer, &train).fit().unwrap_err();
    assert_eq!(error.exit_code(), 6);
    assert!(model.weights().iter().all(|weight| weight.tensor.isfinite().all().int64_value(&[]) == 1));
    error.to_string()
}

#[test]
fn the_first_layer_that_is_not_finite_is_named_and_the_weights_are_as_before() {
    for layer in ["conv2d", "conv2d_1", "dense"] {
        let text = said_of(&format!("{layer}.weight"), 1.0);
        assert!(text.contains(&format!("first in layer {layer}, output")), "{text}");
        assert!(text.contains("epoch 1, batch 1, step 1, learning rate 2e-3"), "{text}");
    }
    let text = said_of("none", 1e39);
    assert!(text.contains("all layers are finite, the loss is not"), "{text}");
}
