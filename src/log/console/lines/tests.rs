use super::super::super::tensorboard::tests::{batch, epoch, start};
use super::*;

fn validation() -> Option<Scores> {
    Some(Scores::new(0.2987, 0.893))
}

fn run() -> RunProgress {
    let mut run = RunProgress::default();
    run.follow(&Event::Start(start(1)));
    run
}

fn look(columns: usize) -> Look {
    Look { columns, colours: false, memory: Some(320_000_000) }
}

/// The line with a bar that is as wide as it can be.
fn drawn(run: &RunProgress, columns: usize) -> String {
    let line = run.progress_line(look(columns), true).unwrap();
    let room = columns - line.before.chars().count() - line.after.chars().count();
    if line.has_bar { format!("{}{}{}", line.before, "=".repeat(room), line.after) } else { line.before }
}

#[test]
fn a_bar_fits_its_terminal() {
    let mut run = run();
    assert_eq!(drawn(&run, 60), "1/3  =======================================    0 %    0/430");
    run.follow(&Event::Epoch(epoch(1, validation())));
    run.follow(&Event::Batch(batch(2, 215)));
    // 55,000 images at 9,100 a second: 6.04 s, then 1.06 s of validation
    let lines = [
        (
            198,
            "Epoch 2/3  loss 0.3012  accuracy 0.8921  ============================================================\
                 =   50 %  215/430   3.0 s  ETA 0:04   14 ms/step  9.1k images/s  lr 2.00e-3  320 MB  run ETA 0:11",
        ),
        (
            118,
            "Epoch 2/3  loss 0.3012  accuracy 0.8921  ==========   50 %  215/430   3.0 s  ETA 0:04   14 ms/step  \
                 lr 2.00e-3",
        ),
        (78, "Epoch 2/3  loss 0.3012  acc 0.8921  ==========   50 %  215/430  ETA 0:04"),
        (58, "2/3  loss 0.3012  acc 0.8921  ===========   50 %  ETA 0:04"),
        (38, "2/3  loss 0.3012  acc 0.8921   50 %"),
        (12, "2/3   50 %"),
        (3, "2/3"),
    ];
    let shown = lines.map(|(columns, _)| drawn(&run, columns));
    let widths = shown.each_ref().map(|line| line.chars().count());
    for ((columns, line), (shown, width)) in lines.iter().zip(shown.iter().zip(widths)) {
        assert!(width <= *columns, "{shown}");
        let squeezed = |line: &str| line.split('=').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("=");
        assert!(width == *columns || !shown.contains('='), "the bar takes the room that is left: {shown}");
        assert_eq!(squeezed(shown), squeezed(line), "{columns}");
    }
    run.follow(&Event::Validating);
    assert_eq!(drawn(&run, 38), "2/3  loss 0.3012  100 %  validating");
    run.follow(&Event::End);
    assert_eq!(run.progress_line(look(80), true), None);
}

#[test]
fn an_epoch_s_line_fits_its_terminal() {
    let run = run();
    let best = Epoch { is_best: true, ..epoch(2, validation()) };
    let full = "Epoch 2/3  loss 0.3012  accuracy 0.8921  val_loss 0.2987  val_accuracy 0.8930   7.1 s   14 ms/step  \
                    9.1k images/s  lr 2.00e-3";
    let lines = [
        (200, format!("{full}  320 MB  run ETA 0:07  best")),
        (120, full.replace("  9.1k images/s", "") + "  best"),
        (80, "Epoch 2/3  loss 0.3012  acc 0.8921  val_loss 0.2987  val_acc 0.8930   7.1 s  *".to_owned()),
        (60, "2/3  loss 0.3012  acc 0.8921  val_acc 0.8930   7.1 s  *".to_owned()),
        (40, "2/3  loss 0.3012  val_acc 0.8930".to_owned()),
    ];
    for (columns, line) in lines {
        assert_eq!(run.epoch_line(&best, look(columns)), line, "{columns}");
        assert!(line.len() <= columns, "{line}");
    }
    assert_eq!(run.epoch_line(&best, Look::PLAIN), format!("{full}  run ETA 0:07  best"));
    let last = "Epoch 3/3  loss 0.3012  accuracy 0.8921   7.1 s   14 ms/step  9.1k images/s  lr 2.00e-3";
    assert_eq!(run.epoch_line(&epoch(3, None), Look::PLAIN), last);
}

#[test]
fn other_metrics_are_shown_where_there_is_room() {
    let mut epoch = epoch(3, validation());
    epoch.train.set(Metric::Top5Accuracy, 0.9876);
    let line = |columns| run().epoch_line(&epoch, look(columns));
    let full = "Epoch 3/3  loss 0.3012  accuracy 0.8921  top-5 0.9876  val_loss 0.2987  val_accuracy 0.8930   7.1 s   \
                    14 ms/step  9.1k images/s  lr 2.00e-3  320 MB";
    assert_eq!(line(200), full);
    assert_eq!(line(full.len() - 1), full.replace("  top-5 0.9876", ""));
    assert!(!line(99).contains("top-5"));
}

#[test]
fn lines_are_as_wide_in_every_epoch() {
    let run = RunProgress { epochs: 10, ..run() };
    let widths = [(1, 0.0004, 7.1), (9, 0.3, 59.94), (10, 12.5, 3599.0), (10, 123.4, 71.0), (10, f64::NAN, 0.2)].map(
        |(number, loss, seconds)| {
            let scores = Some(Scores::new(loss, 1.0));
            let row = Epoch { epoch: number, seconds, images_per_second: loss * 1e5, ..epoch(1, scores) };
            run.epoch_line(&row, look(90)).chars().count()
        },
    );
    assert_eq!(widths, [widths[0]; 5]);
}
