use convnet::predict::InputImage;

use super::*;

fn record() -> Record {
    let (label, probabilities) = ("Bag".to_owned(), vec![0.25, 0.75]);
    let (outputs, unlike) = (probabilities.clone(), Vec::new());
    let prediction = Prediction { label, is_sure: true, class: 1, probability: 0.75, unlike, outputs, probabilities };
    let origin = InputImage { input: "a.png".into(), index: None, expected: Some(0) };
    Record::new(origin, prediction, &labels(), 1)
}

fn labels() -> Vec<String> {
    ["Shirt", "Bag"].map(String::from).to_vec()
}

#[test]
fn arrays_of_another_scale_are_told() {
    let warning = |values: &[f32], scale| scale_warning(values, scale).unwrap_or_default();
    assert!(warning(&[0.0, 254.0], 1.0 / 255.0).contains("divide the array by 255"));
    assert!(warning(&[0.0, 0.9], 1.0).contains("multiply the array by 255"));
    for (values, scale) in [([0.0, 1.0], 1.0 / 255.0), ([0.0, 255.0], 1.0), ([-1.0, 0.5], 1.0 / 255.0)] {
        assert_eq!(warning(&values, scale), "");
    }
}

#[test]
fn one_image_is_told_in_full() {
    let text = describe(&[record()], &labels());
    assert!(text.contains("   1  Bag    0.750000  ███████████████\n"), "{text}");
    assert!(text.ends_with("argmax 1 (Bag), probability 0.7500\ntrue label 0 (Shirt): wrong\n"), "{text}");
}
