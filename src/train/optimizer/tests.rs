//! Every optimizer against Keras's own numbers (`scripts/fixtures/optimizers.py`), and identities.

use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use super::flat::gap_behind;
use super::*;
use crate::model::{Model, Spec, channels_last};

fn fixture() -> Value {
    serde_json::from_str(include_str!("../../../tests/fixtures/optimizers.json")).unwrap()
}

fn tensor(numbers: &Value) -> Tensor {
    let numbers: Vec<f32> = numbers.as_array().unwrap().iter().map(|n| n.as_f64().unwrap() as f32).collect();
    let tensor = Tensor::from_slice(&numbers);
    if numbers.len() == 18 { channels_last(&tensor.reshape([2, 1, 3, 3])) } else { tensor }
}

/// The fixture's names of the weights of [`network`].
const NAMES: [&str; 2] = ["kernel", "bias"];

/// A convolution whose weights are `values`.
fn network(values: &Value) -> Model {
    let conv = json!({ "name": "c", "filters": 2, "kernel_size": [3, 3] });
    let layers = json!([{ "class_name": "Conv2D", "config": conv }]);
    let mut spec = Spec::from_json(&json!({ "class_name": "Sequential", "config": { "name": "s", "layers": layers } }));
    spec.as_mut().unwrap().input_shape = Some(vec![8, 8, 1]);
    let model = Model::new(spec.unwrap(), 1.0, Device::Cpu, 0).unwrap();
    for (weight, name) in model.weights().iter().zip(NAMES) {
        tch::no_grad(|| weight.tensor.shallow_clone().copy_(&tensor(&values[name])));
    }
    assert_eq!(model.weights().len(), NAMES.len());
    model
}

/// The same as the fixture's: its gradient is `(1 + step)(w - target)`.
fn loss(weights: &[Weight], target: &Value, step: u64) -> Tensor {
    let square = |(weight, name): (&Weight, &str)| (&weight.tensor - tensor(&target[name])).square().sum(Kind::Float);
    weights.iter().zip(NAMES).map(square).sum::<Tensor>() * (0.5 * (1 + step) as f64)
}

fn settings(case: &Value) -> (OptimizerConfig, StepOptions) {
    let given = &case["options"];
    let number = |key: &str, default: f64| given[key].as_f64().unwrap_or(default);
    let truth = |key: &str| given[key].as_bool().unwrap_or(false);
    let (beta1, beta2, epsilon) = (0.9, number("beta_2", 0.999), number("epsilon", 1e-7));
    let momentum = number("momentum", 0.0);
    let (config, weight_decay) = match case["class_name"].as_str().unwrap() {
        "Adam" => (OptimizerConfig::Adam { beta1, beta2, epsilon }, 0.0),
        "AdamW" => (OptimizerConfig::Adam { beta1, beta2, epsilon }, 0.004),
        "Nadam" => (OptimizerConfig::Nadam { beta1, beta2, epsilon }, 0.0),
        "SGD" => (OptimizerConfig::Sgd { momentum, nesterov: truth("nesterov") }, number("weight_decay", 0.0)),
        "RMSprop" => {
            let rho = number("rho", 0.9);
            (OptimizerConfig::RmsProp { rho, momentum, epsilon, centered: truth("centered") }, 0.0)
        }
        "Lion" => (OptimizerConfig::Lion { beta1, beta2 }, 0.0),
        other => panic!("{other}"),
    };
    let clips = [
        ("clipvalue", Clip::Value as fn(f64) -> Clip),
        ("clipnorm", Clip::Norm),
        ("global_clipnorm", Clip::GlobalNorm),
    ];
    let clip = clips.iter().find_map(|(key, clip)| given[*key].as_f64().map(clip));
    (config, StepOptions { clip, weight_decay, ema: given["ema_momentum"].as_f64() })
}

fn difference(got: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(got.size(), expected.size());
    (got.detach() - expected).abs().max().double_value(&[])
}

#[test]
fn every_step_of_every_optimizer_is_keras_s() {
    let fixture = fixture();
    for (case_name, case) in fixture["cases"].as_object().unwrap() {
        let network = network(&fixture["start"]);
        let weights = network.weights();
        let (config, options) = settings(case);
        let mut optimizer = Optimizer::with_options(config, options, weights);
        for (step, expected) in (0..).zip(case["trajectory"].as_array().unwrap()) {
            let rate = fixture["rates"][step as usize].as_f64().unwrap();
            optimizer.step(&loss(weights, &fixture["target"], step), rate).unwrap();
            for (weight, name) in weights.iter().zip(NAMES) {
                let difference = difference(&weight.tensor, &tensor(&expected[name]));
                // values are about 1: a few roundings of f32
                assert!(difference < 2e-6, "{case_name}, step {step}: {name} differs by {difference:e}");
            }
        }
        if case.get("average").is_some() {
            optimizer.swap_average();
            for (weight, name) in weights.iter().zip(NAMES) {
                let difference = difference(&weight.tensor, &tensor(&case["average"][name]));
                assert!(difference < 2e-6, "{case_name}, {name}: the average differs by {difference:e}");
            }
        }
    }
    assert!(fixture["cases"].as_object().unwrap().len() >= 16);
}

