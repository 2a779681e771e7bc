use super::*;

const SHAPE: ImageShape = ImageShape { height: 8, width: 8, channels: 1 };

/// Bright squares on black, each a little different.
fn images() -> Vec<Vec<f32>> {
    let image = |number: usize| {
        let size = 2 + number % 4;
        let inside = |at: usize| (2..2 + size).contains(&at);
        let value = |at: usize| {
            if inside(at / 8) && inside(at % 8) { 0.7 + (number % 7 * 3 + at % 3) as f32 / 75.0 } else { 0.0 }
        };
        (0..64).map(value).collect()
    };
    (0..400).map(image).collect()
}

fn training_look() -> TrainingLook {
    let rows: Vec<Vec<f32>> = images().iter().map(|image| look(image, [8, 8, 1])).collect();
    TrainingLook {
        images: rows.len(),
        mean: means(&rows, 1, |row, c| row[c]),
        deviation: deviations(&rows, 1),
        pixels: ranges(&names(1), &rows, |_| LEAST_PIXEL_MARGIN),
        features: [("norm".to_owned(), [1.0, 2.0])].into(),
    }
}

#[test]
fn the_training_images_are_like_themselves() {
    let look = training_look();
    assert!(images().iter().all(|image| look.unlike(image, SHAPE, &[1.5]).is_none()));
}

#[test]
fn what_is_different_is_named() {
    let look = training_look();
    let kind = |change: &dyn Fn(f32) -> f32| {
        let changed: Vec<f32> = images()[6].iter().map(|&value| change(value)).collect();
        look.unlike(&changed, SHAPE, &[])
    };
    assert_eq!(kind(&|value| 1.0 - value), Some(Unlike::Inverted));
    assert_eq!(kind(&|value| value / 2.0), Some(Unlike::Darker));
    assert_eq!(kind(&|value| value.mul_add(0.5, 0.5)), Some(Unlike::Brighter));
    assert_eq!(kind(&|value| value * 255.0), Some(Unlike::Scaled));
    assert_eq!(kind(&|value| value / 255.0), Some(Unlike::Scaled));
    let noise: Vec<f32> = (0..64).map(|at| (at * 37 % 64) as f32 / 64.0).collect();
    assert_eq!(look.unlike(&noise, SHAPE, &[]), Some(Unlike::Noisy));
    // the network sees what the pixels do not show
    assert_eq!(look.unlike(&images()[0], SHAPE, &[2.5]), Some(Unlike::Other));
    assert_eq!(Unlike::Inverted.to_string(), "inverted");
}

#[test]
fn a_range_leaves_out_the_tails_and_adds_a_margin() {
    let rows: Vec<Vec<f32>> = (0..4001).map(|at| vec![at as f32]).collect();
    let range = ranges(&["x".to_owned()], &rows, |_| 0.0)["x"];
    // two at each end are left out: 2 to 3998
    let margin = 3996.0 * (MARGIN + MARGIN_OF_FEW / 4001.0);
    assert_eq!(range, [2.0 - margin, 3998.0 + margin]);
    assert!(ranges(&["x".to_owned()], &[], |_| 0.0).is_empty(), "of a network without features");
    assert_eq!(ranges(&["x".to_owned()], &[vec![5.0]], |largest| 0.1 * largest)["x"], [4.5, 5.5]);
}

#[test]
fn mean_and_deviation_are_those_of_all_pixels() {
    let look = training_look();
    let all: Vec<f32> = images().concat();
    let mean = all.iter().sum::<f32>() / all.len() as f32;
    let deviation = (all.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / all.len() as f32).sqrt();
    assert!((look.mean[0] - mean).abs() < 1e-4 && (look.deviation[0] - deviation).abs() < 1e-4, "{look:?}");
}
