//! The lines that show a run's progress: text from what is known of the run, in the same order in the bar's line and in an
//! epoch's.

use super::super::{Batch, Epoch, Event, Start};
use super::fields::{Fields, Line, Paint, Wording, bytes, clock, count, duration, percent, rate, step_time};
use crate::metrics::{Metric, Scores};

/// Above all others: metrics beside loss and accuracy go first where there is no room.
const OTHER_METRICS_RANK: u8 = 13;

/// What the lines are made of.
#[derive(Default)]
pub(super) struct RunProgress {
    epochs: u64,
    steps_per_epoch: u64,
    num_images: u64,
    /// The epoch that is under way, from 1: none before the start, after the last one and after the end.
    epoch: Option<u64>,
    /// The epoch's newest batch.
    batch: Option<Batch>,
    validating: bool,
    /// What validation took in the epoch before, in seconds.
    validation_seconds: f64,
}

/// How a line is to look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// How wide it may be.
    pub columns: usize,
    /// Whether it may have colours.
    pub colours: bool,
    /// The memory that the process has used at most, in bytes, where it is shown.
    pub memory: Option<u64>,
}

impl Look {
    /// Of lines in a log.
    pub const PLAIN: Look = Look { columns: usize::MAX, colours: false, memory: None };
}

impl RunProgress {
    pub(super) fn follow(&mut self, event: &Event) {
        match event {
            Event::Start(Start { epochs, steps_per_epoch, num_images, first_epoch, .. }) => {
                *self = RunProgress {
                    epochs: *epochs,
                    steps_per_epoch: *steps_per_epoch,
                    num_images: *num_images,
                    epoch: Some(*first_epoch),
                    ..RunProgress::default()
                }
            }
            Event::Batch(batch) => self.batch = Some(*batch),
            Event::Validating => self.validating = true,
            Event::Epoch(epoch) => {
                self.validation_seconds = (epoch.seconds - self.training_seconds(epoch.images_per_second)).max(0.0);
                self.epoch = (epoch.epoch < self.epochs).then_some(epoch.epoch + 1);
                (self.batch, self.validating) = (None, false);
            }
            Event::Saving | Event::Testing { .. } | Event::Note(_) | Event::Detail(_) | Event::Warning(_) => {}
            Event::Validated(_) | Event::Distributions(_) | Event::Over { .. } => {}
            Event::End => self.epoch = None,
        }
    }

    /// Batches that the epoch under way has done, and all of its batches.
    pub(super) fn steps(&self) -> (u64, u64) {
        let all = self.steps_per_epoch;
        (if self.validating { all } else { self.batch.map_or(0, |batch| batch.batch) }, all)
    }

    /// What an epoch's batches take, in seconds.
    fn training_seconds(&self, images_per_second: f64) -> f64 {
        self.num_images as f64 / images_per_second
    }

    /// `Epoch  3/10`, as wide for every epoch.
    fn head(&self, epoch: u64, columns: usize) -> String {
        let number = count(epoch, self.epochs);
        if Wording::of(columns) == Wording::Short { number } else { format!("Epoch {number}") }
    }

    /// Where the epoch stands, with a bar or without; none where no epoch is under way.
    pub(super) fn progress_line(&self, look: Look, with_bar: bool) -> Option<Line> {
        let epoch = self.epoch?;
        let (done, all) = self.steps();
        let mut fields = Fields::new(self.head(epoch, look.columns), look.columns);
        if let Some(Batch { scores, .. }) = self.batch {
            push_scores(&mut fields, scores, "", Wording::of(look.columns), [2, 3]);
        }
        if with_bar {
            fields.push_bar(5);
        }
        fields.push(1, percent(done, all));
        fields.push(6, count(done, all));
        if self.validating {
            fields.push(1, "validating".to_owned());
        }
        if let Some(batch) = self.batch {
            let training = self.training_seconds(batch.images_per_second);
            let left = (!self.validating).then(|| self.seconds_left(epoch, batch.batch, batch.images_per_second));
            fields.push(8, duration(training * batch.batch as f64 / all.max(1) as f64));
            if let Some((of_epoch, _)) = left {
                fields.push(4, format!("ETA {}", clock(of_epoch)));
            }
            let speed = Speed { learning_rate: batch.learning_rate, images_per_second: batch.images_per_second };
            self.push_speed(&mut fields, speed, look, [7, 10, 9, 12]);
            if let Some((_, of_run)) = left {
                fields.paint(11, format!("run ETA {}", clock(of_run)), Paint::Dim);
            }
        }
        Some(fields.fit(look.colours))
    }

