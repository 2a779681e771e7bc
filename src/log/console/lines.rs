//! The lines that show a run's progress: text from what is known of the run, cut to a width.

use super::super::{Batch, Epoch, Event, Start};

/// Terminals narrower than this get `acc` for `accuracy` and `img/s` for `images/s`: the lines suit 80 columns then.
const WIDE_COLUMNS: usize = 90;

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
                let training_seconds = self.num_images as f64 / epoch.images_per_second;
                self.validation_seconds = (epoch.seconds - training_seconds).max(0.0);
                self.epoch = (epoch.epoch < self.epochs).then_some(epoch.epoch + 1);
                (self.batch, self.validating) = (None, false);
            }
            Event::Saving | Event::Warning(_) => {}
            Event::End => self.epoch = None,
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.epoch.is_some()
    }

    /// `Epoch  3/10`, as wide for every epoch.
    fn head(&self, epoch: u64) -> String {
        format!("Epoch {epoch:>width$}/{}", self.epochs, width = self.epochs.to_string().len())
    }

    /// Where the epoch stands, with a bar and cut to `columns` where that is given; none where no epoch is under way.
    pub(super) fn progress_line(&self, columns: Option<usize>) -> Option<String> {
        let epoch = self.epoch?;
        let steps = self.steps_per_epoch;
        let batch = if self.validating { steps } else { self.batch.map_or(0, |batch| batch.batch) };
        let mut fields = Fields::new(self.head(epoch), columns.unwrap_or(usize::MAX));
        if let Some(columns) = columns {
            fields.push(5, draw_bar(batch, steps, if columns < WIDE_COLUMNS { 7 } else { 20 }));
        }
        fields.push(1, format!("{batch:>width$}/{steps}", width = steps.to_string().len()));
        if let Some(Batch { scores, images_per_second, .. }) = self.batch {
            fields.push(2, format!("{} loss", metric(scores.loss)));
            fields.push(4, format!("{:.4} {}", scores.accuracy, fields.accuracy));
            fields.push(6, format!("{} {}", rate(images_per_second), fields.images_per_second));
            if !self.validating {
                let (of_epoch, of_run) = self.seconds_left(epoch, batch, images_per_second);
                fields.push(3, format!("ETA {}", clock(of_epoch)));
                fields.push(7, format!("run ETA {}", clock(of_run)));
            }
        }
        if self.validating {
            fields.push(1, "validating".to_owned());
        }
        Some(fields.fit())
    }

    /// What an epoch came to: the line that stays.
    pub(super) fn epoch_line(&self, epoch: &Epoch, columns: usize) -> String {
        let mut fields = Fields::new(self.head(epoch.epoch), columns);
        let accuracy = fields.accuracy;
        fields.push(2, format!("loss {}", metric(epoch.train.loss)));
        fields.push(4, format!("{accuracy} {:.4}", epoch.train.accuracy));
        if let Some(scores) = epoch.validation {
            fields.push(3, format!("val_loss {}", metric(scores.loss)));
            fields.push(1, format!("val_{accuracy} {:.4}", scores.accuracy));
        }
        fields.push(5, duration(epoch.seconds));
        fields.push(6, format!("{} {}", rate(epoch.images_per_second), fields.images_per_second));
        if epoch.epoch < self.epochs {
            fields.push(7, format!("run ETA {}", clock((self.epochs - epoch.epoch) as f64 * epoch.seconds)));
        }
        fields.fit()
    }

    /// Seconds to the end of `epoch` and of the run, with `batch` batches of the epoch done: validation takes what it took
    /// before.
    fn seconds_left(&self, epoch: u64, batch: u64, images_per_second: f64) -> (f64, f64) {
        let training = self.num_images as f64 / images_per_second;
        let done = batch as f64 / self.steps_per_epoch.max(1) as f64;
        let of_epoch = training * (1.0 - done) + self.validation_seconds;
        let later_epochs = self.epochs.saturating_sub(epoch) as f64;
        (of_epoch, of_epoch + later_epochs * (training + self.validation_seconds))
    }
}

