use super::*;
use convnet::metrics::Sums;

fn report(confusion: Vec<Vec<u64>>) -> EvaluationReport {
    let classes: Vec<String> = (0..confusion.len()).map(|class| format!("c{class}")).collect();
    let sums = Sums { totals: Scores::new(4.0, 5.0), count: 8 };
    EvaluationReport::new(Evaluation { sums, top_k: 2, top_k_hits: 6, confusion }, &classes)
}

#[test]
fn a_report_reads_as_tables() {
    let expected = "\
confusion matrix: rows are true classes, columns predicted ones
    #         0   1
    0 c0      3   1
    1 c1      2   2

    # class  precision    recall        f1   support
    0 c0        0.6000    0.7500    0.6667         4
    1 c1        0.6667    0.5000    0.5714         4

images    8
loss      0.5000
accuracy  0.6250 (95 % interval 0.3057 to 0.8632)
top-2     0.7500
";
    assert_eq!(report(vec![vec![3, 1], vec![2, 2]]).text(), expected);
}

#[test]
fn many_classes_show_their_largest_confusions() {
    let mut confusion = vec![vec![0; 21]; 21];
    (confusion[3][3], confusion[1][2], confusion[20][0]) = (50, 4, 9);
    let text = report(confusion).text();
    assert!(text.contains("predicted class\n       9  c20 → c0\n       4  c1 → c2\n\n"), "{text}");
}

#[test]
fn json_has_the_contracted_keys() {
    let json = serde_json::to_value(report(vec![vec![3, 1], vec![2, 2]])).unwrap();
    let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    for key in ["loss", "accuracy", "accuracy_interval", "top_k", "count", "per_class", "confusion"] {
        assert!(keys.contains(&key), "{key}");
    }
    assert_eq!(keys.len(), 7);
    assert_eq!(json["top_k"], serde_json::json!({"k": 2, "accuracy": 0.75}));
}
