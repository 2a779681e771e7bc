//! Finds settings that were given and have no effect, such as `--momentum` with Adam.

use serde_json::{Map, Value};

use super::RunConfig;
use super::origin::{Origin, Origins};
use crate::data::split::Validation;
use crate::log::TensorBoardLevel;
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
const SETTINGS: [Setting; 23] = [
    setting("model", "a run without `init_from`", |run, _| run.network.init_from.is_none()),
    setting("weights", "a run without `init_from`", |run, _| run.network.init_from.is_none()),
    setting("freeze_epochs", "a run that trains more than the last Dense layer later on", |run, _| {
        !run.network.freeze.iter().any(|pattern| pattern == "backbone")
    }),
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
    setting("histograms", "`tensorboard` scalars or full", |run, _| {
        run.outputs.tensorboard != TensorBoardLevel::None || run.training.histograms == 0
    }),
    setting("tf32", "CUDA with `precision = 'fp32'`", |run, is_cuda| {
        is_cuda && run.network.precision == crate::model::Precision::Fp32
    }),
    setting("cuda_graph", "CUDA", |run, is_cuda| is_cuda || !run.training.cuda_graph),
];

fn decays(run: &RunConfig) -> bool {
    matches!(run.learning_rate.schedule, S::Exponential | S::Step)
}

/// The settings that a range test of learning rates takes, because a training does, and that do nothing in it.
pub const NOT_IN_RANGE_TEST: [&str; 29] = [
    "keep_features",
    "sync_batchnorm",
    "gradient_compression",
    "cuda_graph",
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
    "histograms",
    "tensorboard",
];

/// The keys of the settings that have no effect in the run, whatever their values are.
pub fn idle_keys(config: &RunConfig, is_cuda: bool) -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().filter(move |setting| !setting.is_used(config, is_cuda)).map(|setting| setting.key)
}

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

/// One warning for each flag of several processes, in a run of one.
pub fn without_effect_in_one_process(origins: &Origins) -> Vec<String> {
    let given = ["sync_batchnorm", "gradient_compression"].into_iter().filter(|key| origins.of(key) == Origin::Flag);
    given.map(|key| format!("`{key}` has no effect: it belongs to a run in several processes")).collect()
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
mod tests;
