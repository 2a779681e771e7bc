use super::*;
use crate::metrics::Scores;

/// Epochs with these `[loss, accuracy, val_loss, val_accuracy]`.
fn rows(scores: &[[f64; 4]]) -> Vec<HistoryRow> {
    let row = |(epoch, &[loss, accuracy, val_loss, val_accuracy]): (u64, &[f64; 4])| HistoryRow {
        epoch,
        train: Scores::new(loss, accuracy),
        validation: Some(Scores::new(val_loss, val_accuracy)),
        learning_rate: 0.002,
        seconds: 1.0,
        images_per_second: 1000.0,
    };
    (1..).zip(scores).map(row).collect()
}

/// Learns as it should.
fn healthy() -> Vec<HistoryRow> {
    rows(&[[0.6, 0.80, 0.5, 0.82], [0.4, 0.86, 0.4, 0.86], [0.3, 0.90, 0.35, 0.89], [0.28, 0.91, 0.34, 0.892]])
}

#[test]
fn a_healthy_run_needs_no_advice() {
    assert_eq!((diverging(&healthy()), overfitting(&healthy()), underfitting(&healthy())), (None, None, None));
    for few in [&[][..], &healthy()[..1], &healthy()[..2]] {
        assert_eq!((diverging(few), overfitting(few), underfitting(few)), (None, None, None));
    }
}

#[test]
fn overfitting_is_a_gap_or_a_loss_that_rises_again() {
    let gap = rows(&[[0.5, 0.85, 0.5, 0.84], [0.1, 0.99, 0.5, 0.87]]);
    assert!(overfitting(&gap).unwrap().text.contains("99.0 % of the training images are right, but 87.0 %"));
    let rising = rows(&[[0.5, 0.85, 0.4, 0.87], [0.3, 0.89, 0.36, 0.88], [0.25, 0.91, 0.45, 0.88]]);
    assert!(overfitting(&rising).unwrap().text.contains("lowest in epoch 2 (0.360) and is 0.450 now"));
}

#[test]
fn a_rate_that_is_too_high_shows_in_the_training_loss() {
    let jumping = rows(&[[2.3, 0.1, 2.3, 0.1], [2.9, 0.1, 2.5, 0.1], [2.2, 0.12, 2.4, 0.1], [3.5, 0.1, 2.9, 0.1]]);
    assert!(diverging(&jumping).unwrap().text.contains("rose in 2 of 4 epochs"));
    let spoilt = rows(&[[2.3, 0.1, 2.3, 0.1], [f64::NAN, 0.1, 2.5, 0.1]]);
    assert_eq!(diverging(&spoilt), None, "a run whose loss is not finite has ended with its own words");
}

#[test]
fn underfitting_is_a_training_accuracy_that_stays_low() {
    let flat = rows(&[
        [1.5, 0.5, 1.5, 0.5],
        [1.2, 0.6, 1.2, 0.6],
        [1.1, 0.62, 1.1, 0.6],
        [1.1, 0.621, 1.1, 0.6],
        [1.1, 0.622, 1.1, 0.6],
    ]);
    assert!(underfitting(&flat).unwrap().text.contains("Only 62.2 %"));
}
