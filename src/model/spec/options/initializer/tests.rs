use super::*;

#[test]
fn initializers_survive_json() {
    let mut all = Initializer::PLAIN.map(|(_, _, initializer)| initializer).to_vec();
    all.push(Initializer::Constant { value: 0.5 });
    all.push(Initializer::RandomNormal { mean: 0.1, stddev: 0.2 });
    all.push(Initializer::TruncatedNormal { mean: 0.1, stddev: 0.2 });
    all.push(Initializer::RandomUniform { minval: -1.0, maxval: 2.0 });
    all.push(Initializer::Identity { gain: 2.0 });
    all.push(Initializer::Orthogonal { gain: 1.1 });
    for (_, mode) in FANS {
        let distribution = Distribution::UntruncatedNormal;
        all.push(Initializer::VarianceScaling { scale: 2.0, mode, distribution });
    }
    for initializer in all {
        assert_eq!(Initializer::from_json(&initializer.to_json()), Ok(initializer));
    }
}

#[test]
fn mistakes_are_named() {
    let error = Initializer::from_json(&json!("glorot_unifrm")).unwrap_err();
    assert_eq!(error, "unknown initializer 'glorot_unifrm', did you mean 'GlorotUniform'?");
    let object = json!({ "class_name": "Constant", "config": { "val": 1.0 } });
    let error = Initializer::from_json(&object).unwrap_err();
    assert_eq!(error, "unknown key 'val' in the config of Constant, did you mean 'value'?");
    let object = json!({ "class_name": "GlorotUniform", "config": { "input_axes": [1], "seed": 3 } });
    assert!(Initializer::from_json(&object).is_err());
}
