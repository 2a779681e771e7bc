use super::*;
use crate::model::spec::ShortForm;

fn model(text: &str) -> Model {
    let shape = ImageShape { height: 8, width: 8, channels: 1 };
    let spec = ShortForm::parse(text, "net").unwrap().spec(shape, 10).unwrap();
    Model::new(spec, 1.0 / 255.0, Device::Cpu, 3).unwrap()
}

const SMALL: &str = "Input 12 10 3\nConv2D 8 3 relu\nFlatten\nDense 5 softmax";
const MANY: &str = "Flatten\nDense 100 softmax";

#[test]
fn the_images_are_what_they_were_and_not_alike() {
    let shape = ImageShape { height: 12, width: 10, channels: 3 };
    let pixels = images(0, 16, shape);
    assert_eq!(sha256(&pixels), "8eabd44131f204b12059c1b5c8c236628a0a46721aec6cdbe99e48d2e04b72a0");
    let rows: Vec<&[u8]> = pixels.chunks(360).collect();
    for (number, row) in rows.iter().enumerate() {
        let (least, most) = (row.iter().min().unwrap(), row.iter().max().unwrap());
        assert!(most - least > 60, "image {number}: {least} to {most}");
        assert!(!rows[..number].contains(row));
    }
    // any size
    for (height, width, channels) in [(1, 1, 1), (1, 7, 4), (2, 2, 2), (300, 3, 1)] {
        assert_eq!(image(1, 2, ImageShape { height, width, channels }).len(), height * width * channels);
    }
}

#[test]
fn a_model_computes_what_it_computed() {
    for text in [SMALL, MANY, "Flatten\nDense 1 sigmoid"] {
        let model = model(text);
        let golden = Golden::of(&model).unwrap().unwrap();
        let size = serde_json::to_string(&golden).unwrap().len();
        assert!(size < 8000, "{size} bytes");
        let same = golden.compare(&model).unwrap();
        assert!(same.holds() && same.largest_difference == 0.0 && same.images == 16, "{text}: {same:?}");
        let weight = &model.weights()[0].tensor;
        let _ = tch::no_grad(|| weight.get(0).fill_(0.01));
        let other = golden.compare(&model).unwrap();
        assert!(!other.holds(), "{text}: {other:?}");
    }
}

#[test]
fn what_was_not_among_the_largest_may_not_become_so() {
    let model = model(MANY);
    let golden = Golden::of(&model).unwrap().unwrap();
    let kept = golden.kept(100).unwrap();
    let unkept = (0..100).find(|class| !kept.classes.as_ref().unwrap()[0].contains(class)).unwrap();
    let bias = &model.weights()[1].tensor;
    let _ = tch::no_grad(|| bias.get(i64::from(unkept)).fill_(50.0));
    let compared = golden.compare(&model).unwrap();
    assert!(!compared.holds() && compared.largest_difference > 1.0, "{compared:?}");
}

#[test]
fn the_first_class_counts_where_it_was_ahead() {
    let another = |kept: &[f32], now: &[f32]| says_another(kept, now, OutputForm::Logits, 0.1);
    assert!(another(&[1.0, 0.0], &[0.0, 1.0]) && !another(&[1.0, 0.0], &[2.0, 1.0]));
    assert!(!another(&[0.1, 0.0], &[0.0, 0.1]), "within the tolerance");
    assert!(!another(&[0.0, 0.0], &[0.0, 0.0]) && another(&[1.0], &[-1.0]) && !another(&[0.05], &[-0.05]));
    assert!(says_another(&[0.9], &[0.1], OutputForm::Probabilities, 0.1));
}

#[test]
fn numbers_that_are_none_agree_with_themselves_only() {
    assert_eq!(difference(f32::NAN, f32::NAN), 0.0);
    assert_eq!(difference(f32::INFINITY, f32::INFINITY), 0.0);
    let kept = Kept { classes: None, outputs: vec![vec![1.0, 0.0]] };
    for now in [[f32::NAN, 0.0], [f32::INFINITY, 0.0]] {
        assert!(!kept.compare(&[now.to_vec()], OutputForm::Logits, 1.0).holds());
    }
}

#[test]
fn lies_are_refused() {
    let model = model(MANY);
    let golden = Golden::of(&model).unwrap().unwrap();
    let lies: [fn(&mut Golden); 7] = [
        |golden| golden.images = 0,
        |golden| golden.images = usize::MAX,
        |golden| golden.seed = 1,
        |golden| golden.outputs = "?".into(),
        |golden| golden.outputs = golden.outputs[4..].into(),
        |golden| golden.classes = None,
        |golden| golden.classes = Some(golden.outputs.clone()),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let mut lying = golden.clone();
        lie(&mut lying);
        let error = lying.compare(&model).unwrap_err().to_string();
        assert!(error.contains("convnet.golden."), "{number}: {error}");
    }
}

#[test]
fn logits_become_probabilities_and_not_back() {
    let outputs = |form| Outputs {
        values: Tensor::from_slice(&[0.0f32, 1.0]).reshape([1, 2]),
        kind: model(SMALL).output_kind().unwrap(),
        form,
    };
    let (_, values) = in_form(&outputs(Form::Activated), Some(OutputForm::Probabilities)).unwrap();
    assert!((values.double_value(&[0, 1]) - 0.731).abs() < 1e-3);
    assert!(in_form(&outputs(Form::Probabilities), Some(OutputForm::Logits)).is_err());
}
