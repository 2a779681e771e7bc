use super::*;

fn labels() -> Vec<String> {
    ["cat", "dog", "owl"].map(String::from).to_vec()
}

#[test]
fn the_most_probable_come_first_and_ties_keep_their_order() {
    let classes = |values: &[f32], k| -> Vec<usize> {
        top(values, &labels(), k).into_iter().map(|candidate| candidate.class).collect()
    };
    assert_eq!(classes(&[0.2, 0.7, 0.1], 3), [1, 0, 2]);
    assert_eq!(classes(&[0.2, 0.4, 0.4], 2), [1, 2]);
    assert_eq!(classes(&[0.2, 0.4, 0.4], 9), [1, 2, 0]);
}

#[test]
fn a_prediction_names_the_best_class() {
    let prediction = Prediction::new(&[1.0, 2.0, 9.0], &[0.1, 0.2, 0.7], &labels()).unwrap();
    assert_eq!((prediction.class, &*prediction.label, prediction.probability), (2, "owl", 0.7));
    assert_eq!(prediction.outputs, [1.0, 2.0, 9.0]);
}

#[test]
fn an_output_that_is_not_finite_is_an_error() {
    let error = Prediction::new(&[1.0, f32::NAN, 0.0], &[0.1, 0.2, 0.7], &labels()).unwrap_err();
    assert_eq!(error.exit_code(), 6);
}

fn record() -> Record {
    let (label, probabilities) = ("Bag".to_owned(), vec![0.25, 0.75]);
    let (outputs, unlike) = (probabilities.clone(), Vec::new());
    let prediction = Prediction { label, is_sure: true, class: 1, probability: 0.75, unlike, outputs, probabilities };
    let origin = InputImage { input: "a.png".into(), index: None, expected: Some(0) };
    Record::new(origin, prediction, &names(), 1)
}

fn names() -> Vec<String> {
    ["Shirt", "Bag"].map(String::from).to_vec()
}

#[test]
fn the_extension_decides_the_format() {
    assert_eq!(PredictionFormat::of(Path::new("a/b.JSONL")).unwrap(), PredictionFormat::JsonLines);
    assert_eq!(PredictionFormat::of(Path::new("b.txt")).unwrap_err().exit_code(), 2);
}

#[test]
fn files_hold_what_the_contract_says() {
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str| {
        let path = folder.path().join(name);
        PredictionFormat::of(&path).unwrap().write(&path, &[record()], &names()).unwrap();
        std::fs::read(path).unwrap()
    };
    let csv = "input,index,label,class,probability,expected,predicted,true,p_0,p_1,unlike\n\
                   a.png,,Bag,1,0.75,0,Bag,Shirt,0.25,0.75,\n";
    assert_eq!(String::from_utf8(written("p.csv")).unwrap(), csv);
    let line = r#"{"input":"a.png","label":"Bag","class":1,"probability":0.75,"probabilities":[0.25,0.75],"top":[{"class":1,"label":"Bag","probability":0.75}],"expected":0}"#;
    assert_eq!(String::from_utf8(written("p.jsonl")).unwrap(), format!("{line}\n"));
    assert!(written("p.npy").ends_with(&[0.25f32, 0.75].map(f32::to_le_bytes).concat()));
}
