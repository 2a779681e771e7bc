use std::time::Duration;

use super::super::tensorboard::tests::{batch, epoch, start};
use super::*;

#[test]
fn lines_within_an_epoch_are_thinned() {
    let mut run = RunProgress::default();
    let begin = Instant::now();
    let mut last = begin;
    let mut line = |event: Event, second| {
        run.follow(&event);
        plain_line(&run, &event, &mut last, begin + Duration::from_secs(second))
    };
    assert_eq!(line(Event::Start(start(1)), 0), None);
    assert_eq!(line(Event::Batch(batch(1, 100)), 29), None);
    let shown = "Epoch 1/3  loss 0.3012  accuracy 0.8921   46 %  200/430   2.8 s  ETA 0:03   14 ms/step  9.1k images/s  \
                     lr 2.00e-3  run ETA 0:15";
    assert_eq!(line(Event::Batch(batch(1, 200)), 30).as_deref(), Some(shown));
    assert_eq!(line(Event::Batch(batch(1, 300)), 59), None);
    assert_eq!(line(Event::Validating, 100), None);
    assert!(line(Event::Epoch(epoch(1, None)), 101).is_some_and(|line| line.starts_with("Epoch 1/3  loss")));
    assert_eq!(line(Event::Batch(batch(2, 1)), 102), None);
    let warning = Event::Warning("the log's disk is full".to_owned());
    assert_eq!(line(warning, 103).as_deref(), Some("warning: the log's disk is full"));
    assert_eq!(line(Event::End, 200), None);
}
