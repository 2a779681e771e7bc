use super::*;

#[test]
fn regularizers_and_constraints_survive_json() {
    for regularizer in [
        Regularizer::L1 { l1: 0.1 },
        Regularizer::L2 { l2: 0.2 },
        Regularizer::L1L2 { l1: 0.1, l2: 0.2 },
        Regularizer::Orthogonal { factor: 0.5, mode: OrthogonalMode::Columns },
    ] {
        assert_eq!(Regularizer::from_json(&regularizer.to_json()), Ok(regularizer));
    }
    let axis = Axes::Many(vec![0, 1, 2]);
    for constraint in [
        Constraint::MaxNorm { max_value: 3.0, axis: axis.clone() },
        Constraint::NonNeg,
        Constraint::UnitNorm { axis: Axes::One(0) },
        Constraint::MinMaxNorm { min_value: 0.5, max_value: 1.5, rate: 0.9, axis },
    ] {
        assert_eq!(Constraint::from_json(&constraint.to_json()), Ok(constraint));
    }
}

#[test]
fn names_and_mistakes_are_understood() {
    assert_eq!(Regularizer::from_json(&json!("l2")), Ok(Regularizer::L2 { l2: 0.01 }));
    assert_eq!(Regularizer::from_json(&json!("l1_l2")), Ok(Regularizer::L1L2 { l1: 0.01, l2: 0.01 }));
    let error = Regularizer::from_json(&json!({ "class_name": "L2", "config": { "l3": 1.0 } })).unwrap_err();
    assert_eq!(error, "unknown key 'l3' in the config of L2; known: l2");
    let error = Constraint::from_json(&json!("MaxNrm")).unwrap_err();
    assert_eq!(error, "unknown constraint 'MaxNrm', did you mean 'MaxNorm'?");
    assert!(Constraint::from_json(&json!({ "class_name": "MaxNorm", "config": { "axis": "x" } })).is_err());
    // one of one's own, also under the name of Keras's
    for name in ["Reg", "L2"] {
        let object = json!({
            "module": null, "class_name": name, "config": {}, "registered_name": format!("my>{name}"),
        });
        let error = Regularizer::from_json(&object).unwrap_err();
        assert!(error.starts_with(&format!("the custom class '{name}' is not supported")), "{error}");
    }
}
