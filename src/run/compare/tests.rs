use super::*;
use crate::metrics::Scores;

fn row(epoch: u64, loss: f64) -> HistoryRow {
    HistoryRow {
        epoch,
        train: Scores::new(loss, 0.5),
        validation: Some(Scores::new(1.0, 0.25)),
        learning_rate: 0.1,
        seconds: 0.0,
        images_per_second: 0.0,
    }
}

#[test]
fn the_first_number_that_differs_is_named() {
    let before = [row(1, 0.5), row(2, 0.25)];
    assert_eq!(first_difference(&before, &before), None);
    let now = [row(1, 0.5), HistoryRow { validation: Some(Scores::new(1.0, 0.3)), ..row(2, 0.25) }];
    let difference = first_difference(&before, &now).unwrap();
    assert_eq!((difference.epoch, difference.number.as_str()), (Some(2), "val_accuracy"));
    assert_eq!((difference.before, difference.now), (json!(0.25), json!(0.3)));
    let nearly = [row(1, f64::from_bits(0.5f64.to_bits() + 1)), row(2, 0.25)];
    assert_eq!(first_difference(&before, &nearly).unwrap().epoch, Some(1));
    assert_eq!(first_difference(&before, &before[..1]).unwrap().number, "epoch");
}
