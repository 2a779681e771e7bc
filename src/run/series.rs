//! Several runs in turn: cross-validation, K runs each validated on another part of the training images, and repeats, runs that
//! differ in their seeds alone.

use std::sync::Arc;

use super::execute::{Resume, Run};
use super::finished::FinishedRun;
use super::folder::{self, RunFolder};
use super::report::RunReport;
use crate::config::RunConfig;
use crate::config::origin::Origins;
use crate::data::split::Validation;
use crate::error::{Error, Result};
use crate::evaluate::paired::SampleSummary;
use crate::log::Sinks;
use crate::metrics::Metric;
use crate::train::StopSignal;

/// In what the runs of a series differ, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesKind {
    /// In their validation images: K folds.
    Folds(usize),
    /// In their seeds: the configuration's, the next, and so on.
    Repeats(usize),
}

impl SeriesKind {
    /// How many runs.
    pub fn num_runs(self) -> usize {
        match self {
            SeriesKind::Folds(count) | SeriesKind::Repeats(count) => count,
        }
    }

    /// What one is called, in names of runs and in what is printed.
    pub fn word(self) -> &'static str {
        match self {
            SeriesKind::Folds(_) => "fold",
            SeriesKind::Repeats(_) => "repeat",
        }
    }

    /// What each run is judged by. The loss of the test images of a fold is in its own report.
    pub fn scores(self) -> Vec<SeriesScore> {
        let is_shown = |metric: &Metric| matches!(self, SeriesKind::Repeats(_)) || *metric != Metric::Loss;
        Metric::all()
            .map(SeriesScore::Validation)
            .chain(Metric::all().filter(is_shown).map(SeriesScore::Test))
            .collect()
    }

    /// That a user asked for runs enough.
    ///
    /// # Errors
    /// A configuration error for fewer than two: a deviation takes two.
    fn check(self) -> Result<()> {
        match self.num_runs() < 2 {
            true => Err(Error::config(format!("`{}s` cannot be used", self.word()))
                .expected("at least 2")
                .got(self.num_runs())),
            false => Ok(()),
        }
    }

    /// The configuration of run `number`, from 1, of the series called `base`.
    fn config(self, config: &RunConfig, base: &str, number: usize) -> Result<RunConfig> {
        let mut config = config.clone();
        let suffix = format!("-{}{number}", self.word());
        config.outputs.run = Some(format!("{base}{suffix}"));
        config.outputs.name += &suffix;
        match self {
            SeriesKind::Folds(of) => config.data.validation = Validation::Fold { number, of },
            SeriesKind::Repeats(_) => {
                let seed = config.training.seed.checked_add(number as u64 - 1);
                let too_large = || Error::config("`seed` cannot be used").expected("one that others can follow");
                config.training.seed = seed.ok_or_else(|| too_large().got(config.training.seed))?;
            }
        }
        Ok(config)
    }
}

/// What each run is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesScore {
    /// A metric of the validation images, after the epoch whose weights were saved.
    Validation(Metric),
    /// A metric of the test images.
    Test(Metric),
}

impl SeriesScore {
    /// The metric.
    pub fn metric(self) -> Metric {
        match self {
            SeriesScore::Validation(metric) | SeriesScore::Test(metric) => metric,
        }
    }

    /// The key in `--json`.
    pub fn key(self) -> String {
        match self {
            SeriesScore::Validation(metric) => format!("val_{metric}"),
            SeriesScore::Test(metric) => format!("test_{metric}"),
        }
    }

    /// What people read.
    pub fn label(self) -> String {
        match self {
            SeriesScore::Validation(metric) => format!("validation {}", metric.definition().label),
            SeriesScore::Test(metric) => format!("test {}", metric.definition().label),
        }
    }

    /// That of a run; none where it has none.
    pub fn of(self, report: &RunReport) -> Option<f64> {
        match self {
            SeriesScore::Validation(metric) => report.saved_row()?.validation?.get(metric),
            SeriesScore::Test(metric) => report.test?.get(metric),
        }
    }
}

