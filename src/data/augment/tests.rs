use super::*;
use crate::data::Samples;
use crate::data::batches::DataLoader;
use tch::{Device, Kind};

const SEED: u64 = 4;

/// Four images of 6×8 pixels and two channels, without a symmetry.
fn images() -> Tensor {
    Tensor::arange(4 * 6 * 8 * 2, (Kind::Int64, Device::Cpu)).remainder(251).to_kind(Kind::Uint8).reshape([4, 6, 8, 2])
}

fn samples() -> Tensor {
    Tensor::from_slice(&[10i64, 11, 12, 13])
}

fn changed(text: &str, epoch: u64) -> Tensor {
    augment(&text.parse().unwrap(), &images(), &samples(), SEED, epoch)
}

#[test]
fn nothing_is_left_as_it_is() {
    assert!(changed("none", 0).equal(&images()));
}

#[test]
fn a_flip_is_an_exact_mirror_image() {
    assert!(changed("flip=1", 0).equal(&images().flip([2])));
    let half = changed("flip=0.5", 0);
    for index in 0..4 {
        let (image, original) = (half.get(index), images().get(index));
        assert!(image.equal(&original) || image.equal(&original.flip([1])), "{index}");
    }
}

#[test]
fn a_shift_moves_whole_pixels_and_brings_in_zeros() {
    let shifted = changed("shift=0.3", 1);
    assert_eq!(shifted.size(), [4, 6, 8, 2]);
    let padded = images().constant_pad_nd([0, 0, 3, 3, 3, 3]);
    for index in 0..4 {
        let image = shifted.get(index);
        let mut places = (0..49).map(|place| (place / 7, place % 7));
        assert!(
            places.any(|(y, x)| padded.get(index).narrow(0, y, 6).narrow(1, x, 8).equal(&image)),
            "image {index} is no shifted original"
        );
    }
    assert!(!shifted.equal(&images()));
}

#[test]
fn turns_keep_the_middle_and_zooms_the_mean_of_a_plain_image() {
    let disc = Tensor::from_slice(&[200u8]).expand([4, 9, 9, 1], false).contiguous();
    let turned = augment(&"rotate=180,zoom=0.3".parse().unwrap(), &disc, &samples(), SEED, 0);
    for index in 0..4 {
        assert_eq!(turned.int64_value(&[index, 4, 4, 0]), 200);
    }
    assert!(turned.eq(0).any().int64_value(&[]) == 1, "corners leave the image");
}

#[test]
fn a_quarter_turn_is_exact() {
    // angles in [-90, 90): the largest draw of many images comes close enough to a quarter turn
    let image = images().narrow(0, 0, 1).narrow(2, 0, 6);
    let many = image.expand([20_000, 6, 6, 2], false).contiguous();
    let numbers = Tensor::arange(20_000, (Kind::Int64, Device::Cpu));
    let turned = augment(&"rotate=90".parse().unwrap(), &many, &numbers, SEED, 0);
    let matches = |by: i64| {
        let expected = image.rot90(by, [1, 2]).to_kind(Kind::Float);
        let differences = (turned.to_kind(Kind::Float) - expected).abs().amax([1i64, 2, 3], false);
        differences.min().double_value(&[])
    };
    assert!(matches(1) <= 1.0 && matches(-1) <= 1.0, "{} {}", matches(1), matches(-1));
}

#[test]
fn brightness_adds_and_contrast_multiplies() {
    let plain = Tensor::from_slice(&[100u8, 120]).reshape([1, 1, 2, 1]).expand([4, 4, 2, 1], false).contiguous();
    let brighter = augment(&"brightness=0.2".parse().unwrap(), &plain, &samples(), SEED, 0);
    let difference = brighter.to_kind(Kind::Float) - plain.to_kind(Kind::Float);
    for index in 0..4 {
        let image = difference.get(index);
        assert_eq!(image.max().double_value(&[]), image.min().double_value(&[]), "one amount for an image");
        assert!(image.max().double_value(&[]).abs() <= 51.0);
    }
    let contrast = augment(&"contrast=0.5".parse().unwrap(), &plain, &samples(), SEED, 0).to_kind(Kind::Float);
    for index in 0..4 {
        let mean = contrast.get(index).mean(None).double_value(&[]);
        assert!((mean - 110.0).abs() <= 0.5, "{mean}");
    }
    assert!(!contrast.equal(&plain.to_kind(Kind::Float)));
}

