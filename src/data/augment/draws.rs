//! Random numbers for the images of a batch, made on the device from the images' numbers: the same for an image whatever
//! batch it is in, however many threads there are.

use tch::{Kind, Tensor};

/// What a number is drawn for.
#[derive(Debug, Clone, Copy)]
pub enum Draw {
    Flip,
    ShiftX,
    ShiftY,
    Rotate,
    Zoom,
    Brightness,
    Contrast,
    Erase,
    EraseArea,
    EraseAspect,
    EraseX,
    EraseY,
    EraseValue,
}

const NUM_DRAWS: i64 = Draw::EraseValue as i64 + 1;

/// A number for each image and each [`Draw`].
pub struct Draws(Tensor);

impl Draws {
    /// Draws for the images numbered `samples` (`i64 [B]`). The words of SplitMix64 (Steele, Lea, Flood 2014), started at
    /// `key` and read at places that belong to the image; wrapping `i64` arithmetic is that of `u64`.
    pub fn new(samples: &Tensor, key: u64) -> Self {
        let columns = Tensor::arange(NUM_DRAWS, (Kind::Int64, samples.device()));
        let places = samples.unsqueeze(1) * NUM_DRAWS + columns; // [B, draws]
        let word = (places + 1) * 0x9E37_79B9_7F4A_7C15_u64 as i64 + key as i64;
        let word = fold(&word, 30) * 0xBF58_476D_1CE4_E5B9_u64 as i64;
        let word = fold(&word, 27) * 0x94D0_49BB_1331_11EB_u64 as i64;
        let word = fold(&word, 31);
        Draws(shift_right(&word, 40).to_kind(Kind::Float) / f64::from(1 << 24))
    }

    /// Uniform in `[0, 1)`: `f32 [B]`.
    pub fn unit(&self, draw: Draw) -> Tensor {
        self.0.select(1, draw as i64)
    }

    /// Uniform in `[-amount, amount)`: `f32 [B]`.
    pub fn around_zero(&self, draw: Draw, amount: f64) -> Tensor {
        (self.unit(draw) * 2.0 - 1.0) * amount
    }
}

fn fold(word: &Tensor, bits: i64) -> Tensor {
    word.bitwise_xor_tensor(&shift_right(word, bits))
}

/// Shifts in zeros, as for `u64`.
fn shift_right(word: &Tensor, bits: i64) -> Tensor {
    word.bitwise_right_shift_tensor_scalar(bits).bitwise_and(i64::MAX >> (bits - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, on the host.
    fn split_mix(key: u64, place: u64) -> f32 {
        let z = (place + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(key);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
    }

    #[test]
    fn they_are_split_mix_s_words_whatever_the_batch() {
        let draws = Draws::new(&Tensor::from_slice(&[7i64, 0, 99_999_999]), 0xFEDC_BA98_7654_3210);
        let alone = Draws::new(&Tensor::from_slice(&[0i64]), 0xFEDC_BA98_7654_3210);
        for (row, sample) in [7u64, 0, 99_999_999].into_iter().enumerate() {
            for draw in [Draw::Flip, Draw::Zoom, Draw::EraseValue] {
                let expected = split_mix(0xFEDC_BA98_7654_3210, sample * NUM_DRAWS as u64 + draw as u64);
                assert_eq!(draws.unit(draw).double_value(&[row as i64]) as f32, expected);
            }
        }
        assert_eq!(alone.unit(Draw::Flip).double_value(&[0]), draws.unit(Draw::Flip).double_value(&[1]));
    }

    #[test]
    fn they_are_even() {
        let samples = Tensor::arange(20_000, (Kind::Int64, tch::Device::Cpu));
        let draws = Draws::new(&samples, 3);
        let mean = draws.0.mean_dim([0i64].as_slice(), false, None);
        let distance = (mean - 0.5).abs().max().double_value(&[]);
        assert!(distance < 0.01, "{distance}"); // five standard deviations
        let correlation = (draws.around_zero(Draw::ShiftX, 1.0) * draws.around_zero(Draw::ShiftY, 1.0)).mean(None);
        assert!(correlation.double_value(&[]).abs() < 0.012);
    }
}
