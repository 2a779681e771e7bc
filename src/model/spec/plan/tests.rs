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