/// Runs that were asked for: of `config`, one after the other, as `<run>-fold1`, `<run>-fold2` … or `<run>-repeat1` … Where the
/// configuration names runs that are there with the same settings, finished ones count and an unfinished one goes on.
pub struct Series<'a> {
    /// The settings of each, but for its name and that in which they differ.
    pub config: RunConfig,
    /// In what they differ, and how many there are: at least two.
    pub kind: SeriesKind,
    /// The listeners of one run.
    pub new_sinks: &'a dyn Fn() -> Sinks,
    /// Asks the run at hand to stop.
    pub stop: Arc<StopSignal>,
    /// Whether the first run tells what may be wrong with the images.
    pub checks_data: bool,
    /// The origin of each setting: see [`Run::origins`].
    pub origins: Option<Origins>,
}

/// What came of a series.
pub struct SeriesResult {
    /// In what the runs differ.
    pub kind: SeriesKind,
    /// The runs' name, without `-fold1`.
    pub run: String,
    /// The runs that are finished.
    pub reports: Vec<RunReport>,
    /// The run that a signal ended: then the ones after it were not begun.
    pub interrupted: Option<Box<FinishedRun>>,
}

impl Series<'_> {
    /// Trains them.
    ///
    /// # Errors
    /// A configuration error for fewer than two runs, or where a run of that name is there with other settings, and the errors of
    /// [`Run::execute`].
    pub fn execute(&self) -> Result<SeriesResult> {
        let kind = self.kind;
        kind.check()?;
        let run = self.config.outputs.run.clone().unwrap_or_else(folder::name_of_now);
        let configs: Vec<RunConfig> =
            (1..=kind.num_runs()).map(|number| kind.config(&self.config, &run, number)).collect::<Result<_>>()?;
        for config in &configs {
            existing(config)?; // one that cannot go on is known before an hour of training
        }
        let mut result = SeriesResult { kind, run, reports: Vec::new(), interrupted: None };
        for (config, number) in configs.into_iter().zip(1..) {
            let mut sinks = (self.new_sinks)();
            let name = config.outputs.run.as_deref().unwrap_or_default();
            sinks.note(format!("{} {number} of {}: run {name}", kind.word(), kind.num_runs()));
            let started = std::time::Instant::now();
            match existing(&config)? {
                Some(folder) if folder.result().is_some() => result.reports.push(RunReport::read(&folder)?),
                there => {
                    let finished = self.train(config, there.is_some(), number == 1, sinks)?;
                    if finished.is_interrupted() {
                        result.interrupted = Some(Box::new(finished));
                        return Ok(result);
                    }
                    result.reports.push(RunReport::new(&finished, started.elapsed().as_secs_f64()));
                }
            }
        }
        Ok(result)
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

impl SeriesResult {
    /// Each score of the runs; none where a run lacks it.
    pub fn scores(&self) -> Vec<(SeriesScore, Vec<Option<f64>>)> {
        let of_runs = |score: SeriesScore| (score, self.reports.iter().map(|report| score.of(report)).collect());
        self.kind.scores().into_iter().map(of_runs).collect()
    }
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

/// Mean, deviation and interval of the runs' values of one score; none where a run lacks it.
pub fn summary(values: &[Option<f64>]) -> Option<SampleSummary> {
    let values: Vec<f64> = values.iter().copied().collect::<Option<_>>()?;
    SampleSummary::of(&values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_a_sample_s() {
        let SampleSummary { mean, sd, .. } = summary(&[0.9, 0.8, 0.7].map(Some)).unwrap();
        assert!((mean - 0.8).abs() < 1e-12 && (sd - 0.1).abs() < 1e-12);
        assert_eq!(summary(&[Some(0.5), None]), None);
    }

    #[test]
    fn repeats_have_seeds_in_turn_and_names_of_their_own() {
        let mut config = RunConfig::default();
        config.training.seed = 7;
        let third = SeriesKind::Repeats(3).config(&config, "r", 3).unwrap();
        assert_eq!((third.training.seed, third.outputs.run.as_deref()), (9, Some("r-repeat3")));
        assert_eq!((third.outputs.name.as_str(), &third.data), ("model-repeat3", &config.data));
        config.training.seed = u64::MAX;
        assert!(SeriesKind::Repeats(3).config(&config, "r", 2).is_err());
        assert!(SeriesKind::Repeats(1).check().unwrap_err().to_string().contains("`repeats` cannot be used"));
        assert_eq!(SeriesKind::Folds(2).scores().len() + 1, SeriesKind::Repeats(2).scores().len());
    }
}
