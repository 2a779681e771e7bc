use serde_json::{Value, json};

use super::super::Spec;
use super::*;

fn dense(name: &str) -> Value {
    json!({ "class_name": "Dense", "config": { "name": name, "units": 2 } })
}

fn sequential(name: &str, layers: Value) -> Value {
    json!({ "class_name": "Sequential", "config": { "name": name, "layers": layers } })
}

fn plan(layers: Value) -> Plan {
    let mut spec = Spec::from_json(&sequential("net", layers)).unwrap();
    spec.input_shape = Some(vec![2]);
    spec.plan().unwrap()
}

#[test]
fn layers_are_named_by_their_path() {
    let paths = |plan: &Plan| plan.flat_layers().into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    let block = plan(json!([dense("first"), sequential("block", json!([dense("a"), dense("b")]))]));
    assert_eq!(block.layers[1].num_parameters(), 12);
    assert_eq!(paths(&block), ["first", "block.a", "block.b"]);
    let odd = plan(json!([dense("a.b"), sequential("a/b", json!([dense("c.d"), dense("")]))]));
    assert_eq!(paths(&odd), ["a/-b", "a//b.c/-d", "a//b."]);
}

#[test]
fn no_two_names_are_one_in_a_path() {
    let names = ["a", "", ".", "/", "..", "//", "./", "/.", "/-", "-", "a.b", "a/b", "a/-b", "a//b", "a-b"];
    let paths: std::collections::HashSet<String> = names.iter().map(|name| in_path(name)).collect();
    assert!(paths.len() == names.len() && paths.iter().all(|path| !path.contains('.')), "{paths:?}");
}

#[test]
fn what_is_fixed_ends_before_what_learns_or_draws() {
    let layer =
        |class_name: &str, config: serde_json::Value| serde_json::json!({ "class_name": class_name, "config": config });
    let fixed = |freeze: &[usize], layers: &[serde_json::Value]| {
        let input = layer("InputLayer", serde_json::json!({ "batch_shape": [null, 8, 8, 3] }));
        let all: Vec<_> = std::iter::once(input).chain(layers.iter().cloned()).collect();
        let document = serde_json::json!({ "class_name": "Sequential", "config": { "layers": all } });
        let mut spec = Spec::from_json(&document).unwrap();
        freeze.iter().for_each(|&index| spec.layers[index].freeze());
        spec.plan().unwrap().last_fixed_call(None)
    };
    let conv = || layer("Conv2D", serde_json::json!({ "filters": 2, "kernel_size": 3 }));
    let norm = |affine: bool| layer("BatchNormalization", serde_json::json!({ "scale": affine, "center": affine }));
    let drop = |rate: f64| layer("Dropout", serde_json::json!({ "rate": rate }));
    let end = || [layer("Flatten", serde_json::json!({})), layer("Dense", serde_json::json!({ "units": 2 }))];
    let with = |layers: &[serde_json::Value]| [layers, &end()].concat();
    assert_eq!(fixed(&[], &with(&[conv()])), None);
    assert_eq!(fixed(&[0], &with(&[conv()])), Some(1));
    assert_eq!(fixed(&[0], &with(&[conv(), drop(0.2)])), Some(0));
    assert_eq!(fixed(&[0], &with(&[conv(), drop(0.0)])), Some(2));
    // statistics move though there is no weight
    assert_eq!(fixed(&[0], &with(&[conv(), norm(false)])), Some(0));
    assert_eq!(fixed(&[0, 1], &with(&[conv(), norm(true)])), Some(2));
    // nothing to save
    assert_eq!(fixed(&[], &end()), None);
    let flip = layer("RandomFlip", serde_json::json!({}));
    assert_eq!(fixed(&[1], &with(&[flip, conv()])), None);
}

#[test]
fn the_largest_call_is_that_of_the_most_values() {
    let plan = crate::model::presets::preset("keras-cnn").unwrap().plan().unwrap();
    // the first pooling: 26 · 26 · 32 in, 13 · 13 · 32 out; the second convolution: 13 · 13 · 32 in, 11 · 11 · 64 out
    assert_eq!(plan.largest_call(), 26 * 26 * 32 + 13 * 13 * 32);
}
