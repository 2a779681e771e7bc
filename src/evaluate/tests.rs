use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::*;

#[test]
fn wilson_s_interval() {
    // statsmodels 0.15: proportion_confint(k, n, method="wilson")
    for (correct, count, low, high) in [
        (9000, 10_000, 0.893_966, 0.905_727),
        (0, 10, 0.0, 0.277_533),
        (10, 10, 0.722_467, 1.0),
        (1, 2, 0.094_531, 0.905_469),
    ] {
        let [l, h] = wilson_interval(correct, count);
        assert!((l - low).abs() < 1e-6 && (h - high).abs() < 1e-6, "{correct}/{count}: {l} {h}");
    }
}

/// What scikit-learn and SciPy say: scripts/fixtures/evaluation.py.
#[derive(Deserialize)]
struct Case {
    labels: Vec<usize>,
    logits: Vec<Vec<u32>>,
    probabilities: Vec<Vec<u32>>,
    classes: Vec<Value>,
    #[serde(rename = "macro")]
    macro_mean: Value,
    weighted: Value,
    balanced_accuracy: f64,
    ece: f64,
    temperature: f64,
    ece_calibrated: f64,
}

impl Case {
    fn all() -> Vec<Case> {
        serde_json::from_str(include_str!("../../tests/fixtures/evaluation.json")).unwrap()
    }

    fn predictions(&self) -> Predictions {
        let floats = |rows: &[Vec<u32>]| rows.iter().flatten().map(|&bits| f32::from_bits(bits)).collect::<Vec<_>>();
        let num_classes = self.classes.len();
        let probabilities = floats(&self.probabilities);
        let first_largest = |row: &[f32]| {
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row.iter().position(|&value| value == largest).unwrap()
        };
        let classes = probabilities.chunks(num_classes).map(first_largest).collect();
        let losses = vec![0.0; self.labels.len()];
        let (labels, logits) = (self.labels.clone(), floats(&self.logits));
        Predictions { num_classes, labels, classes, losses, probabilities, logits }
    }
}

/// Every number of `expected` is in `actual`, to 1e-12.
fn assert_same(actual: &impl Serialize, expected: &Value) {
    let actual = serde_json::to_value(actual).unwrap();
    for (key, expected) in expected.as_object().unwrap() {
        let close = match (actual[key].as_f64(), expected.as_f64()) {
            (Some(actual), Some(expected)) => (actual - expected).abs() < 1e-12,
            (actual, expected) => actual == expected,
        };
        assert!(close, "{key}: {} and not {expected}", actual[key]);
    }
}

#[test]
fn scores_are_scikit_learn_s() {
    for case in Case::all() {
        let predictions = case.predictions();
        let labels: Vec<String> = (0..case.classes.len()).map(|class| class.to_string()).collect();
        let report = ClassReport::new(&predictions, &labels);
        report.classes.iter().zip(&case.classes).for_each(|(actual, expected)| assert_same(actual, expected));
        assert_same(&report.macro_mean, &case.macro_mean);
        assert_same(&report.weighted_mean, &case.weighted);
        assert!((report.balanced_accuracy - case.balanced_accuracy).abs() < 1e-12);
    }
}

#[test]
fn the_temperature_is_where_scipy_finds_it() {
    for case in Case::all() {
        let predictions = case.predictions();
        let temperature = fit_temperature(&predictions);
        assert!((temperature / case.temperature - 1.0).abs() < 1e-5, "{temperature} and not {}", case.temperature);
        let report = CalibrationReport::new(&predictions, Some(case.temperature));
        assert!((report.ece - case.ece).abs() < 1e-12, "{} and not {}", report.ece, case.ece);
        let calibrated = report.ece_calibrated.unwrap();
        assert!((calibrated - case.ece_calibrated).abs() < 1e-7, "{calibrated} and not {}", case.ece_calibrated);
    }
}

#[test]
fn nothing_is_said_of_a_model_without_mistakes_or_of_several_sigmoids() {
    let predictions = Case::all()[1].predictions();
    assert!(calibrate(&predictions).is_some());
    assert_eq!(calibrate(&Predictions { labels: predictions.classes.clone(), ..predictions.clone() }), None);
    assert_eq!(calibrate(&Predictions { logits: Vec::new(), ..predictions }), None);
}
