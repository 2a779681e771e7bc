use serde_json::{Value, json};

use super::*;

#[test]
fn names_that_a_form_cannot_hold_become_others_of_their_own() {
    let layers: Vec<Value> = ["a/b", "a_b", "a.b", "", ".", "layer"]
        .iter()
        .map(|name| json!({ "class_name": "Identity", "config": { "name": name } }))
        .collect();
    let spec = Spec::from_json(&json!({ "class_name": "Sequential", "config": { "layers": layers } })).unwrap();
    let names = |is_legacy| usable(&spec, is_legacy).layers.into_iter().map(|layer| layer.name).collect::<Vec<_>>();
    assert_eq!(names(false), ["a_b_", "a_b", "a.b", "", ".", "layer"]);
    assert_eq!(names(true), ["a_b_", "a_b", "a.b", "layer_", "layer__", "layer"]);
}