#[test]
fn erasing_paints_rectangles_of_the_right_size() {
    let black = Tensor::zeros([2000, 20, 30, 1], (Kind::Uint8, Device::Cpu));
    let numbers = Tensor::arange(2000, (Kind::Int64, Device::Cpu));
    let erased = augment(&"erase=0.5".parse().unwrap(), &black, &numbers, SEED, 0);
    let painted = erased.ne(0).to_kind(Kind::Float).mean_dim([1i64, 2, 3].as_slice(), false, None);
    assert!(painted.max().double_value(&[]) <= 0.36);
    let share = painted.gt(0.0).to_kind(Kind::Float).mean(None).double_value(&[]);
    assert!((0.45..0.55).contains(&share), "{share}");
}

#[test]
fn what_happens_depends_on_seed_epoch_and_image_alone() {
    let strong: AugmentConfig = "strong".parse().unwrap();
    let whole = changed("strong", 3);
    let last = augment(&strong, &images().narrow(0, 3, 1), &samples().narrow(0, 3, 1), SEED, 3);
    assert!(whole.narrow(0, 3, 1).equal(&last), "the same image in another batch");
    assert!(!whole.equal(&changed("strong", 4)));
    assert!(!whole.equal(&augment(&strong, &images(), &samples(), SEED + 1, 3)));
}

#[test]
fn a_batch_of_an_epoch_is_changed_as_it_is_by_itself() {
    let strong: AugmentConfig = "strong".parse().unwrap();
    let changes = changes_of(&strong, &samples(), [6, 8], SEED, 3).unwrap();
    let last_two = changes.apply(&images().narrow(0, 2, 2), 2);
    assert!(last_two.equal(&changed("strong", 3).narrow(0, 2, 2)));
    assert!(last_two.is_contiguous(), "an image's channels are last in memory");
    assert!(EpochChanges::new(&"mixup=1".parse().unwrap(), [6, 8], SEED, 3).is_none());
    assert!(changes_of(&"mixup=1".parse().unwrap(), &samples(), [6, 8], SEED, 3).is_none());
}

#[test]
fn one_image_is_changed_as_the_network_sees_it() {
    let (shape, pixels) = (ImageShape { height: 1, width: 3, channels: 1 }, [1, 2, 3]);
    let shown = |text: &str| augment_one(&text.parse().unwrap(), shape, 0, &pixels, 0);
    assert_eq!((shown("none"), shown("flip=1")), (vec![1, 2, 3], vec![3, 2, 1]));
}

#[test]
fn an_epoch_of_many_images_is_changed_as_each_of_them_is() {
    let strong: AugmentConfig = "flip=0.5,rotate=20,contrast=0.3,erase=0.5".parse().unwrap();
    let (count, shape) = (999, ImageShape { height: 3, width: 2, channels: 1 });
    let pixels = (0..count * 6).map(|value| (value % 251) as u8).collect();
    let loader =
        Samples::new(shape, pixels, vec![0; count], 1).and_then(|images| DataLoader::new(&images, Device::Cpu));
    let loader = loader.unwrap();
    let order = loader.shuffled(SEED, 3);
    let changes = EpochChanges::new(&strong, [3, 2], SEED, 3).unwrap();
    // a resumed epoch begins in the middle; the last batch is not whole; the first one comes again
    for batch in (3..100).chain([0]) {
        let (images, _) = loader.batch_of(&order, batch, 10).unwrap();
        let expected = augment(&strong, &images, &loader.numbers_of(&order, batch, 10), SEED, 3);
        assert!(changes.apply(&images, &order, order.range(batch, 10)).equal(&expected), "{batch}");
    }
}
