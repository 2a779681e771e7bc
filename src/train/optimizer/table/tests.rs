use super::*;

#[test]
fn a_row_names_the_settings_that_change_its_rule() {
    for kind in OptimizerKind::all() {
        let plain = OptimizerSettings { kind, ..OptimizerSettings::default() };
        for (name, changed) in [
            ("beta1", OptimizerSettings { beta1: 0.5, ..plain }),
            ("beta2", OptimizerSettings { beta2: Some(0.5), ..plain }),
            ("epsilon", OptimizerSettings { epsilon: 0.5, ..plain }),
            ("momentum", OptimizerSettings { momentum: 0.5, ..plain }),
            ("nesterov", OptimizerSettings { nesterov: true, ..plain }),
            ("rho", OptimizerSettings { rho: 0.5, ..plain }),
            ("centered", OptimizerSettings { centered: true, ..plain }),
        ] {
            assert_eq!(kind.takes(name), changed.rule() != plain.rule(), "{kind:?} {name}");
        }
    }
}

#[test]
fn a_name_is_the_same_everywhere() {
    for kind in OptimizerKind::all() {
        assert_eq!(kind.name(), kind.keras_name().to_lowercase());
        assert_eq!(serde_json::json!(kind), kind.name());
        assert_eq!(kind.name().parse(), Ok(kind));
        assert_eq!(OptimizerKind::of_keras(kind.keras_name()), Some(kind));
    }
    assert_eq!(OptimizerKind::of_keras("adam"), None);
}

#[test]
fn defaults_match_keras() {
    // keras.optimizers.AdamW() and Lion() of Keras 3.15: weight_decay 0.004, beta_2 0.99
    let of = |kind| OptimizerSettings { kind, ..OptimizerSettings::default() }.with_defaults();
    for kind in OptimizerKind::all() {
        let decay = if kind == OptimizerKind::AdamW { 0.004 } else { 0.0 };
        let beta2 = if kind == OptimizerKind::Lion { 0.99 } else { 0.999 };
        assert_eq!((of(kind).weight_decay, of(kind).beta2), (Some(decay), Some(beta2)), "{kind:?}");
    }
}

#[test]
fn words_for_absent_settings_name_the_optimizers_that_differ() {
    let adam = OptimizerSettings::default();
    for (key, of) in [
        ("beta2", (|settings| settings.beta2.unwrap()) as fn(OptimizerSettings) -> f64),
        ("weight_decay", |settings| settings.weight_decay.unwrap()),
    ] {
        let of_kind = |kind| of(OptimizerSettings { kind, ..adam }.with_defaults());
        let usual = of_kind(adam.kind);
        let others = OptimizerKind::all().filter(|kind| of_kind(*kind) != usual);
        let others: Vec<String> = others.map(|kind| format!("; {}: {}", kind.name(), of_kind(kind))).collect();
        let (_, words) = OptimizerSettings::ABSENT.iter().find(|(absent, _)| *absent == key).unwrap();
        assert_eq!(*words, format!("{usual}{}", others.concat()), "{key}");
    }
}
