use super::*;

fn batch() -> (Tensor, Tensor) {
    let images = Tensor::from_slice(&[0u8, 100, 200, 40]).reshape([4, 1, 1, 1]).expand([4, 8, 6, 1], false);
    (images.contiguous(), Tensor::from_slice(&[0i64, 1, 2, 3]))
}

#[test]
fn mixup_takes_the_mean_that_it_says() {
    let (images, labels) = batch();
    let mixer = Mixer::new(&"mixup=0.4".parse().unwrap());
    let mixed = mixer.mix(images.copy(), &labels, None, 1, 2);
    let (others, share) = mixed.others.unwrap();
    assert_eq!(Vec::<i64>::try_from(others).unwrap(), [3, 2, 1, 0]);
    let first = mixed.images.double_value(&[1, 3, 3, 0]);
    assert_eq!(first, (100.0 * (1.0 - share) + 200.0 * share).round());
    let again = mixer.mix(images, &labels, None, 1, 2);
    assert_eq!(again.others.unwrap().1, share, "one step, one share");
}

#[test]
fn cutmix_pastes_the_share_that_it_says() {
    let (images, labels) = batch();
    let mixer = Mixer::new(&"cutmix=1".parse().unwrap());
    let mut shares = 0.0;
    for step in 0..200 {
        let mixed = mixer.mix(images.copy(), &labels, None, 5, step);
        let share = mixed.others.map_or(0.0, |(_, share)| share);
        let pasted = mixed.images.get(0).eq(40).sum(Kind::Int64).int64_value(&[]);
        assert_eq!(pasted as f64 / 48.0, share);
        shares += share / 200.0;
    }
    assert!((0.25..0.5).contains(&shares), "half, less what lies over the border: {shares}");
}

#[test]
fn without_either_a_batch_stays_as_it_is() {
    let (images, labels) = batch();
    let mixed = Mixer::new(&AugmentConfig::default()).mix(images.shallow_clone(), &labels, None, 0, 0);
    assert!(mixed.others.is_none() && mixed.images.equal(&images));
}
