use super::*;

#[test]
fn means_come_last() {
    let values = [vec![None; 3], [0.9, 0.8, 0.7].map(Some).to_vec(), vec![None; 3], vec![Some(0.5); 3], vec![None; 3]];
    let folds = SeriesKind::Folds(3);
    let scores: Vec<_> = folds.scores().into_iter().zip(values).collect();
    let expected = "\
fold  validation loss  validation accuracy    test accuracy
1                   -               0.9000           0.5000
2                   -               0.8000           0.5000
3                   -               0.7000           0.5000
mean                -      0.8000 ± 0.1000  0.5000 ± 0.0000
";
    assert_eq!(to_text(folds, &scores), expected);
    assert_eq!(to_json(folds, &[], &scores).get("val_loss"), None);
    assert_eq!(to_json(folds, &[], &scores)["val_accuracy"].get("interval"), None);
}

#[test]
fn repeats_have_an_interval() {
    let kind = SeriesKind::Repeats(3);
    let values = [vec![None; 3], [0.9, 0.8, 0.7].map(Some).to_vec(), vec![None; 3]];
    let scores: Vec<_> = kind.scores().into_iter().zip(values).collect();
    let expected = "\
repeat  validation loss  validation accuracy
1                     -               0.9000
2                     -               0.8000
3                     -               0.7000
mean                  -      0.8000 ± 0.1000
from                  -               0.5516
to                    -               1.0484
mean ± standard deviation of a run; from, to: 95 % interval of the mean (Student's t)
";
    assert_eq!(to_text(kind, &scores), expected);
    let document = to_json(kind, &[], &scores);
    assert!((document["val_accuracy"]["interval"][0].as_f64().unwrap() - 0.551_586).abs() < 1e-6, "{document}");
    assert!(document["repeats"].is_array());
}
