//! Noise in training. Where several processes share a batch, an image sees the same noise whatever their number: dropout on the CPU is
//! drawn for each row by itself; else each process draws for all of the batch and takes its own rows.

use tch::{Device, Kind, Tensor};

use super::order::axis_here;
use crate::distributed::noise_rows;
use crate::native;

/// The negative saturation value of SELU, -α·λ (Klambauer and others 2017).
const SELU_FLOOR: f64 = -1.673_263_242_354_377_2 * 1.050_700_987_355_480_5;
/// How much of a tensor libtorch's kernels for CUDA read at a time at most, where it is aligned to as much.
const VECTOR_BYTES: usize = 16;

/// Inverted dropout of `x`, any shape: a value stays with probability `1 - rate` (to the next 1/65536, by whose exact
/// value it is then divided), else becomes 0.
pub fn dropout(x: &Tensor, rate: f64) -> Tensor {
    let (first, total) = noise_rows(x.size()[0]);
    match x.device() {
        Device::Cpu => {
            drawn_by_row(x, rate, first).unwrap_or_else(|| x * mask(x, rate, total).narrow(0, first, x.size()[0]))
        }
        _ if x.dim() == 4 => drawn_at_once(&x.permute([0, 2, 3, 1]), rate, first, total).permute([0, 3, 1, 2]),
        _ => drawn_at_once(x, rate, first, total),
    }
}

/// As [`dropout`], by libtorch's operator, where `x` has the rows from `first` on of `total`, its axes in the order of memory.
fn drawn_at_once(x: &Tensor, rate: f64, first: i64, total: i64) -> Tensor {
    let share = dropped_share(rate);
    let batch = x.size()[0];
    // a value's draw follows from its place in memory, and from how many a GPU takes at a time: as many as are aligned
    let lies_as_new = x.is_contiguous() && (x.data_ptr() as usize).is_multiple_of(VECTOR_BYTES);
    if batch == total && lies_as_new {
        return x.native_dropout(share, true).0;
    }
    let mut size = x.size();
    size[0] = total;
    let (_, kept) = Tensor::ones(&size, (x.kind(), x.device())).native_dropout(share, true); // bool [total, …]
    // its forward pass computes the same, with a mask that is given
    Tensor::native_dropout_backward(x, &kept.narrow(0, first, batch), 1.0 / (1.0 - share))
}

/// As [`dropout`], on the CPU, where `x` begins with row `first` of its batch.
fn drawn_by_row(x: &Tensor, rate: f64, first: i64) -> Option<Tensor> {
    // one number of libtorch's generator for each call of a layer
    let key = Tensor::empty([1], (Kind::Int64, Device::Cpu)).random_from_(i64::MIN, None).int64_value(&[0]);
    let kept = |x: &Tensor| {
        native::dropout(x, key, dropped_of_65536(rate), first).unwrap_or_else(|error| native::throw(error))
    };
    match native::is_fused() {
        true => kept(x),
        false => kept(&x.ones_like()).map(|mask| x * mask),
    }
}

/// How many out of 65536 values are dropped: not all.
fn dropped_of_65536(rate: f64) -> i64 {
    (rate * 65536.0).round().min(65535.0) as i64
}

/// The share of values that are dropped.
fn dropped_share(rate: f64) -> f64 {
    dropped_of_65536(rate) as f64 / 65536.0
}

/// What `x` is multiplied by to drop values of it, which has `rows` rows here; images with their channels last in memory.
fn mask(x: &Tensor, rate: f64, rows: i64) -> Tensor {
    let mut size = x.size();
    size[0] = rows;
    if let [batch, channels, height, width] = size[..] {
        size = vec![batch, height, width, channels];
    }
    let mask = match x.device() {
        Device::Cpu => mask_of_words(&size, rate, x.kind()),
        device => Tensor::ones(&size, (x.kind(), device)).native_dropout(dropped_share(rate), true).0,
    };
    if size.len() == 4 { mask.permute([0, 3, 1, 2]) } else { mask }
}