/// A line's fields, each with a rank: where the line is too wide, the field with the highest rank goes first.
struct Fields {
    columns: usize,
    /// The word for accuracy.
    accuracy: &'static str,
    /// The words for images a second.
    images_per_second: &'static str,
    fields: Vec<(u8, String)>,
}

impl Fields {
    fn new(head: String, columns: usize) -> Self {
        let (accuracy, images_per_second) =
            if columns < WIDE_COLUMNS { ("acc", "img/s") } else { ("accuracy", "images/s") };
        Fields { columns, accuracy, images_per_second, fields: vec![(0, head)] }
    }

    fn push(&mut self, rank: u8, text: String) {
        self.fields.push((rank, text));
    }

    fn fit(mut self) -> String {
        loop {
            let line = self.fields.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("  ");
            let last_rank = self.fields.iter().map(|(rank, _)| *rank).max().unwrap_or(0);
            if last_rank == 0 || line.chars().count() <= self.columns {
                return line.chars().take(self.columns).collect();
            }
            self.fields.retain(|(rank, _)| *rank < last_rank);
        }
    }
}

/// `[====>     ]` with `width` characters inside.
fn draw_bar(done: u64, total: u64, width: usize) -> String {
    let filled = (done as f64 / total.max(1) as f64 * width as f64) as usize;
    let head = if (1..total).contains(&done) { ">" } else { "" };
    let filled = "=".repeat(filled.min(width));
    format!("[{:<width$}]", filled + head)
}

/// A loss, 6 characters wide.
fn metric(value: f64) -> String {
    let digits = match value.abs() {
        size if size == 0.0 || (0.001..9.99995).contains(&size) => 4,
        size if (9.99995..99.9995).contains(&size) => 3,
        size if (99.9995..999.995).contains(&size) => 2,
        size if size.is_finite() => return format!("{:>6}", format!("{value:.1e}")),
        _ => 0,
    };
    format!("{value:>6.digits$}")
}

/// Images a second with two digits or more, 4 characters wide: `9.1k`.
fn rate(images_per_second: f64) -> String {
    let (value, unit) = match images_per_second {
        rate if rate < 999.5 => (rate, ""),
        rate if rate < 999_500.0 => (rate / 1e3, "k"),
        rate => (rate / 1e6, "M"),
    };
    let digits = if value < 9.95 { 1 } else { 0 };
    format!("{:>4}", format!("{value:.digits$}{unit}"))
}

/// Seconds below a minute, else a clock; 6 characters wide.
fn duration(seconds: f64) -> String {
    let text = if seconds < 59.95 { format!("{seconds:.1} s") } else { clock(seconds) };
    format!("{text:>6}")
}

