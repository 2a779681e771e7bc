use super::*;

#[test]
fn means_come_last() {
    let values = [vec![None; 3], [0.9, 0.8, 0.7].map(Some).to_vec(), vec![None; 3], vec![Some(0.5); 3], vec![None; 3]];
    let scores: Vec<_> = FoldScore::all().zip(values).collect();
    let expected = "\
fold  validation loss  validation accuracy    test accuracy
1                   -               0.9000           0.5000
2                   -               0.8000           0.5000
3                   -               0.7000           0.5000
mean                -      0.8000 ± 0.1000  0.5000 ± 0.0000
";
    assert_eq!(to_text(&scores), expected);
    assert_eq!(to_json(&[], &scores).get("val_loss"), None);
}