#[test]
fn a_restored_optimizer_goes_on_bit_for_bit() {
    let fixture = fixture();
    for (case_name, case) in fixture["cases"].as_object().unwrap() {
        let (config, options) = settings(case);
        let run = |cut: Option<u64>| {
            let network = network(&fixture["start"]);
            let weights = network.weights();
            let mut optimizer = Optimizer::with_options(config, options, weights);
            for step in 0..8 {
                if cut == Some(step) {
                    let state: Vec<(String, Tensor)> =
                        optimizer.state().into_iter().map(|(name, tensor)| (name, tensor.copy())).collect();
                    optimizer = Optimizer::with_options(config, options, weights);
                    let find = |wanted: &str| Ok(state.iter().find(|(name, _)| name == wanted).unwrap().1.copy());
                    optimizer.restore(step, find).unwrap();
                }
                optimizer.step(&loss(weights, &fixture["target"], step), 0.01).unwrap();
            }
            optimizer.swap_average();
            Tensor::cat(&weights.iter().map(|weight| weight.tensor.detach().reshape([-1])).collect::<Vec<_>>(), 0)
        };
        assert_eq!(run(None), run(Some(5)), "{case_name}");
    }
}

#[test]
fn an_average_that_the_state_lacks_begins_with_the_next_step() {
    let fixture = fixture();
    let network = network(&fixture["start"]);
    let weights = network.weights();
    let options = StepOptions { ema: Some(0.75), ..StepOptions::default() };
    let mut optimizer = Optimizer::with_options(OptimizerConfig::default(), options, weights);
    let momentum = |name: &str| {
        assert!(!name.ends_with(".average"), "{name}");
        let size = if name.contains("weight") { vec![2, 1, 3, 3] } else { vec![2] };
        Ok(Tensor::full(size, 0.5, (Kind::Float, Device::Cpu)))
    };
    optimizer.restore_without_average(40, momentum).unwrap();
    let values = || weights[0].tensor.detach().copy();
    let average = |optimizer: &Optimizer| {
        optimizer.state().into_iter().find(|(name, _)| name == "c.weight.average").unwrap().1.copy()
    };
    optimizer.step(&loss(weights, &fixture["target"], 0), 0.01).unwrap();
    let first = values();
    assert_eq!((optimizer.steps(), average(&optimizer)), (41, first.copy()));
    optimizer.step(&loss(weights, &fixture["target"], 1), 0.01).unwrap();
    assert!(difference(&average(&optimizer), &(first * 0.75 + values() * 0.25)) < 1e-6);
}

#[test]
fn gradients_in_parts_make_the_step_of_their_sum() {
    let fixture = fixture();
    let step = |parts: &[f64]| {
        let network = network(&fixture["start"]);
        let weights = network.weights();
        let mut optimizer = Optimizer::new(OptimizerConfig::Sgd { momentum: 0.9, nesterov: false }, weights);
        for (number, &share) in parts.iter().enumerate() {
            let is_last = number + 1 == parts.len();
            optimizer.add_gradient(&loss(weights, &fixture["target"], 0), share, is_last).unwrap();
        }
        optimizer.apply(0.1);
        optimizer.apply(0.1); // nothing was gathered: nothing changes
        assert_eq!(optimizer.steps(), 1);
        weights[0].tensor.detach().copy()
    };
    assert!(difference(&step(&[1.0]), &step(&[0.5, 0.25, 0.25])) < 1e-6);
}

#[test]
fn a_state_of_another_optimizer_is_refused() {
    let fixture = fixture();
    let network = network(&fixture["start"]);
    let weights = network.weights();
    let mut optimizer = Optimizer::new(OptimizerConfig::default(), weights);
    let error = optimizer.restore(1, |_| Ok(Tensor::zeros([3], (Kind::Float, Device::Cpu)))).unwrap_err();
    assert!(error.to_string().contains("c.weight.momentum has another shape"), "{error}");
}

#[test]
fn weights_begin_at_multiples_of_what_a_gpu_reads_at_a_time() {
    assert_eq!([0, 1, 7, 8, 9].map(|count| gap_behind(count, 8)), [0, 7, 1, 0, 7]);
    assert_eq!([0, 1, 9].map(|count| gap_behind(count, 1)), [0; 3]);
    let parameter = |start: i64, count: i64| {
        let tensor = Tensor::arange(count, (Kind::Float, Device::Cpu)) + 1.0;
        Parameter { name: "a".to_owned(), tensor, start, count, gap: gap_behind(count, 4) }
    };
    let parameters = [parameter(0, 3), parameter(4, 4), parameter(8, 1)];
    let zeros = Tensor::zeros([4], (Kind::Float, Device::Cpu));
    let flat = flatten(&parameters, parameters.iter().map(|parameter| parameter.tensor.copy()), &zeros);
    assert_eq!(Vec::<f32>::try_from(&flat).unwrap(), [1.0, 2.0, 3.0, 0.0, 1.0, 2.0, 3.0, 4.0, 1.0, 0.0, 0.0, 0.0]);
    assert!(parameters.iter().all(|parameter| parameter.view_of(&flat).equal(&parameter.tensor)));
}
