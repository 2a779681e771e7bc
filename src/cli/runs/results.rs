//! What runs came to, side by side, for the terminal and for a page.

use convnet::drawing::{LineChart, Series};
use convnet::metrics::Metric;
use convnet::run::comparison::{ComparedRun, RunComparison};

/// Accuracy and loss of all runs over their epochs: of the validation images where all have them, else of the training's.
pub fn charts(compared: &RunComparison) -> Vec<LineChart> {
    let is_validated = |run: &ComparedRun| run.history.iter().any(|row| row.validation.is_some());
    let validated = compared.runs.iter().all(|run| is_validated(run) || run.history.is_empty());
    let images = if validated { "validation" } else { "training" };
    let series = |metric: Metric, run: &ComparedRun| {
        let points = run.history.iter().filter_map(|row| {
            let scores = if validated { row.validation? } else { row.train };
            Some([row.epoch as f64, scores.get(metric)?])
        });
        Series { name: run.overview.run.clone(), points: points.collect() }
    };
    let chart = |metric: Metric| {
        let label = metric.definition().label;
        LineChart {
            title: format!("{images} {label}"),
            x_label: "epoch".to_owned(),
            y_label: label.to_owned(),
            series: compared.runs.iter().map(|run| series(metric, run)).collect(),
            ..LineChart::default()
        }
    };
    vec![chart(Metric::Accuracy), chart(Metric::Loss)]
}

/// The columns of the results: one for each run.
pub fn result_rows(compared: &RunComparison) -> Vec<(&'static str, Vec<String>)> {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    let cells = |cell: &dyn Fn(&ComparedRun) -> String| compared.runs.iter().map(cell).collect::<Vec<String>>();
    let interval = |run: &ComparedRun| {
        run.tested.map_or("-".to_owned(), |tested| {
            let [low, high] = tested.accuracy_interval();
            format!("{low:.4} to {high:.4}")
        })
    };
    vec![
        ("status", cells(&|run| run.overview.status.to_string())),
        ("epochs", cells(&|run| run.overview.epochs.to_string())),
        ("best val_accuracy", cells(&|run| number(run.overview.val_accuracy))),
        ("test accuracy", cells(&|run| number(run.overview.test.map(|test| test.accuracy())))),
        ("95 % interval", cells(&interval)),
        ("test loss", cells(&|run| number(run.overview.test.map(|test| test.loss())))),
        ("seconds", cells(&|run| format!("{:.1}", run.history.iter().map(|row| row.seconds).sum::<f64>()))),
    ]
}

/// What is said of the difference, a paragraph for each test.
pub fn verdicts(compared: &RunComparison) -> Vec<String> {
    match &compared.tests {
        Ok(tests) => tests.iter().flat_map(|test| [test.sentence(), test.loss_sentence()]).collect(),
        Err(why) => vec![format!("no test of the difference: {why}")],
    }
}
