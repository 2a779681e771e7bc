//! The sections of the page, each from what is known of the run; empty where nothing is.

use super::advice::advise;
use super::html::{code, details, figure, paragraph, table};
use super::pictures;
use super::story::Story;
use crate::data::Split;
use crate::drawing::{LineChart, Series, confusion_matrix, escaped};
use crate::error::describe;
use crate::log::history::HistoryRow;
use crate::metrics::Metric;
use crate::model::thousands;
use crate::run::overview::{RunStatus, value_text};
use crate::run::record::EndedBy;

/// Shares of right answers whose thresholds are shown.
const PRECISIONS: [f64; 4] = [0.9, 0.95, 0.99, 0.999];

/// Points of a curve within epochs.
const MAX_POINTS: usize = 400;

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// `3 h 12 min`, `4 min 5 s`, `12.3 s`.
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// What the run is, in one paragraph.
pub fn lead(story: &Story) -> String {
    let config = &story.record.config;
    let ending = story.record.result.as_ref().and_then(|result| result.ending);
    let status = match (story.overview.status, ending) {
        (RunStatus::Running, _) => "training now",
        (RunStatus::Failed, _) => "failed",
        (RunStatus::Stopped, _) => "stopped: `convnet train --resume` goes on",
        (RunStatus::Done, Some(EndedBy::Patience)) => "done: it stopped as it did not improve any more",
        (RunStatus::Done, Some(EndedBy::Target)) => "done: it reached its target",
        (RunStatus::Done, Some(EndedBy::Time)) => "done: its time was over",
        (RunStatus::Done, Some(EndedBy::Signal | EndedBy::Epochs) | None) => "done",
    };
    let failure =
        story.overview.failure.as_ref().map(|failure| format!("<p class=\"missing\">{}</p>\n", code(failure)));
    let network = config.network.init_from.as_ref().unwrap_or(&config.network.model);
    let text = format!(
        "`{}` on {}, {} of {} epochs, {status}.",
        network,
        story.record.data.name,
        story.history.len(),
        config.training.epochs
    );
    let verdict = story.scores().map(|scores| {
        let [low, high] = scores.interval.map(percent);
        format!(
            " {} of {} {} images are right: {} (95 % interval {low} to {high}).",
            thousands(scores.predictions.num_right() as usize),
            thousands(scores.predictions.len()),
            scores.split,
            percent(scores.accuracy)
        )
    });
    let missing: String =
        story.missing.iter().map(|text| format!("<p class=\"missing\">{}</p>\n", code(text))).collect();
    let missing = failure.unwrap_or_default() + &missing;
    format!("<p class=\"lead\">{}</p>\n{missing}", code(&(text + &verdict.unwrap_or_default())))
}

/// The numbers that are looked for first.
pub fn tiles(story: &Story) -> String {
    let mut tiles: Vec<(String, String, String)> = Vec::new();
    for scores in [&story.test, &story.validation].into_iter().flatten() {
        let [low, high] = scores.interval.map(percent);
        let words = format!("{low} to {high}, {} images", thousands(scores.predictions.len()));
        tiles.push((format!("{} accuracy", scores.split), percent(scores.accuracy), words));
    }
    let result = story.record.result.as_ref();
    if let Some(test) = result.and_then(|result| result.test) {
        tiles.push(("test loss".into(), format!("{:.4}", test.loss()), "nats an image".into()));
    }
    if let Some(scores) = story.scores() {
        let words = format!("mean recall, {} images", scores.split);
        tiles.push(("balanced accuracy".into(), percent(scores.classes.balanced_accuracy), words));
        if let Some(calibration) = &scores.calibration {
            let with = calibration.ece_calibrated.map(|ece| format!("{ece:.4} calibrated"));
            tiles.push(("calibration error".into(), format!("{:.4}", calibration.ece), with.unwrap_or_default()));
        }
    } else if let Some(row) = story.history.last() {
        tiles.push(("training accuracy".into(), percent(row.train.accuracy()), format!("epoch {}", row.epoch)));
        if let Some(validation) = row.validation {
            tiles.push(("validation accuracy".into(), percent(validation.accuracy()), format!("epoch {}", row.epoch)));
        }
    }
    let seconds: f64 = story.history.iter().map(|row| row.seconds).sum();
    if let Some(last) = story.history.last() {
        let speed = format!("{} images a second", thousands(last.images_per_second as usize));
        tiles.push(("time".into(), duration(seconds), speed));
    }
    let tile = |(name, value, words): &(String, String, String)| {
        format!(
            "<div><dt>{}</dt><dd><b>{}</b><small>{}</small></dd></div>\n",
            escaped(name),
            escaped(value),
            escaped(words)
        )
    };
    format!("<dl class=\"tiles\">\n{}</dl>\n", tiles.iter().map(tile).collect::<String>())
}