    /// What an epoch came to: the line that stays.
    pub(super) fn epoch_line(&self, epoch: &Epoch, look: Look) -> String {
        let wording = Wording::of(look.columns);
        let mut fields = Fields::new(self.head(epoch.epoch, look.columns), look.columns);
        push_scores(&mut fields, epoch.train, "", wording, [2, 3]);
        if let Some(scores) = epoch.validation {
            push_scores(&mut fields, scores, "val_", wording, [6, 1]);
        }
        fields.push(4, duration(epoch.seconds));
        let speed = Speed { learning_rate: epoch.learning_rate, images_per_second: epoch.images_per_second };
        self.push_speed(&mut fields, speed, look, [7, 9, 8, 11]);
        if epoch.epoch < self.epochs {
            let left = (self.epochs - epoch.epoch) as f64 * epoch.seconds;
            fields.paint(10, format!("run ETA {}", clock(left)), Paint::Dim);
        }
        if epoch.is_best {
            let mark = if wording == Wording::Full { "best" } else { "*" };
            fields.paint(5, mark.to_owned(), Paint::Good);
        }
        fields.fit(look.colours).before
    }

    /// Time of a step, images a second, learning rate and memory, with their ranks.
    fn push_speed(&self, fields: &mut Fields, speed: Speed, look: Look, ranks: [u8; 4]) {
        let unit = Wording::of(look.columns).images_per_second();
        let of_step = self.training_seconds(speed.images_per_second) / self.steps_per_epoch.max(1) as f64;
        fields.push(ranks[0], step_time(of_step));
        fields.paint(ranks[1], format!("{} {unit}", rate(speed.images_per_second)), Paint::Dim);
        fields.paint(ranks[2], format!("lr {:.2e}", speed.learning_rate), Paint::Dim);
        if let Some(memory) = look.memory {
            fields.paint(ranks[3], bytes(memory), Paint::Dim);
        }
    }

    /// Seconds to the end of `epoch` and of the run, with `batch` batches of the epoch done: validation takes what it took
    /// before.
    fn seconds_left(&self, epoch: u64, batch: u64, images_per_second: f64) -> (f64, f64) {
        let training = self.training_seconds(images_per_second);
        let done = batch as f64 / self.steps_per_epoch.max(1) as f64;
        let of_epoch = training * (1.0 - done) + self.validation_seconds;
        let later_epochs = self.epochs.saturating_sub(epoch) as f64;
        (of_epoch, of_epoch + later_epochs * (training + self.validation_seconds))
    }
}

/// How fast it goes.
struct Speed {
    learning_rate: f64,
    images_per_second: f64,
}

/// The scores, loss and accuracy with their ranks; others are the first to go.
fn push_scores(fields: &mut Fields, scores: Scores, prefix: &str, wording: Wording, [loss, accuracy]: [u8; 2]) {
    for (metric, value) in scores.iter() {
        let rank = match metric {
            Metric::Loss => loss,
            Metric::Accuracy => accuracy,
            _ => OTHER_METRICS_RANK,
        };
        if let Some(label) = wording.label(metric) {
            fields.push(rank, format!("{prefix}{label} {}", (metric.definition().format)(value)));
        }
    }
}

#[cfg(test)]
mod tests;
