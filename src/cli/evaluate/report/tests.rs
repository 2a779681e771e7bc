use super::*;
use convnet::metrics::Sums;

fn report(confusion: Vec<Vec<u64>>) -> EvaluationReport {
    let classes: Vec<String> = (0..confusion.len()).map(|class| format!("c{class}")).collect();
    let sums = Sums { totals: Scores::new(4.0, 5.0), count: 8 };
    let images = confusion.iter().enumerate().flat_map(|(label, row)| {
        row.iter().enumerate().flat_map(move |(class, &count)| (0..count).map(move |_| (label, class)))
    });
    let (labels, said): (Vec<usize>, Vec<usize>) = images.unzip();
    let num_classes = classes.len();
    let probability = |said: &usize, class: usize| if *said == class { 0.75 } else { 0.25 };
    let probabilities =
        said.iter().flat_map(|said| (0..num_classes).map(move |class| probability(said, class))).collect();
    let losses = vec![0.5; labels.len()];
    let predictions = Predictions { num_classes, labels, classes: said, losses, probabilities, logits: Vec::new() };
    let evaluation = Evaluation { sums, top_k: 2, top_k_hits: 6, confusion };
    EvaluationReport::new(&evaluation, &predictions, &classes, None)
}

#[test]
fn a_report_reads_as_tables() {
    let expected = "\
confusion matrix: rows are true classes, columns predicted ones
    #                 0   1
    0 c0              3   1
    1 c1              2   2

    # class          precision    recall        f1        AP   ROC AUC   support
    0 c0                0.6000    0.7500    0.6667    0.5750    0.6250         4
    1 c1                0.6667    0.5000    0.5714    0.5833    0.6250         4
      macro mean        0.6333    0.6250    0.6190
      weighted mean     0.6333    0.6250    0.6190

images    8
loss      0.5000
accuracy  0.6250 (95 % interval 0.3057 to 0.8632)
top-2     0.7500
balanced  0.6250 (mean recall of the classes)
ECE       0.1250 (expected calibration error)
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
    let contracted = ["loss", "accuracy", "accuracy_interval", "balanced_accuracy", "top_k", "count", "macro"];
    for key in contracted.iter().chain(&["weighted", "calibration", "per_class", "confusion"]) {
        assert!(keys.contains(key), "{key}");
    }
    assert_eq!(keys.len(), 11);
    for key in ["ece", "ece_calibrated", "temperature", "bins"] {
        assert!(json["calibration"].get(key).is_some(), "{key}");
    }
    for key in ["label", "precision", "recall", "f1", "support", "average_precision", "roc_auc"] {
        assert!(json["per_class"][0].get(key).is_some(), "{key}");
    }
    assert_eq!(json["top_k"], serde_json::json!({"k": 2, "accuracy": 0.75}));
}