/// What to try next.
pub fn next(story: &Story) -> String {
    let all = advise(story);
    if all.is_empty() {
        // after an epoch or two, nothing can stand out
        return match story.history.len() < 3 && story.scores().is_none() {
            true => String::new(),
            false => paragraph(
                "Nothing stands out: no overfitting or underfitting, no class apart, no leaked image was found.",
            ),
        };
    }
    let item = |advice: &super::Advice| format!("<li><b>{}.</b> {}</li>\n", escaped(&advice.title), code(&advice.text));
    format!("<ul class=\"advice\">\n{}</ul>\n", all.iter().map(item).collect::<String>())
}

/// Loss, accuracy and learning rate over the epochs.
pub fn curves(story: &Story) -> String {
    let within = within_epochs(story);
    if story.history.is_empty() {
        return within;
    }
    let points = |value: &dyn Fn(&HistoryRow) -> Option<f64>| -> Vec<[f64; 2]> {
        story.history.iter().filter_map(|row| Some([row.epoch as f64, value(row)?])).collect()
    };
    let chart = |title: &str, y_label: &str, metric: Metric| {
        let train = Series { name: "training".into(), points: points(&|row| row.train.get(metric)) };
        let validation = Series {
            name: "validation".into(),
            points: points(&|row| row.validation.and_then(|scores| scores.get(metric))),
        };
        let series = [train, validation].into_iter().filter(|series| !series.points.is_empty()).collect();
        let (title, y_label) = (title.to_owned(), y_label.to_owned());
        LineChart { title, x_label: "epoch".into(), y_label, series, ..LineChart::default() }.draw()
    };
    let rate = LineChart {
        title: "Learning rate".into(),
        x_label: "epoch".into(),
        y_label: "rate of the epoch's last step".into(),
        series: vec![Series { name: "learning rate".into(), points: points(&|row| Some(row.learning_rate)) }],
        ..LineChart::default()
    };
    let dropout =
        "Training scores are running means over the epoch, with dropout and augmentation: validation may be better.";
    let mut html = "<div class=\"figures\">\n".to_owned();
    html += &figure(&chart("Loss", "nats an image", Metric::Loss), dropout);
    html += &figure(&chart("Accuracy", "share of images", Metric::Accuracy), "The share of images that are right.");
    html += &figure(&rate.draw(), "The learning rate at each epoch's end.");
    html + &within + "</div>\n" + &details("All epochs", &epochs(&story.history))
}

/// The training loss while epochs go on: what there is of the first one, too.
fn within_epochs(story: &Story) -> String {
    let record = &story.record;
    let per_epoch = record.data.train.div_ceil(record.config.training.batch_size.max(1)).max(1) as f64;
    let losses = &story.batch_losses;
    if losses.len() < 2 {
        return String::new();
    }
    let every = losses.len().div_ceil(MAX_POINTS);
    let points = losses.iter().step_by(every).map(|&(step, loss)| [step as f64 / per_epoch, loss]).collect();
    let chart = LineChart {
        title: "Training loss within epochs".into(),
        x_label: "epochs".into(),
        y_label: "nats an image".into(),
        series: vec![Series { name: "running mean of the epoch".into(), points }],
        ..LineChart::default()
    };
    figure(&chart.draw(), "The mean begins again with each epoch.")
}