/// A mask of `size` on the CPU, from 16-bit pieces of random 64-bit words.
fn mask_of_words(size: &[i64], rate: f64, kind: Kind) -> Tensor {
    let dropped = dropped_of_65536(rate) as f64;
    let count: i64 = size.iter().product();
    let mut words = Tensor::empty([(count + 3) / 4], (Kind::Int64, Device::Cpu));
    // from the smallest value without an upper bound: all 64 bits are drawn
    let words = words.random_from_(i64::MIN, None);
    let pieces = words.view_dtype(Kind::Int16).narrow(0, 0, count);
    let kept = pieces.ge(dropped - 32768.0).to_kind(kind);
    (kept * (65536.0 / (65536.0 - dropped))).reshape(size)
}

/// As [`dropout`], where the values along some axes of Keras's order share a draw: `shared` says for each, the batch's
/// first, whether they do.
pub fn shared(x: &Tensor, rate: f64, shared: &[bool]) -> Tensor {
    let mut noise_shape = x.size();
    let (first, total) = noise_rows(noise_shape[0]);
    for (keras_axis, _) in shared.iter().enumerate().filter(|(_, is_shared)| **is_shared) {
        noise_shape[axis_here(keras_axis, shared.len()) as usize] = 1;
    }
    let noise = Tensor::empty(&noise_shape, (x.kind(), x.device()));
    match shared.first() {
        Some(true) => x * mask(&noise, rate, 1), // one draw for all images
        _ => x * mask(&noise, rate, total).narrow(0, first, noise_shape[0]),
    }
}

/// Inverted dropout of whole images of `x [B, …]`.
pub fn whole_images(x: &Tensor, rate: f64) -> Tensor {
    let is_shared: Vec<bool> = (0..x.dim()).map(|axis| axis > 0).collect();
    shared(x, rate, &is_shared)
}

/// Inverted dropout of whole channels of `x [B, C, H, W]`.
pub fn spatial(x: &Tensor, rate: f64) -> Tensor {
    shared(x, rate, &[false, true, true, false])
}

/// Values become SELU's floor with probability `rate`; all are then scaled and moved back to mean 0 and variance 1.
pub fn alpha(x: &Tensor, rate: f64) -> Tensor {
    let kept = drawn(x, |size, options| Tensor::rand(size, options)).ge(rate).to_kind(x.kind());
    let scale = ((1.0 - rate) * (1.0 + rate * SELU_FLOOR * SELU_FLOOR)).powf(-0.5);
    let offset = -scale * SELU_FLOOR * rate;
    let floor = (1.0 - &kept) * SELU_FLOOR;
    (x * kept + floor) * scale + offset
}

/// `x` times normal values of mean 1 and variance rate / (1 - rate).
pub fn gaussian(x: &Tensor, rate: f64) -> Tensor {
    x * (drawn(x, |size, options| Tensor::randn(size, options)) * (rate / (1.0 - rate)).sqrt() + 1.0)
}

/// `x` plus normal values.
pub fn noise(x: &Tensor, stddev: f64) -> Tensor {
    x + drawn(x, |size, options| Tensor::randn(size, options)) * stddev
}

/// What `draw` gives of a size and kind, in the shape of `x`: images with their channels last in memory.
fn drawn(x: &Tensor, draw: impl Fn(&[i64], (Kind, Device)) -> Tensor) -> Tensor {
    let (first, total) = noise_rows(x.size()[0]);
    let mut size = x.size();
    let batch = std::mem::replace(&mut size[0], total);
    let all = match size[..] {
        [total, channels, height, width] => {
            draw(&[total, height, width, channels], (x.kind(), x.device())).permute([0, 3, 1, 2])
        }
        _ => draw(&size, (x.kind(), x.device())),
    };
    all.narrow(0, first, batch)
}

#[cfg(test)]
mod tests;
