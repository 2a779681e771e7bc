use super::*;

#[derive(serde::Deserialize)]
struct Fixture {
    mcnemar: Vec<(u64, u64, f64)>,
    holm: Vec<(Vec<f64>, Vec<f64>)>,
    student_975: Vec<(f64, f64)>,
    summaries: Vec<(Vec<f64>, f64, f64, [f64; 2])>,
    bootstrap: Bootstrap,
}

#[derive(serde::Deserialize)]
struct Bootstrap {
    differences: Vec<f64>,
    interval: [f64; 2],
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../../tests/fixtures/paired.json")).unwrap()
}

fn is_close(a: f64, b: f64, relative: f64) -> bool {
    (a - b).abs() <= relative * b.abs() + 1e-300
}

#[test]
fn mcnemar_is_statsmodels_exact_one() {
    let cases = fixture().mcnemar;
    assert!(cases.len() > 20);
    for (first, second, p_value) in cases {
        let found = mcnemar(first, second);
        assert!(is_close(found, p_value, 1e-9), "{first}, {second}: {found} for {p_value}");
    }
}

#[test]
fn holm_and_student_are_statsmodels_and_scipy_s() {
    let Fixture { holm: cases, student_975: points, summaries, .. } = fixture();
    for (p_values, expected) in cases {
        let found = holm(&p_values);
        assert!(found.iter().zip(&expected).all(|(a, b)| is_close(*a, *b, 1e-12)), "{found:?} for {expected:?}");
    }
    for (freedom, point) in points {
        let found = student_975(freedom);
        assert!(is_close(found, point, 1e-10), "{freedom}: {found} for {point}");
    }
    for (values, mean, sd, interval) in summaries {
        let found = SampleSummary::of(&values).unwrap();
        assert!(is_close(found.mean, mean, 1e-12) && is_close(found.sd, sd, 1e-12), "{found:?}");
        assert!(found.interval.iter().zip(&interval).all(|(a, b)| is_close(*a, *b, 1e-9)), "{found:?} {interval:?}");
    }
    assert_eq!(SampleSummary::of(&[1.0]), None);
}

#[test]
fn the_bootstrap_s_interval_is_scipy_s_but_for_the_draws() {
    let Bootstrap { differences, interval } = fixture().bootstrap;
    let found = bootstrap_interval(&differences, 0);
    let width = interval[1] - interval[0];
    assert!(found.iter().zip(&interval).all(|(a, b)| (a - b).abs() < 0.08 * width), "{found:?} for {interval:?}");
    assert_eq!(found, bootstrap_interval(&differences, 0), "the same draws each time");
    assert_ne!(found, bootstrap_interval(&differences, 1));
}

fn predictions(labels: &[usize], classes: &[usize], loss: f32) -> Predictions {
    let losses = vec![loss; labels.len()];
    Predictions { num_classes: 3, labels: labels.into(), classes: classes.into(), losses, ..Predictions::default() }
}

#[test]
fn images_that_one_model_alone_gets_right_are_counted() {
    let first = predictions(&[0, 1, 2, 0], &[0, 1, 2, 1], 1.0);
    let second = predictions(&[0, 1, 2, 0], &[0, 2, 1, 0], 0.75);
    let test = paired_test(&first, &second, 0).unwrap();
    assert_eq!((test.only_first_right, test.only_second_right), (2, 1));
    assert!(is_close(test.p_value, 1.0, 1e-12), "{}", test.p_value);
    assert_eq!((test.loss_difference, test.loss_interval), (-0.25, [-0.25, -0.25]));
    let refused = |other: &Predictions| paired_test(&first, other, 0).unwrap_err().to_string();
    assert!(refused(&predictions(&[0, 1, 2, 1], &[0, 1, 2, 1], 1.0)).contains("same images"));
    assert!(refused(&predictions(&[0], &[0], 1.0)).contains("expected 4 images, got 1 images"));
    assert!(refused(&Predictions { num_classes: 4, ..second }).contains("numbers of classes"));
    let none = predictions(&[], &[], 1.0);
    assert!(paired_test(&none, &none, 0).is_err());
}