fn epochs(history: &[HistoryRow]) -> String {
    let number =
        |value: Option<f64>, decimals: usize| value.map_or("–".into(), |value| format!("{value:.decimals$}"));
    let row = |row: &HistoryRow| {
        let validation = |metric| row.validation.and_then(|scores| scores.get(metric));
        vec![
            row.epoch.to_string(),
            number(row.train.get(Metric::Loss), 4),
            number(row.train.get(Metric::Accuracy), 4),
            number(validation(Metric::Loss), 4),
            number(validation(Metric::Accuracy), 4),
            format!("{:.2e}", row.learning_rate),
            format!("{:.1}", row.seconds),
            thousands(row.images_per_second as usize),
        ]
    };
    let head = ["epoch", "loss", "accuracy", "val. loss", "val. accuracy", "rate", "seconds", "images/s"];
    table("Epochs", &head, &history.iter().map(row).collect::<Vec<_>>())
}

/// The confusion matrix and the scores of each class.
pub fn classes(story: &Story) -> String {
    let Some(scores) = story.scores() else { return String::new() };
    let labels = &story.record.data.classes;
    let title = format!("Confusion matrix, {} images", scores.split);
    let confusion = scores.predictions.confusion();
    let words = "Rows are true classes, columns predicted ones; a cell's shade is its share of the row.";
    let area = |area: Option<f64>| area.map_or("–".to_owned(), |area| format!("{area:.4}"));
    let row = |class: &crate::evaluate::ClassScores| {
        let [low, high] = class.recall_interval.unwrap_or([f64::NAN; 2]);
        vec![
            class.label.clone(),
            format!("{:.4}", class.precision),
            format!("{:.4}", class.recall),
            if class.support > 0 { format!("{low:.3} to {high:.3}") } else { "–".into() },
            format!("{:.4}", class.f1),
            area(class.average_precision),
            area(class.roc_auc),
            class.support.to_string(),
        ]
    };
    let mut rows: Vec<Vec<String>> = scores.classes.classes.iter().map(row).collect();
    for (name, mean) in [("macro mean", scores.classes.macro_mean), ("weighted mean", scores.classes.weighted_mean)] {
        let none = || "–".to_owned();
        let numbers = [mean.precision, mean.recall, mean.f1].map(|value| format!("{value:.4}"));
        let [precision, recall, f1] = numbers;
        rows.push(vec![
            name.into(),
            precision,
            recall,
            none(),
            f1,
            none(),
            none(),
            scores.predictions.len().to_string(),
        ]);
    }
    let head = ["class", "precision", "recall", "recall, 95 %", "F1", "avg. precision", "ROC AUC", "images"];
    figure(&confusion_matrix(labels, &confusion, &title), words)
        + &table(&format!("Scores of each class, {} images", scores.split), &head, &rows)
}

/// The mistakes that the model is surest of, where the images are at hand.
pub fn mistakes(story: &Story) -> String {
    let Some((scores, images)) = story.scores().zip(story.images.as_ref()) else { return String::new() };
    let samples = match scores.split {
        Split::Test => images.test.as_ref(),
        Split::Validation => images.validation.as_ref(),
        Split::Train => Some(&images.train),
    };
    let Some(samples) = samples.filter(|samples| samples.len() == scores.predictions.len()) else {
        return String::new();
    };
    if scores.predictions.num_right() == scores.predictions.len() as u64 {
        return paragraph("There are none.");
    }
    match pictures::mistakes(scores, samples, &story.record.data.classes) {
        Ok(list) => {
            let words = "What the model says in bold, what is true below: those first that it is surest of. Many of them are \
                         labels that may be wrong, or images that people could not tell either.";
            paragraph(words) + &list
        }
        Err(error) => paragraph(&format!("The images cannot be shown: {}.", describe(&error))),
    }
}

/// The training images whose labels are probably wrong.
pub fn suspects(story: &Story) -> String {
    let Some(suspects) = &story.suspects else { return String::new() };
    let words = format!(
        "In the mean over {} epochs another class was ahead of the label of {} of {} training images. The first of them, with the \
         label that they have in bold: `convnet data suspects {}` lists them all, in a form that `exclude` takes.",
        suspects.epochs,
        thousands(suspects.num_negative),
        thousands(suspects.ranking.len()),
        suspects.run
    );
    match pictures::suspects(suspects) {
        Ok(list) => paragraph(&words) + &list,
        Err(error) => paragraph(&format!("The images cannot be shown: {}.", describe(&error))),
    }
}

