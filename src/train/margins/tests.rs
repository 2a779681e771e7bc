use super::*;
use crate::model::spec::{Crossentropy, Form, Head, OutputKind};
use crate::train::Targets;

const KIND: OutputKind = OutputKind { head: Head::Softmax, evaluated: Form::Logits, trained: Form::Logits };

fn batch(numbers: &[i64], labels: &[i64], logits: &[[f32; 3]], others: Option<(Tensor, f64)>) -> TrainedBatch {
    TrainedBatch {
        is_counted: true,
        sums: None,
        batch: 0,
        step: 0,
        share: 1.0,
        numbers: Tensor::from_slice(numbers),
        images: Tensor::from_slice(&[0u8]),
        targets: Targets { labels: Tensor::from_slice(labels), others },
        outputs: Outputs {
            values: Tensor::from_slice(logits.as_flattened()).view([-1, 3]),
            kind: KIND,
            form: Form::Logits,
        },
        loss: Tensor::from(0.0),
    }
}

fn read(margins: &Margins) -> ImageMargins {
    ImageMargins::of_tensor(&margins.to_tensor(), 3).unwrap()
}

#[test]
fn the_mean_over_the_epochs_is_that_of_the_logits() {
    let mut margins = Margins::new(3, Device::Cpu);
    margins.add(&batch(&[2, 0], &[0, 1], &[[3.0, 1.0, 2.0], [0.5, -1.0, 0.0]], None));
    margins.add(&batch(&[1], &[2], &[[1.0, 4.0, 4.5]], None));
    margins.count();
    margins.add(&batch(&[0, 2], &[1, 0], &[[0.0, 3.0, 1.0], [1.0, 5.0, 0.0]], None));
    margins.count();
    let read = read(&margins);
    assert_eq!(read.counts, [2, 1, 2]);
    // image 0: -1 - 0.5 and 3 - 1; image 1: 4.5 - 4; image 2: 3 - 2 and 1 - 5
    assert_eq!(read.means, [(-1.5 + 2.0) / 2.0, 0.5, (1.0 - 4.0) / 2.0]);
}

#[test]
fn the_suggested_class_is_the_strongest_other_one_of_most_epochs() {
    let mut margins = Margins::new(1, Device::Cpu);
    for rival in [2, 1, 1, 2, 1] {
        let mut logits = [0.0; 3];
        logits[rival] = 1.0;
        margins.add(&batch(&[0], &[0], &[logits], None));
        margins.count();
    }
    assert_eq!(read(&margins).rivals, [1]);
}

/// Whether a checkpoint is saved within an epoch, and how many batches wait, changes no bit.
#[test]
fn counting_at_once_or_together_gives_the_same_bits() {
    let numbers: Vec<f32> = (0..240).map(|at| (at as f32 * 1.7).sin()).collect();
    let logits = Tensor::from_slice(&numbers).view([2, 40, 3]);
    let of = |counts_each: bool| {
        let mut margins = Margins::new(40, Device::Cpu);
        for epoch in 0..2 {
            for part in 0..4 {
                let numbers: Vec<i64> = (0..10).map(|at| (part * 10 + at) * 7 % 40).collect();
                let labels: Vec<i64> = numbers.iter().map(|number| number % 3).collect();
                let values: Vec<f32> =
                    Vec::try_from(logits.get(epoch).narrow(0, part * 10, 10).contiguous().view(-1)).unwrap();
                let (rows, _) = values.as_chunks::<3>();
                margins.add(&batch(&numbers, &labels, rows, None));
                if counts_each {
                    margins.count();
                }
            }
            margins.count();
        }
        margins.to_tensor()
    };
    assert_eq!(of(true), of(false));
}

#[test]
fn mixed_images_do_not_count() {
    let mut margins = Margins::new(1, Device::Cpu);
    margins.add(&batch(&[0], &[0], &[[3.0, 1.0, 2.0]], Some((Tensor::from_slice(&[1i64]), 0.3))));
    margins.count();
    assert_eq!(read(&margins).counts, [0]);
}

#[test]
fn a_checkpoint_keeps_them() {
    let mut margins = Margins::new(2, Device::Cpu);
    margins.add(&batch(&[1, 0], &[0, 1], &[[3.0, 1.0, 2.0], [0.5, -1.0, 0.0]], None));
    margins.count();
    let mut other = Margins::new(2, Device::Cpu);
    other.restore(&margins.to_tensor()).unwrap();
    assert_eq!(other.to_tensor(), margins.to_tensor());
    let text = Margins::new(3, Device::Cpu).restore(&margins.to_tensor()).unwrap_err().to_string();
    assert!(text.contains("of other images") && text.contains("[4, 2]"), "{text}");
}

#[test]
fn what_cannot_be_margins_is_an_error() {
    let whole = Tensor::zeros([4, 2], (Kind::Float, Device::Cpu));
    assert!(ImageMargins::of_tensor(&whole, 3).unwrap().means[0].is_nan());
    for (row, value) in [(0, f64::NAN), (1, -1.0), (1, 0.5), (2, 3.0), (2, -1.0), (2, f64::NAN)] {
        let wrong = whole.copy();
        let _ = wrong.select(0, row).fill_(value);
        ImageMargins::of_tensor(&wrong, 3).unwrap_err();
    }
    ImageMargins::of_tensor(&Tensor::zeros([3, 2], (Kind::Float, Device::Cpu)), 3).unwrap_err();
    ImageMargins::of_tensor(&Tensor::zeros([4], (Kind::Float, Device::Cpu)), 3).unwrap_err();
}

/// Every kind of output has margins: one sigmoid 0 against its logit, several each class's own, probabilities their logarithms.
#[test]
fn every_kind_of_output_has_margins() {
    let margin = |head, form, values: &[f32], label: i64| {
        let kind = OutputKind { head, evaluated: form, trained: form };
        let values = Tensor::from_slice(values).view([1, -1]);
        let (margins, rivals) = Outputs { values, kind, form }.margins(&Tensor::from_slice(&[label]));
        (margins.double_value(&[0]) as f32, rivals.int64_value(&[0]))
    };
    let near = |(margin, rival): (f32, i64), expected: (f32, i64)| {
        assert!((margin - expected.0).abs() < 1e-5 && rival == expected.1, "{margin} {rival}, not {expected:?}");
    };
    near(margin(Head::Softmax, Form::Activated, &[1.0, 3.0, 2.0], 1), (1.0, 2));
    near(margin(Head::Softmax, Form::Probabilities, &[0.2, 0.8], 0), ((0.2f32 / 0.8).ln(), 1));
    near(margin(Head::Binary, Form::Activated, &[1.5], 1), (1.5, 0));
    near(margin(Head::Binary, Form::Activated, &[1.5], 0), (-1.5, 1));
    near(margin(Head::Sigmoids(Crossentropy::Binary), Form::Logits, &[1.0, -3.0, 2.0], 1), (-5.0, 2));
    // odds 1 and 1/3
    near(margin(Head::Sigmoids(Crossentropy::Binary), Form::Probabilities, &[0.5, 0.25], 0), (3f32.ln(), 1));
}