/// `0:07`, `1:02:03`; `-` where the time is not known.
fn clock(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "-".to_owned();
    }
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::super::super::Scores;
    use super::super::super::tensorboard::tests::{batch, epoch, start};
    use super::*;

    const VALIDATION: Option<Scores> = Some(Scores { loss: 0.2987, accuracy: 0.893 });

    fn run() -> RunProgress {
        let mut run = RunProgress::default();
        run.follow(&Event::Start(start(1)));
        run
    }

    #[test]
    fn a_bar_fits_its_terminal() {
        let mut run = run();
        assert_eq!(run.progress_line(Some(80)).unwrap(), "Epoch 1/3  [       ]    0/430");
        run.follow(&Event::Epoch(epoch(1, VALIDATION)));
        run.follow(&Event::Batch(batch(2, 215)));
        // 55,000 images at 9,100 a second: 6.04 s, then 1.06 s of validation
        let lines = [
            (
                120,
                "Epoch 2/3  [==========>         ]  215/430  0.3012 loss  0.8921 accuracy  9.1k images/s  ETA 0:04  run ETA 0:11",
            ),
            (80, "Epoch 2/3  [===>   ]  215/430  0.3012 loss  0.8921 acc  9.1k img/s  ETA 0:04"),
            (40, "Epoch 2/3  215/430  0.3012 loss"),
            (12, "Epoch 2/3"),
            (3, "Epo"),
        ];
        for (columns, line) in lines {
            assert_eq!(run.progress_line(Some(columns)).unwrap(), line, "{columns}");
        }
        run.follow(&Event::Validating);
        let shown = run.progress_line(Some(80)).unwrap();
        assert_eq!(shown, "Epoch 2/3  [=======]  430/430  0.3012 loss  0.8921 acc  9.1k img/s  validating");
        assert_eq!(run.progress_line(Some(40)).unwrap(), "Epoch 2/3  430/430  validating");
        run.follow(&Event::End);
        assert_eq!(run.progress_line(Some(80)), None);
    }

    #[test]
    fn an_epoch_s_line_fits_its_terminal() {
        let run = run();
        let lines = [
            (
                usize::MAX,
                "Epoch 2/3  loss 0.3012  accuracy 0.8921  val_loss 0.2987  val_accuracy 0.8930   7.1 s  9.1k images/s  run ETA 0:07",
            ),
            (
                100,
                "Epoch 2/3  loss 0.3012  accuracy 0.8921  val_loss 0.2987  val_accuracy 0.8930   7.1 s  9.1k images/s",
            ),
            (80, "Epoch 2/3  loss 0.3012  acc 0.8921  val_loss 0.2987  val_acc 0.8930   7.1 s"),
            (40, "Epoch 2/3  loss 0.3012  val_acc 0.8930"),
        ];
        for (columns, line) in lines {
            assert_eq!(run.epoch_line(&epoch(2, VALIDATION), columns), line, "{columns}");
        }
        let last = "Epoch 3/3  loss 0.3012  accuracy 0.8921   7.1 s  9.1k images/s";
        assert_eq!(run.epoch_line(&epoch(3, None), usize::MAX), last);
    }

    #[test]
    fn lines_are_as_wide_in_every_epoch() {
        let run = RunProgress { epochs: 10, ..run() };
        let widths = [(1, 0.0004, 7.1), (9, 0.3, 59.94), (10, 12.5, 3599.0), (10, 123.4, 71.0), (10, f64::NAN, 0.2)]
            .map(|(number, loss, seconds)| {
                let scores = Some(Scores { loss, accuracy: 1.0 });
                let row = Epoch { epoch: number, seconds, images_per_second: loss * 1e5, ..epoch(1, scores) };
                run.epoch_line(&row, 100).len()
            });
        assert_eq!(widths, [widths[0]; 5]);
    }

    #[test]
    fn quantities_keep_their_width() {
        let losses = [
            (0.0, "0.0000"),
            (0.30123, "0.3012"),
            (9.99996, "10.000"),
            (12.34567, "12.346"),
            (999.999, " 1.0e3"),
            (4242.0, " 4.2e3"),
            (9e-5, "9.0e-5"),
            (f64::NAN, "   NaN"),
        ];
        for (loss, text) in losses {
            assert_eq!(metric(loss), text);
        }
        let rates = [
            (3.11, " 3.1"),
            (9.96, "  10"),
            (912.3, " 912"),
            (9_100.0, "9.1k"),
            (999_400.0, "999k"),
            (1.25e6, "1.2M"),
            (0.0, " 0.0"),
        ];
        for (value, text) in rates {
            assert_eq!(rate(value), text);
        }
        let times = [(7.06, " 7.1 s"), (59.96, "  1:00"), (3723.0, "1:02:03")];
        for (seconds, text) in times {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!([clock(f64::INFINITY), clock(6.6)], ["-", "0:07"]);
        assert_eq!([draw_bar(0, 0, 4), draw_bar(9, 4, 4), draw_bar(3, 4, 4)], ["[    ]", "[====]", "[===>]"]);
    }
}
