//! Cross-validation: K runs, each validated on another part of the training images.

use std::sync::Arc;

use super::execute::{Resume, Run};
use super::finished::FinishedRun;
use super::folder::{self, RunFolder};
use super::report::RunReport;
use crate::config::RunConfig;
use crate::config::origin::Origins;
use crate::data::split::Validation;
use crate::error::{Error, Result};
use crate::log::Sinks;
use crate::metrics::Metric;
use crate::train::StopSignal;

/// What each run is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldScore {
    /// A metric of the validation images, after the epoch whose weights were saved.
    Validation(Metric),
    /// A metric of the test images.
    Test(Metric),
}

impl FoldScore {
    /// All of them. The loss of the test images is in each run's own report.
    pub fn all() -> impl Iterator<Item = FoldScore> {
        let tested = Metric::all().filter(|metric| *metric != Metric::Loss);
        Metric::all().map(FoldScore::Validation).chain(tested.map(FoldScore::Test))
    }

    /// The key in `--json`.
    pub fn key(self) -> String {
        match self {
            FoldScore::Validation(metric) => format!("val_{metric}"),
            FoldScore::Test(metric) => format!("test_{metric}"),
        }
    }

    /// What people read.
    pub fn label(self) -> String {
        match self {
            FoldScore::Validation(metric) => format!("validation {}", metric.definition().label),
            FoldScore::Test(metric) => format!("test {}", metric.definition().label),
        }
    }

    /// That of a run; none where it has none.
    pub fn of(self, report: &RunReport) -> Option<f64> {
        match self {
            FoldScore::Validation(metric) => report.saved_row()?.validation?.get(metric),
            FoldScore::Test(metric) => report.test?.get(metric),
        }
    }
}

/// A cross-validation that was asked for: `num_folds` runs of `config`, one after the other, as `<run>-fold1`, `<run>-fold2` …
/// Where the configuration names runs that are there with the same settings, finished ones count and an unfinished one goes on.
pub struct CrossValidation<'a> {
    /// The settings of each, but for its name and its validation images.
    pub config: RunConfig,
    /// How many runs, at least two.
    pub num_folds: usize,
    /// The listeners of one run.
    pub new_sinks: &'a dyn Fn() -> Sinks,
    /// Asks the run at hand to stop.
    pub stop: Arc<StopSignal>,
    /// Whether the first run tells what may be wrong with the images.
    pub checks_data: bool,
    /// The origin of each setting: see [`Run::origins`].
    pub origins: Option<Origins>,
}

/// What came of a cross-validation.
pub struct Folds {
    /// The runs' name, without `-fold1`.
    pub run: String,
    /// The runs that are finished.
    pub reports: Vec<RunReport>,
    /// The run that a signal ended: then the ones after it were not begun.
    pub interrupted: Option<Box<FinishedRun>>,
}

impl CrossValidation<'_> {
    /// Trains them.
    ///
    /// # Errors
    /// A configuration error where a run of that name is there with other settings, and the errors of [`Run::execute`].
    pub fn execute(&self) -> Result<Folds> {
        let num_folds = self.num_folds;
        if num_folds < 2 {
            return Err(Error::config("`folds` cannot be used").expected("at least 2").got(num_folds));
        }
        let run = self.config.outputs.run.clone().unwrap_or_else(folder::name_of_now);
        let configs: Vec<RunConfig> =
            (1..=num_folds).map(|number| fold(&self.config, &run, number, num_folds)).collect();
        for config in &configs {
            existing(config)?; // one that cannot go on is known before an hour of training
        }
        let mut folds = Folds { run, reports: Vec::new(), interrupted: None };
        for (config, number) in configs.into_iter().zip(1..) {
            let mut sinks = (self.new_sinks)();
            sinks.note(format!(
                "fold {number} of {num_folds}: run {}",
                config.outputs.run.as_deref().unwrap_or_default()
            ));
            let started = std::time::Instant::now();
            match existing(&config)? {
                Some(folder) if folder.result().is_some() => folds.reports.push(RunReport::read(&folder)?),
                there => {
                    let finished = self.train(config, there.is_some(), number == 1, sinks)?;
                    if finished.is_interrupted() {
                        folds.interrupted = Some(Box::new(finished));
                        return Ok(folds);
                    }
                    folds.reports.push(RunReport::new(&finished, started.elapsed().as_secs_f64()));
                }
            }
        }
        Ok(folds)
    }

    fn train(&self, config: RunConfig, is_there: bool, is_first: bool, sinks: Sinks) -> Result<FinishedRun> {
        let name = config.outputs.run.clone().unwrap_or_default();
        let folder = is_there.then(|| RunFolder::resume(&name, &config.outputs.logs)).transpose()?;
        let run = Run {
            resume: folder.map(|folder| Resume { folder, changed: serde_json::Map::new() }),
            sinks,
            stop: Arc::clone(&self.stop),
            checks_data: self.checks_data && is_first,
            origins: self.origins.clone().filter(|_| is_first),
            ..Run::new(config)
        };
        run.execute()
    }
}

impl Folds {
    /// Each score of the runs; none where a run lacks it.
    pub fn scores(&self) -> Vec<(FoldScore, Vec<Option<f64>>)> {
        let of_runs = |score: FoldScore| (score, self.reports.iter().map(|report| score.of(report)).collect());
        FoldScore::all().map(of_runs).collect()
    }
}

fn fold(config: &RunConfig, base: &str, number: usize, num_folds: usize) -> RunConfig {
    let mut config = config.clone();
    config.outputs.run = Some(format!("{base}-fold{number}"));
    config.outputs.name += &format!("-fold{number}");
    config.data.validation = Validation::Fold { number, of: num_folds };
    config
}

/// The run of `config` where it is there already.
fn existing(config: &RunConfig) -> Result<Option<RunFolder>> {
    let name = config.outputs.run.clone().unwrap_or_default();
    if !config.outputs.logs.join(&name).exists() {
        return Ok(None);
    }
    let folder = RunFolder::open(&name, &config.outputs.logs)?;
    match folder.config() == *config {
        true => Ok(Some(folder)),
        false => Err(Error::config(format!("there is a run '{name}' already, with other settings"))
            .at_path(&folder.path)
            .help("choose another `run`")),
    }
}

/// Mean and standard deviation (of a sample: divided by K - 1) of the runs' values of one score; none where a run lacks it.
pub fn mean_and_deviation(values: &[Option<f64>]) -> Option<(f64, f64)> {
    let values: Vec<f64> = values.iter().copied().collect::<Option<_>>()?;
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Some((mean, variance.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_a_sample_s() {
        let (mean, deviation) = mean_and_deviation(&[0.9, 0.8, 0.7].map(Some)).unwrap();
        assert!((mean - 0.8).abs() < 1e-12 && (deviation - 0.1).abs() < 1e-12);
        assert_eq!(mean_and_deviation(&[Some(0.5), None]), None);
    }
}
