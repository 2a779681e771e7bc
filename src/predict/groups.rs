//! In what groups images go through a network, so that a prediction has the same bits whatever else is predicted with it.
//!
//! libtorch chooses its routines by the number of images: a Dense layer of one image is a matrix times a vector, of two a product
//! of matrices, and their sums round differently. Measured with five networks on a CPU with AVX-512, one and two threads: batches of 1
//! differ from all others by up to 1.2e-7, batches of 2 to 12 now and then among themselves, multiples of 16 never. So a group
//! has one size, which depends on the network and the device alone, and is filled up with black images.

use tch::{Device, Tensor};

/// Images in a group where a call of libtorch costs more than what it computes.
const GROUP: usize = 16;
/// Above so many products of a weight and a value for an image, a group on the CPU is one image: filling up would cost more than
/// computing many at once gains.
const MAX_MULTIPLY_ADDS: usize = 8_000_000;

/// How many images a network with `multiply_adds` for each of them takes at once on `device`; at least one.
pub fn size(multiply_adds: usize, device: Device) -> usize {
    match device {
        Device::Cpu if multiply_adds > MAX_MULTIPLY_ADDS => 1,
        _ => GROUP,
    }
}

/// `images [B, H, W, C]`, B at most `size`, with black ones behind them: `[size, H, W, C]`.
pub fn filled(images: &Tensor, size: usize) -> Tensor {
    match size as i64 - images.size()[0] {
        missing @ 1.. => images.constant_pad_nd([0, 0, 0, 0, 0, 0, 0, missing]),
        _ => images.shallow_clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_filled_with_black_images_behind() {
        let images = Tensor::from_slice(&[1u8, 2, 3, 4, 5, 6]).reshape([3, 1, 2, 1]);
        let whole = filled(&images, 4);
        assert_eq!(whole.size(), [4, 1, 2, 1]);
        assert_eq!(Vec::<u8>::try_from(whole.reshape([-1])).unwrap(), [1, 2, 3, 4, 5, 6, 0, 0]);
        assert_eq!(filled(&images, 3), images);
    }

    #[test]
    fn small_networks_and_gpus_take_groups() {
        assert_eq!(size(2_440_960, Device::Cpu), GROUP);
        assert_eq!(size(1_814_073_344, Device::Cpu), 1);
        assert_eq!(size(1_814_073_344, Device::Cuda(0)), GROUP);
    }
}
