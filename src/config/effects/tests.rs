use super::*;
use serde_json::json;

fn said(file: Value, flags: Value, is_cuda: bool) -> Vec<String> {
    let [file, flags] = [file, flags].map(|value| value.as_object().unwrap().clone());
    let config = RunConfig::resolve(file.clone(), flags.clone()).unwrap();
    let origins = Origins::new(&config, &[(Origin::File, &file), (Origin::Flag, &flags)]).unwrap();
    without_effect(&config, &origins, is_cuda)
}

#[test]
fn what_does_nothing_is_said_with_what_it_belongs_to() {
    for (flags, word) in [
        (json!({ "momentum": 0.9 }), "`momentum` has no effect: it belongs to `optimizer` sgd or rmsprop"),
        (json!({ "nesterov": true }), "`nesterov`"),
        (json!({ "nesterov": true, "optimizer": "sgd" }), "`optimizer = 'sgd'` with `momentum`"),
        (json!({ "rho": 0.8 }), "`rho`"),
        (json!({ "beta1": 0.8, "optimizer": "sgd", "momentum": 0.5 }), "`beta1`"),
        (json!({ "schedule": "cosine", "power": 2.0 }), "`schedule = 'polynomial'`"),
        (json!({ "decay_rate": 0.5 }), "`schedule` exponential or step"),
        (json!({ "min_lr": 1e-5 }), "`min_lr`"),
        (json!({ "plateau_patience": 3 }), "`schedule = 'plateau'`"),
        (json!({ "tf32": true }), "CUDA"),
        (json!({ "validation": "test", "split_mode": "tail" }), "`split_mode`"),
        (json!({ "validation": "none", "min_delta": 0.1 }), "`min_delta`"),
    ] {
        let said = said(json!({}), flags.clone(), false);
        assert!(said.len() == 1 && said[0].contains(word), "{flags}: {said:?}");
    }
    for flags in [
        json!({}),
        json!({ "optimizer": "sgd", "momentum": 0.9, "nesterov": true }),
        json!({ "schedule": "plateau", "min_lr": 1e-5, "plateau_patience": 2 }),
        json!({ "min_delta": 0.01, "warmup_epochs": 2 }),
    ] {
        assert!(said(json!({}), flags.clone(), false).is_empty(), "{flags}");
    }
    assert!(said(json!({}), json!({ "tf32": false }), true).is_empty());
    // of a file that says everything, what differs from the defaults
    let everything = serde_json::to_value(RunConfig::default()).unwrap();
    assert!(said(everything, json!({ "optimizer": "sgd" }), false).is_empty());
    let file = said(json!({ "momentum": 0.9 }), json!({}), false);
    assert!(file[0].starts_with("momentum (in the file) has no effect"), "{file:?}");
}

#[test]
fn an_optimizer_s_setting_belongs_to_those_that_take_it() {
    for (key, expected) in [
        ("beta1", "`optimizer` adam, adamw, nadam or lion"),
        ("beta2", "`optimizer` adam, adamw, nadam or lion"),
        ("epsilon", "`optimizer` adam, adamw, nadam or rmsprop"),
        ("momentum", "`optimizer` sgd or rmsprop"),
        ("nesterov", "`optimizer = 'sgd'` with `momentum`"),
        ("rho", "`optimizer = 'rmsprop'`"),
        ("centered", "`optimizer = 'rmsprop'`"),
    ] {
        assert_eq!(SETTINGS.iter().find(|setting| setting.key == key).unwrap().belongs_to(), expected);
    }
}

#[test]
fn the_tables_name_settings() {
    let known = RunConfig::default().keys().unwrap();
    assert!(SETTINGS.iter().all(|setting| known.contains_key(setting.key)));
    assert!(NOT_IN_RANGE_TEST.iter().all(|key| known.contains_key(*key)));
}

#[test]
fn what_is_for_several_processes_does_nothing_in_one() {
    let flags = json!({ "sync_batchnorm": true }).as_object().unwrap().clone();
    let config = RunConfig::resolve(Map::new(), flags.clone()).unwrap();
    let origins = Origins::new(&config, &[(Origin::Flag, &flags)]).unwrap();
    let said = without_effect_in_one_process(&origins);
    assert!(said.len() == 1 && said[0].starts_with("`sync_batchnorm` has no effect"), "{said:?}");
}
