use super::*;
use crate::model::spec::{Form, Head, OutputKind};

#[test]
fn losses_are_keras_s() {
    // keras 3.15.1: CategoricalCrossentropy(from_logits=True, label_smoothing=ε) on one-hot labels with
    // sample_weight = the labels' weights
    let values = Tensor::from_slice(&[1.0f32, 2.0, 0.5, -1.0, 0.0, 3.0, 0.2, 0.1, 0.3]).reshape([3, 3]);
    let kind = OutputKind { head: Head::Softmax, evaluated: Form::Logits, trained: Form::Logits };
    let outputs = Outputs { values, kind, form: Form::Logits };
    let targets = Targets { labels: Tensor::from_slice(&[1i64, 0, 2]), others: None };
    let weights = [0.5, 2.0, 1.0];
    for (smoothing, class_weights, expected) in [
        (0.0, None, 1.844_065_309),
        (0.1, None, 1.819_620_728),
        (0.0, Some(&weights[..]), 1.321_207_523),
        (0.1, Some(&weights), 1.352_318_645),
    ] {
        let loss = Loss::new(smoothing, class_weights, Device::Cpu).loss(&outputs, &targets);
        assert!((loss.double_value(&[]) - expected).abs() < 2e-6, "{smoothing} {class_weights:?}: {loss:?}");
    }
}

#[test]
fn weights_are_the_classes() {
    let classes = ["cat", "dog", "0"].map(str::to_owned);
    let resolve = |json: &str| {
        serde_json::from_str::<ClassWeights>(json)
            .map_err(|error| error.to_string())
            .and_then(|weights| weights.resolve(&classes, &[1, 2, 3]).map_err(|error| error.to_string()))
    };
    assert_eq!(resolve("\"balanced\"").unwrap(), [2.0, 1.0, 6.0 / 9.0]);
    assert_eq!(resolve("[1, 2.5, 0]").unwrap(), [1.0, 2.5, 0.0]);
    assert_eq!(resolve("{\"dog\": 3, \"0\": 4}").unwrap(), [1.0, 3.0, 4.0]);
    // an accent of its own, as macOS writes it
    let table = ClassWeights::Table([("cafe\u{301}".to_owned(), 3.0)].into());
    assert_eq!(table.resolve(&["caf\u{e9}".to_owned(), "tea".to_owned()], &[1, 1]).unwrap(), [3.0, 1.0]);
    for (json, word) in
        [("[1]", "3 numbers"), ("[1, -2, 1]", "0 or more"), ("{\"dogs\": 1}", "did you mean 'dog'"), ("\"x\"", "")]
    {
        let error = resolve(json).unwrap_err();
        assert!(error.contains(word), "{error}");
    }
}