/// Whether confidence is accuracy, and what abstaining comes to.
pub fn calibration(story: &Story) -> String {
    let Some(scores) = story.scores() else { return String::new() };
    let Some(report) = &scores.calibration else { return String::new() };
    let mut html = figure(
        &report.diagram(&format!("Reliability, {} images", scores.split)),
        "Bars on the dashed line: the model is as often right as it is sure.",
    );
    let Some(kept) = &story.calibration else { return html };
    let rows: Vec<Vec<String>> = PRECISIONS
        .iter()
        .filter_map(|&precision| {
            let threshold = kept.threshold(precision).ok()?;
            let [low, high] = threshold.interval().map(percent);
            Some(vec![
                percent(precision),
                format!("{:.4}", threshold.confidence),
                percent(threshold.kept as f64 / kept.images.max(1) as f64),
                percent(threshold.precision()),
                format!("{low} to {high}"),
            ])
        })
        .collect();
    if !rows.is_empty() {
        let head = ["right at least", "above a probability of", "images kept", "of those right", "95 % interval"];
        html += &paragraph(&format!(
            "With the temperature {:.3} (`convnet predict --calibrated`), and abstaining below a threshold \
             (`convnet predict --min-precision 0.99`), measured on {} validation images:",
            kept.temperature,
            thousands(kept.images as usize)
        ));
        html += &table("What abstaining comes to", &head, &rows);
    }
    html
}

/// How many images there are, and what is wrong with them.
pub fn data(story: &Story) -> String {
    let record = &story.record.data;
    let counts = [("training", Some(record.train)), ("validation", record.validation), ("test", record.test)];
    let counts = counts.iter().filter_map(|(name, count)| Some(format!("{} {name}", thousands((*count)?))));
    let mut html = paragraph(&format!("{}: {} images.", record.name, counts.collect::<Vec<_>>().join(", ")));
    let Some(facts) = &story.data else { return html };
    html += &paragraph(&match &facts.found {
        Some(found) if found.line().is_empty() => "No duplicates, leaks or broken images were found.".to_owned(),
        Some(found) => format!("Found: {}. `convnet data check` lists them.", found.line()),
        None => "The images are not in memory: they were not compared with one another.".to_owned(),
    });
    let head: Vec<String> = facts.counts.iter().map(|(split, _)| split.to_string()).collect();
    let head: Vec<&str> = std::iter::once("class").chain(head.iter().map(String::as_str)).collect();
    let row = |(class, name): (usize, &String)| {
        let counts = facts.counts.iter().map(|(_, counts)| counts[class].to_string());
        std::iter::once(name.clone()).chain(counts).collect()
    };
    html + &details(
        "Images of each class",
        &table("Images of each class", &head, &record.classes.iter().enumerate().map(row).collect::<Vec<_>>()),
    )
}

/// What was asked for, where it is not the default, and all of it.
pub fn settings(story: &Story) -> String {
    let given = story.overview.given_settings().unwrap_or_default(); // plain values: they can always be had
    let rows: Vec<Vec<String>> = given.iter().map(|(key, value)| vec![key.clone(), value_text(value)]).collect();
    let mut html = match rows.is_empty() {
        true => paragraph("All settings are the defaults."),
        false => table("Settings that are not the defaults", &["setting", "value"], &rows),
    };
    if let Ok(all) = story.record.config.keys() {
        let rows: Vec<Vec<String>> = all.iter().map(|(key, value)| vec![key.clone(), value_text(value)]).collect();
        html += &details("All settings", &table("All settings", &["setting", "value"], &rows));
    }
    html
}

/// What computed, and where it lies.
pub fn environment(story: &Story) -> String {
    let record = &story.record;
    let mut rows = vec![
        ("device", record.gpu.clone().unwrap_or_else(|| record.device.clone())),
        ("threads", record.threads.map_or("–".into(), |threads| threads.to_string())),
        ("parameters", thousands(record.parameters)),
        ("convnet", record.versions.convnet.clone()),
        ("libtorch", record.versions.libtorch.clone()),
        ("tch", record.versions.tch.clone()),
    ];
    if let Some(result) = &record.result {
        rows.push(("model", result.model.clone()));
        rows.extend(result.weights_sha256.clone().map(|sha256| ("weights' SHA-256", sha256)));
    }
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    table("What it was computed with", &["what", "which"], &rows)
}
