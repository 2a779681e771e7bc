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

    /// Whether it mixes at all.
    pub fn is_none(&self) -> bool {
        self.mixup.is_none() && self.cutmix.is_none()
    }

    /// Mixes `images` (`u8 [B, H, W, C]`) with `labels` (`i64 [B]`) in the training step `step` (from 0). `partners` are the images and
    /// labels that they are mixed with, where they are not the batch itself read backwards: where it is some rows of a larger one.
    pub fn mix(
        &self,
        images: Tensor,
        labels: &Tensor,
        partners: Option<(Tensor, Tensor)>,
        seed: u64,
        step: u64,
    ) -> Mixed {
        let mut rng = generator(seed, Stream::Mix(step));
        let pastes = match (&self.mixup, &self.cutmix) {
            (None, None) => return Mixed { images, others: None },
            (Some(_), Some(_)) => below(&mut rng, 2) == 1,
            (mixup, _) => mixup.is_none(),
        };
        let beta = if pastes { &self.cutmix } else { &self.mixup };
        let share = beta.as_ref().expect("this one was chosen").sample(&mut rng);
        let (other, other_labels) = partners.unwrap_or_else(|| (images.flip([0]), labels.flip([0])));
        let (images, share) = if pastes {
            let centre = [uniform(&mut rng, 0.0, 1.0), uniform(&mut rng, 0.0, 1.0)].map(f64::from);
            paste(&images, &other, share, centre)
        } else {
            let mixed = images.to_kind(Kind::Float) * (1.0 - share) + other.to_kind(Kind::Float) * share;
            (mixed.round().to_kind(Kind::Uint8), share)
        };
        Mixed { images, others: (share > 0.0).then_some((other_labels, share)) }
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
mod tests;
