//! Whether one run is better than another: settings aligned, results side by side, and a test of the difference on the same test
//! images. [`super::compare()`] is another thing: whether two runs are the same to the last bit.

use serde::Serialize;
use serde_json::{Map, Value};

use super::folder::RunFolder;
use super::measure::kept_predictions;
use super::overview::{RunOverview, differing_settings};
use crate::data::Split;
use crate::error::{Error, Result};
use crate::evaluate::Predictions;
use crate::evaluate::paired::{NUM_RESAMPLES, PairedTest, SIGNIFICANCE, holm, paired_test};
use crate::log::history::HistoryRow;
use crate::metrics::wilson_interval;

/// The seed of the bootstrap: the same interval each time.
const SEED: u64 = 0;

/// Runs that are compared.
pub struct RunComparison {
    /// The runs, as they were named.
    pub runs: Vec<ComparedRun>,
    /// The settings in which they differ, with each run's value.
    pub settings: Vec<(String, Vec<Value>)>,
    /// The tests of the first run against each other, in order; or why there are none.
    pub tests: std::result::Result<Vec<TestedPair>, String>,
}

/// One of the runs.
pub struct ComparedRun {
    /// What it is, and came to.
    pub overview: RunOverview,
    /// Its epochs.
    pub history: Vec<HistoryRow>,
    /// Its test images, how many of them it gets right, and the mean of their losses, where its predictions are there.
    pub tested: Option<TestCounts>,
}

/// What a run does with the test images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TestCounts {
    /// The images.
    pub count: u64,
    /// Those that it gets right.
    pub correct: u64,
    /// The mean loss, without penalties of weights.
    pub loss: f64,
}

/// Which of two runs is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The difference may be chance.
    Noise,
    /// The first.
    First,
    /// The second.
    Second,
}

/// The test of the first run against another, on the same images.
#[derive(Debug, Clone, PartialEq)]
pub struct TestedPair {
    /// The runs' names.
    pub names: [String; 2],
    /// What each does with the images.
    pub counts: [TestCounts; 2],
    /// The numbers.
    pub test: PairedTest,
    /// The probability corrected by Holm's method for the number of tests: that of the test where there is one only.
    pub p_corrected: f64,
    /// Which is better.
    pub verdict: Verdict,
}

impl TestCounts {
    /// The share of images that it gets right.
    pub fn accuracy(self) -> f64 {
        self.correct as f64 / self.count as f64
    }

    /// Wilson's 95 % interval of it.
    pub fn accuracy_interval(self) -> [f64; 2] {
        wilson_interval(self.correct, self.count)
    }

    fn of(each: &Predictions) -> Self {
        let count = each.len() as u64;
        TestCounts { count, correct: each.num_right(), loss: each.mean_loss() }
    }
}

/// Compares the first of `folders` with each other.
///
/// # Errors
/// A configuration error for fewer than two runs or one named twice; a data error where they have different classes or were
/// tested on different images, where a history is broken, or predictions that are there cannot be used.
pub fn compare_runs(folders: &[RunFolder]) -> Result<RunComparison> {
    check_comparable(folders)?;
    let mut runs = Vec::new();
    let mut predictions = Vec::new();
    for folder in folders {
        let history = if folder.history_path().exists() { folder.history()? } else { Vec::new() };
        let stored = kept_predictions(folder, Split::Test)?;
        let tested = stored.as_ref().ok().map(TestCounts::of);
        runs.push(ComparedRun { overview: RunOverview::new(folder, &history)?, history, tested });
        predictions.push(stored);
    }
    let overviews: Vec<&RunOverview> = runs.iter().map(|run| &run.overview).collect();
    let settings = differing_settings(&overviews);
    let predictions: std::result::Result<Vec<Predictions>, String> = predictions.into_iter().collect();
    let tests = predictions
        .map(|predictions| tested_pairs(&runs, &predictions))
        .map_or_else(|why| Ok(Err(why)), |tests| tests.map(Ok))?;
    Ok(RunComparison { runs, settings, tests })
}

fn check_comparable(folders: &[RunFolder]) -> Result<()> {
    let [first, others @ ..] = folders else {
        return Err(Error::config("there is nothing to compare").expected("at least two runs"));
    };
    if others.is_empty() {
        return Err(Error::config("there is nothing to compare").expected("at least two runs").got(&first.name));
    }
    for (index, folder) in folders.iter().enumerate() {
        if folders[..index].iter().any(|before| before.path == folder.path) {
            return Err(Error::config("a run is compared with others, not with itself").got(&folder.name));
        }
    }
    let [data, ..] = [&first.record().data];
    for other in others {
        let names = format!("{} and {}", first.name, other.name);
        let now = &other.record().data;
        if data.classes != now.classes {
            let classes = |of: &[String]| format!("{} ({})", of.len(), of.join(", "));
            let error = Error::data("the runs have different classes");
            return Err(error.expected(classes(&data.classes)).got(classes(&now.classes)).at(names));
        }
        if data.same_test_images(now) == Some(false) {
            let images = |of: &super::record::DataRecord| format!("{} of {}", of.test.unwrap_or(0), of.name);
            let error = Error::data("the runs were tested on different images: their results cannot be compared");
            let error = error.expected(images(data)).got(images(now)).at(names);
            return Err(error.help("`convnet runs show` shows each"));
        }
    }
    Ok(())
}

