use super::super::tensorboard::tests::epoch;
use super::*;

const METRICS: [Metric; 2] = [Metric::Loss, Metric::Accuracy];

fn validation(loss: f64) -> Option<Scores> {
    Some(Scores::new(loss, 0.1 + 0.2))
}

fn val_loss(row: &HistoryRow) -> Option<f64> {
    row.validation.map(Scores::loss)
}

#[test]
fn lines_are_plain_csv_and_there_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.csv");
    let mut sink = HistorySink::create(&path, &METRICS).unwrap();
    sink.on(&Event::Epoch(epoch(1, None))).unwrap();
    sink.on(&Event::Validating).unwrap();
    sink.on(&Event::Epoch(epoch(2, validation(0.25)))).unwrap();
    let expected = "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds,images_per_second\n\
                        1,0.3012,0.8921,,,0.002,7.1,9100.0\n\
                        2,0.3012,0.8921,0.25,0.30000000000000004,0.002,7.1,9100.0\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(HistorySink::create(&path, &METRICS).unwrap_err().kind(), crate::error::ErrorKind::Config);
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
}

#[test]
fn floats_read_back_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.csv");
    let mut sink = HistorySink::create(&path, &METRICS).unwrap();
    let losses =
        [1.0 / 3.0, f64::MIN_POSITIVE, 5e-324, f64::MAX, 1e-7, 123_456_789.123_456_79, f64::INFINITY, f64::NAN];
    for loss in losses {
        sink.on(&Event::Epoch(epoch(1, validation(loss)))).unwrap();
    }
    let rows = read(&path).unwrap();
    let bits: Vec<u64> = rows.iter().map(|row| val_loss(row).unwrap().to_bits()).collect();
    assert_eq!(bits, losses.map(f64::to_bits));
    assert_eq!(rows[0], HistoryRow::from(&epoch(1, validation(losses[0]))));
}

#[test]
fn resuming_drops_later_epochs_and_a_torn_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.csv");
    let mut sink = HistorySink::create(&path, &METRICS).unwrap();
    for number in 1..=4 {
        sink.on(&Event::Epoch(epoch(number, validation(0.5)))).unwrap();
    }
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{whole}5,0.1,0.")).unwrap();
    assert_eq!(read(&path).unwrap().len(), 4);
    let mut resumed = HistorySink::append(&path, &METRICS, 3).unwrap();
    resumed.on(&Event::Epoch(epoch(3, None))).unwrap();
    let rows = read(&path).unwrap();
    assert_eq!(
        rows.iter().map(|row| (row.epoch, val_loss(row))).collect::<Vec<_>>(),
        [(1, Some(0.5)), (2, Some(0.5)), (3, None)]
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_history_that_is_missing_or_torn_in_its_header_starts_anew() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("none.csv", None), ("empty.csv", Some("")), ("torn.csv", Some("epoch,lo"))] {
        let path = folder.path().join(name);
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        let mut sink = HistorySink::append(&path, &METRICS, 2).unwrap();
        sink.on(&Event::Epoch(epoch(2, None))).unwrap();
        assert_eq!(read(&path).unwrap().len(), 1, "{name}");
    }
}

#[test]
fn an_older_history_gains_the_columns_that_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.csv");
    HistorySink::create(&path, &METRICS).unwrap().on(&Event::Epoch(epoch(1, validation(0.5)))).unwrap();
    let mut later = epoch(2, validation(0.25));
    later.train.set(Metric::Top5Accuracy, 0.75);
    HistorySink::append(&path, Metric::VARIANTS, 2).unwrap().on(&Event::Epoch(later)).unwrap();
    let expected = "\
epoch,loss,accuracy,top_5_accuracy,val_loss,val_accuracy,val_top_5_accuracy,learning_rate,seconds,images_per_second
1,0.3012,0.8921,,0.5,0.30000000000000004,,0.002,7.1,9100.0
2,0.3012,0.8921,0.75,0.25,0.30000000000000004,,0.002,7.1,9100.0
";
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    let rows = read(&path).unwrap();
    assert_eq!(rows, [HistoryRow::from(&epoch(1, validation(0.5))), HistoryRow::from(&later)]);
    let json = serde_json::to_string(&rows[0]).unwrap();
    assert!(json.starts_with(r#"{"epoch":1,"loss":0.3012,"accuracy":0.8921,"val_loss":0.5,"#), "{json}");
}

#[test]
fn what_is_no_history_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.csv");
    let cases = [
        ("epoch,loss\n1,0.5\n", "the history has other columns: expected epoch,loss,accuracy,"),
        (&format!("{}1,2\n", header(&Column::of(&METRICS))), "a line of the history is not an epoch's"),
        (&format!("{}one,0,0,,,0,0,0\n", header(&Column::of(&METRICS))), "a line of the history is not an epoch's"),
        (&format!("{}1,,0,,,0,0,0\n", header(&Column::of(&METRICS))), "a line of the history is not an epoch's"),
        (
            "epoch,loss,accuracy,val_loss,val_accuracy,loss,learning_rate,seconds,images_per_second\n",
            "the history has other columns",
        ),
    ];
    for (text, message) in cases {
        fs::write(&path, text).unwrap();
        let error = HistorySink::append(&path, &METRICS, 2).unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
        assert_eq!(error.kind(), crate::error::ErrorKind::Data);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    let file = File::options().write(true).open("/dev/full").unwrap();
    let mut full = HistorySink { path: "/dev/full".into(), file, columns: Vec::new() };
    assert_eq!(full.on(&Event::Epoch(epoch(1, None))).unwrap_err().to_string(), "cannot write the history (/dev/full)");
}
