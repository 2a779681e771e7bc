//! Finds settings that were given and have no effect, such as `--momentum` with Adam.

use serde_json::{Map, Value};

use super::RunConfig;
use super::origin::{Origin, Origins};
use crate::data::split::Validation;
use crate::train::OptimizerKind;
use crate::train::ScheduleKind as S;

/// A setting that only some runs use.
struct Setting {
    key: &'static str,
    owner: Owner,
}

/// What uses a setting.
enum Owner {
    /// What these words say, and whether a run is such, on CUDA or not.
    Run(&'static str, fn(&RunConfig, bool) -> bool),
    /// The optimizers whose rules take it.
    Optimizers,
    /// These, where the momentum is above 0.
    OptimizersWithMomentum,
}

const fn setting(key: &'static str, belongs_to: &'static str, is_used: fn(&RunConfig, bool) -> bool) -> Setting {
    Setting { key, owner: Owner::Run(belongs_to, is_used) }
}

const fn of_optimizers(key: &'static str) -> Setting {
    Setting { key, owner: Owner::Optimizers }
}

impl Setting {
    fn is_used(&self, run: &RunConfig, is_cuda: bool) -> bool {
        match self.owner {
            Owner::Run(_, is_used) => is_used(run, is_cuda),
            Owner::Optimizers => run.optimizer.kind.takes(self.key),
            Owner::OptimizersWithMomentum => run.optimizer.kind.takes(self.key) && run.optimizer.momentum > 0.0,
        }
    }

    /// What uses it, in words.
    fn belongs_to(&self) -> String {
        match self.owner {
            Owner::Run(words, _) => words.to_owned(),
            Owner::Optimizers => of_either(&OptimizerKind::names_taking(self.key)),
            Owner::OptimizersWithMomentum => {
                format!("{} with `momentum`", of_either(&OptimizerKind::names_taking(self.key)))
            }
        }
    }
}

/// An optimizer of these names, as a setting.
fn of_either(names: &[&str]) -> String {
    match names {
        [name] => format!("`optimizer = '{name}'`"),
        [others @ .., last] => format!("`optimizer` {} or {last}", others.join(", ")),
        [] => unreachable!("the table of optimizers has the key"),
    }
}

/// All such settings.
const SETTINGS: [Setting; 19] = [
    setting("model", "a run without `init_from`", |run, _| run.network.init_from.is_none()),
    setting("split_mode", "a validation that is taken from the training images", |run, _| {
        !matches!(run.data.validation, Validation::Test | Validation::None)
    }),
    of_optimizers("beta1"),
    of_optimizers("beta2"),
    of_optimizers("epsilon"),
    of_optimizers("momentum"),
    Setting { key: "nesterov", owner: Owner::OptimizersWithMomentum },
    of_optimizers("rho"),
    of_optimizers("centered"),
    setting("min_lr", "`schedule` linear, cosine, polynomial or plateau", |run, _| {
        matches!(run.learning_rate.schedule, S::Linear | S::Cosine | S::Polynomial | S::Plateau)
    }),
    setting("decay_rate", "`schedule` exponential or step", |run, _| decays(run)),
    setting("decay_epochs", "`schedule` exponential or step", |run, _| decays(run)),
    setting("power", "`schedule = 'polynomial'`", |run, _| run.learning_rate.schedule == S::Polynomial),
    setting("plateau_patience", "`schedule = 'plateau'`", |run, _| run.learning_rate.schedule == S::Plateau),
    setting("plateau_factor", "`schedule = 'plateau'`", |run, _| run.learning_rate.schedule == S::Plateau),
    setting("plateau_min_delta", "`schedule = 'plateau'`", |run, _| run.learning_rate.schedule == S::Plateau),
    setting("plateau_cooldown", "`schedule = 'plateau'`", |run, _| run.learning_rate.schedule == S::Plateau),
    setting("min_delta", "a run with validation images, or `monitor` loss or accuracy", |run, _| {
        run.data.validation != Validation::None || run.best_epoch.monitor.is_some()
    }),
    setting("tf32", "CUDA with `precision = 'fp32'`", |run, is_cuda| {
        is_cuda && run.network.precision == crate::model::Precision::Fp32
    }),
];

fn decays(run: &RunConfig) -> bool {
    matches!(run.learning_rate.schedule, S::Exponential | S::Step)
}

/// The settings that a range test of learning rates takes, because a training does, and that do nothing in it.
pub const NOT_IN_RANGE_TEST: [&str; 23] = [
    "epochs",
    "lr",
    "ema",
    "schedule",
    "warmup_epochs",
    "min_lr",
    "decay_rate",
    "decay_epochs",
    "power",
    "plateau_patience",
    "plateau_factor",
    "plateau_min_delta",
    "plateau_cooldown",
    "monitor",
    "min_delta",
    "patience",
    "restore_best",
    "until",
    "time",
    "models",
    "name",
    "save_every",
    "log_every",
];

/// One warning for each setting that was given and has no effect in the run.
pub fn without_effect(config: &RunConfig, origins: &Origins, is_cuda: bool) -> Vec<String> {
    let default = RunConfig::default().keys().expect("the defaults are plain values");
    let idle = SETTINGS.iter().filter(|setting| !setting.is_used(config, is_cuda));
    let given = idle.filter(|setting| match origins.of(setting.key) {
        Origin::Flag => true,
        // a file may say everything, as --print-config and run.json do
        Origin::File => origins.value(setting.key) != default.get(setting.key),
        Origin::Default | Origin::ResumedRun | Origin::TrainedModel => false,
    });
    given
        .map(|setting| format!("{} has no effect: it belongs to {}", named(setting.key, origins), setting.belongs_to()))
        .collect()
}

/// One warning for each setting that was given and has no effect in a range test.
pub fn without_effect_in_range_test(flags: &Map<String, Value>) -> Vec<String> {
    let idle = NOT_IN_RANGE_TEST.iter().filter(|key| flags.contains_key(**key));
    idle.map(|key| format!("`{key}` has no effect on lr-find")).collect()
}

/// A setting, and whether it stands in a file.
fn named(key: &str, origins: &Origins) -> String {
    if origins.of(key) == Origin::File { format!("{key} (in the file)") } else { format!("`{key}`") }
}

#[cfg(test)]
mod tests {
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
}