fn tested_pairs(runs: &[ComparedRun], predictions: &[Predictions]) -> Result<Vec<TestedPair>> {
    let Some((first, others)) = predictions.split_first() else { return Ok(Vec::new()) };
    let tests: Result<Vec<PairedTest>> = others.iter().map(|other| paired_test(first, other, SEED)).collect();
    let tests = tests?;
    let corrected = holm(&tests.iter().map(|test| test.p_value).collect::<Vec<f64>>());
    let counts: Vec<TestCounts> = predictions.iter().map(TestCounts::of).collect();
    let pairs = tests.into_iter().zip(corrected).enumerate().map(|(index, (test, p_corrected))| TestedPair {
        names: [&runs[0], &runs[index + 1]].map(|run| run.overview.run.clone()),
        counts: [counts[0], counts[index + 1]],
        test,
        p_corrected,
        verdict: verdict(&test, p_corrected),
    });
    Ok(pairs.collect())
}

fn verdict(test: &PairedTest, p_corrected: f64) -> Verdict {
    match test.only_first_right > test.only_second_right {
        _ if p_corrected >= SIGNIFICANCE => Verdict::Noise,
        true => Verdict::First,
        false => Verdict::Second,
    }
}

impl TestedPair {
    /// What the test says, in a sentence.
    pub fn sentence(&self) -> String {
        let [first, second] = &self.names;
        let PairedTest { only_first_right, only_second_right, p_value, .. } = self.test;
        let p = match self.p_corrected == p_value {
            true => format!("p = {}", p_text(p_value)),
            false => format!("p = {} after Holm's correction", p_text(self.p_corrected)),
        };
        let alone = format!(
            "of {} test images {first} alone gets {only_first_right} right and {second} alone {only_second_right} \
             (McNemar's exact test: {p})",
            self.counts[0].count
        );
        match self.verdict {
            Verdict::Noise => format!("the difference may be noise: {alone}"),
            Verdict::First => format!("{first} is better, and that is not noise: {alone}"),
            Verdict::Second => format!("{second} is better, and that is not noise: {alone}"),
        }
    }

    /// What the bootstrap says, in a sentence.
    pub fn loss_sentence(&self) -> String {
        let PairedTest { loss_difference, loss_interval: [low, high], .. } = self.test;
        let [first, second] = &self.names;
        let meaning = match (low > 0.0, high < 0.0) {
            (true, _) => format!("{first}'s is lower"),
            (_, true) => format!("{second}'s is lower"),
            (false, false) => "it may be none".to_owned(),
        };
        format!(
            "the mean loss of {second} less that of {first} is {loss_difference:+.4}, 95 % interval {low:+.4} to {high:+.4}: \
             {meaning} (paired bootstrap, {NUM_RESAMPLES} samples)"
        )
    }

    /// The test as `convnet runs compare --json` prints it.
    pub fn to_json(&self) -> Map<String, Value> {
        let of_each = |value: fn(TestCounts) -> Value| Value::from(self.counts.map(value).to_vec());
        let PairedTest { only_first_right, only_second_right, p_value, loss_difference, loss_interval } = self.test;
        let loss = serde_json::json!({
            "mean": loss_difference, "interval": loss_interval, "resamples": NUM_RESAMPLES, "seed": SEED
        });
        let entries = [
            ("count", self.counts[0].count.into()),
            ("accuracy", of_each(|counts| counts.accuracy().into())),
            ("accuracy_interval", of_each(|counts| counts.accuracy_interval().to_vec().into())),
            ("loss", of_each(|counts| counts.loss.into())),
            ("only_first_right", only_first_right.into()),
            ("only_second_right", only_second_right.into()),
            ("p_value", p_value.into()),
            ("p_corrected", self.p_corrected.into()),
            ("verdict", serde_json::json!(self.verdict)),
            ("loss_difference", loss),
            ("sentence", self.sentence().into()),
        ];
        entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// A probability in two digits that say something.
fn p_text(p: f64) -> String {
    match p {
        p if p < 1e-4 => format!("{p:.1e}"),
        p if p < 0.1 => format!("{p:.4}"),
        p => format!("{p:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_follows_the_corrected_probability() {
        let test = |only_first_right, only_second_right, p_value| PairedTest {
            only_first_right,
            only_second_right,
            p_value,
            loss_difference: 0.0,
            loss_interval: [0.0; 2],
        };
        assert_eq!(verdict(&test(9, 1, 0.02), 0.02), Verdict::First);
        assert_eq!(verdict(&test(1, 9, 0.02), 0.02), Verdict::Second);
        assert_eq!(verdict(&test(1, 9, 0.02), 0.05), Verdict::Noise);
        assert_eq!([0.5, 0.0213, 1.23e-7].map(p_text), ["0.50", "0.0213", "1.2e-7"]);
    }
}
