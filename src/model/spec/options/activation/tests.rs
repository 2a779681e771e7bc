use super::*;

fn read(value: Value) -> Result<Activation, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

#[test]
fn activations_survive_json_and_misspelt_ones_are_named() {
    let mut all: Vec<Activation> = NAMES.iter().map(|(_, activation)| activation.clone()).collect();
    all.push(Activation::Keras2HardSigmoid);
    all.push(read(json!({ "class_name": "LeakyReLU", "config": { "negative_slope": 0.3 } })).unwrap());
    all.push(read(json!({ "class_name": "Softmax", "config": { "axis": [1, 2], "name": "s" } })).unwrap());
    for activation in all {
        assert_eq!(read(serde_json::to_value(&activation).unwrap()), Ok(activation));
    }
    assert_eq!(read(Value::Null), Ok(Activation::Linear));
    assert_eq!(read(json!("swish")), Ok(Activation::Silu));
    assert_eq!(read(json!("rellu")).unwrap_err(), "unknown activation 'rellu', did you mean 'relu'?");
    assert!(read(json!("sparsemax")).unwrap_err().contains("not supported"));
}

#[test]
fn objects_that_are_no_activation_are_named() {
    let function = json!({ "module": "builtins", "class_name": "function", "config": "mine" });
    assert_eq!(read(function).unwrap_err(), "the activation is a Python function, which a file cannot hold");
    let error = read(json!({ "class_name": "PReLU", "config": {} })).unwrap_err();
    assert!(error.starts_with("the layer 'PReLU' cannot be an activation"), "{error}");
    let error = read(json!({ "class_name": "ELU", "config": { "slope": 1.0 } })).unwrap_err();
    assert_eq!(error, "unknown key 'slope' in the config of the activation ELU");
}
