use super::super::ClassWeights;
use super::*;

fn test() -> RangeTest {
    RangeTest { start: 1e-6, end: 1.0, steps: 61, config: TrainConfig { batch_size: 8, ..TrainConfig::default() } }
}

#[test]
fn rates_rise_by_a_factor() {
    assert_eq!(test().learning_rate(0), 1e-6);
    assert!((test().learning_rate(10) / 1e-5 - 1.0).abs() < 1e-12);
    assert!((test().learning_rate(60) - 1.0).abs() < 1e-12);
}

fn points(loss: impl Fn(f64) -> f64) -> Vec<RangePoint> {
    let rates = (0..61).map(|step| test().learning_rate(step));
    rates.map(|learning_rate| RangePoint { learning_rate, loss: loss(learning_rate) }).collect()
}

#[test]
fn the_middle_of_the_fall_is_suggested_however_long_it_was_flat_before() {
    // from 2 to 1 around 1e-2, and up again near 1; before that flat, or falling by a hair
    let step = |rate: f64| 2.0 - 1.0 / (1.0 + (-8.0 * (rate.log10() + 2.0)).exp()) + rate * rate;
    for slope in [0.0, 1e-3] {
        let suggestion = suggest(&points(|rate| step(rate) - slope * (rate.log10() + 6.0))).unwrap();
        assert!((suggestion / 1e-2).log10().abs() < 0.11, "{suggestion}"); // a step is a tenth of a power of ten
    }
}

#[test]
fn where_nothing_falls_nothing_is_suggested() {
    assert_eq!(suggest(&points(|rate| 1.0 + rate)), None);
    assert_eq!(suggest(&points(|_| 2.3)), None);
    assert_eq!(suggest(&points(|rate| 2.3 + 0.005 * (40.0 * rate.log10()).sin())), None, "noise");
    assert_eq!(suggest(&points(|rate| 1.0 - rate)[..5]), None);
}

/// The last point's loss after a test with the config that `change` makes.
fn last_loss(change: impl Fn(&mut TrainConfig)) -> f64 {
    let mut config = TrainConfig { batch_size: 16, ..TrainConfig::default() };
    change(&mut config);
    let dataset = crate::data::registry::load("digits:64").unwrap();
    let train = DataLoader::new(&dataset.train, tch::Device::Cpu).unwrap();
    let spec = crate::model::presets::preset("keras-cnn").unwrap();
    let model = Model::new(spec, 1.0 / 255.0, tch::Device::Cpu, 0).unwrap();
    let mut optimizer = Optimizer::new(crate::train::OptimizerConfig::default(), model.weights());
    let points = RangeTest { start: 1e-5, end: 1e-4, steps: 12, config }.run(&model, &mut optimizer, &train);
    points.unwrap().last().unwrap().loss
}

#[test]
fn batches_and_loss_are_those_of_a_training() {
    let plain = last_loss(|_| {});
    assert_eq!(plain, last_loss(|_| {}));
    for other in [
        last_loss(|config| config.augment = "strong".parse().unwrap()),
        last_loss(|config| config.augment = "mixup=1".parse().unwrap()),
        last_loss(|config| config.label_smoothing = 0.3),
        last_loss(|config| config.class_weights = Some(ClassWeights::List((0..10).map(f64::from).collect()))),
        last_loss(|config| config.accumulate = 4),
    ] {
        assert_ne!(plain, other);
    }
}
