use super::*;
use crate::metrics::Scores;

#[test]
fn wilson_s_interval() {
    // statsmodels 0.15: proportion_confint(k, n, method="wilson")
    for (correct, count, low, high) in [
        (9000, 10_000, 0.893_966, 0.905_727),
        (0, 10, 0.0, 0.277_533),
        (10, 10, 0.722_467, 1.0),
        (1, 2, 0.094_531, 0.905_469),
    ] {
        let [l, h] = wilson_interval(correct, count);
        assert!((l - low).abs() < 1e-6 && (h - high).abs() < 1e-6, "{correct}/{count}: {l} {h}");
    }
}

#[test]
fn per_class_scores_from_the_confusion_matrix() {
    let evaluation = Evaluation {
        sums: Sums { totals: Scores::new(3.0, 5.0), count: 8 },
        top_k: 2,
        top_k_hits: 6,
        confusion: vec![vec![3, 1, 0], vec![2, 2, 0], vec![0, 0, 0]],
    };
    let labels = ["a", "b", "c"].map(str::to_owned);
    let rows = evaluation.per_class(&labels);
    assert_eq!((rows[0].precision, rows[0].recall, rows[0].support), (0.6, 0.75, 4));
    assert!((rows[0].f1 - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!((rows[2].precision, rows[2].recall, rows[2].f1, rows[2].support), (0.0, 0.0, 0.0, 0));
    assert_eq!(evaluation.top_k_accuracy(), 0.75);
    assert_eq!(evaluation.sums.scores(), Scores::new(0.375, 0.625));
}
