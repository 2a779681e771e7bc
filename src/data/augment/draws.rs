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
mod tests;
