//! Mixup and cutmix: pairs of images of a batch become one, and so do their labels.

use rand_distr::{Beta, Distribution};
use tch::{Kind, Tensor};

use super::AugmentConfig;
use crate::rng::{Stream, below, generator, uniform};

/// Mixes the images of a batch in pairs: the first with the last, the second with the last but one, and so on.
///
/// Mixup (Zhang et al. 2017) takes a weighted mean; cutmix (Yun et al. 2019) pastes a rectangle. Where both are wanted,
/// each batch gets one of them, as likely as the other. The share comes from Beta(α, α), one for the batch.
pub struct Mixer {
    mixup: Option<Beta<f64>>,
    cutmix: Option<Beta<f64>>,
}

/// A batch after mixing.
pub struct Mixed {
    /// `u8 [B, H, W, C]`.
    pub images: Tensor,
    /// The labels of the other images of the pairs, `i64 [B]`, and their share in each, below 1.
    pub others: Option<(Tensor, f64)>,
}

impl Mixer {
    /// What `config` asks for.
    pub fn new(config: &AugmentConfig) -> Self {
        let beta = |alpha: f64| (alpha > 0.0).then(|| Beta::new(alpha, alpha).expect("alpha is above 0"));
        Mixer { mixup: beta(config.mixup), cutmix: beta(config.cutmix) }
    }

    /// Mixes `images` (`u8 [B, H, W, C]`) with `labels` (`i64 [B]`) in the training step `step` (from 0).
    pub fn mix(&self, images: Tensor, labels: &Tensor, seed: u64, step: u64) -> Mixed {
        let mut rng = generator(seed, Stream::Mix(step));
        let pastes = match (&self.mixup, &self.cutmix) {
            (None, None) => return Mixed { images, others: None },
            (Some(_), Some(_)) => below(&mut rng, 2) == 1,
            (mixup, _) => mixup.is_none(),
        };
        let beta = if pastes { &self.cutmix } else { &self.mixup };
        let share = beta.as_ref().expect("this one was chosen").sample(&mut rng);
        let other = images.flip([0]);
        let (images, share) = if pastes {
            let centre = [uniform(&mut rng, 0.0, 1.0), uniform(&mut rng, 0.0, 1.0)].map(f64::from);
            paste(&images, &other, share, centre)
        } else {
            let mixed = images.to_kind(Kind::Float) * (1.0 - share) + other.to_kind(Kind::Float) * share;
            (mixed.round().to_kind(Kind::Uint8), share)
        };
        Mixed { images, others: (share > 0.0).then(|| (labels.flip([0]), share)) }
    }
}

/// Pastes a rectangle of about `share` of the area around `centre` (shares of height and width); and the exact share.
fn paste(images: &Tensor, other: &Tensor, share: f64, centre: [f64; 2]) -> (Tensor, f64) {
    let [height, width] = [images.size()[1], images.size()[2]];
    let range = |size: i64, centre: f64| {
        let half = size as f64 * share.sqrt() / 2.0;
        let middle = size as f64 * centre;
        let (start, end) = ((middle - half).round().max(0.0) as i64, (middle + half).round() as i64);
        (start, end.min(size) - start)
    };
    let ((top, rows), (left, columns)) = (range(height, centre[0]), range(width, centre[1]));
    let mixed = images.copy();
    mixed.narrow(1, top, rows).narrow(2, left, columns).copy_(&other.narrow(1, top, rows).narrow(2, left, columns));
    (mixed, (rows * columns) as f64 / (height * width) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> (Tensor, Tensor) {
        let images = Tensor::from_slice(&[0u8, 100, 200, 40]).reshape([4, 1, 1, 1]).expand([4, 8, 6, 1], false);
        (images.contiguous(), Tensor::from_slice(&[0i64, 1, 2, 3]))
    }

    #[test]
    fn mixup_takes_the_mean_that_it_says() {
        let (images, labels) = batch();
        let mixer = Mixer::new(&"mixup=0.4".parse().unwrap());
        let mixed = mixer.mix(images.copy(), &labels, 1, 2);
        let (others, share) = mixed.others.unwrap();
        assert_eq!(Vec::<i64>::try_from(others).unwrap(), [3, 2, 1, 0]);
        let first = mixed.images.double_value(&[1, 3, 3, 0]);
        assert_eq!(first, (100.0 * (1.0 - share) + 200.0 * share).round());
        let again = mixer.mix(images, &labels, 1, 2);
        assert_eq!(again.others.unwrap().1, share, "one step, one share");
    }

    #[test]
    fn cutmix_pastes_the_share_that_it_says() {
        let (images, labels) = batch();
        let mixer = Mixer::new(&"cutmix=1".parse().unwrap());
        let mut shares = 0.0;
        for step in 0..200 {
            let mixed = mixer.mix(images.copy(), &labels, 5, step);
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
        let mixed = Mixer::new(&AugmentConfig::default()).mix(images.shallow_clone(), &labels, 0, 0);
        assert!(mixed.others.is_none() && mixed.images.equal(&images));
    }
}
