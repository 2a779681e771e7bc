//! Keras's sizes of sliding windows.

use super::options::{Padding, Pair};
use crate::error::{Error, Result};

/// No side of an output may be longer.
pub(super) const MAX_SIZE: usize = 1 << 24;

/// The output's size of a window sliding over `size` (height, width).
pub(super) fn output(
    size: (usize, usize),
    window: Pair,
    strides: Pair,
    dilation: Pair,
    padding: Padding,
) -> Result<Pair> {
    Ok(Pair {
        height: axis_output("height", size.0, window.height, strides.height, dilation.height, padding)?,
        width: axis_output("width", size.1, window.width, strides.width, dilation.width, padding)?,
    })
}

/// `valid`: ⌈(n − (k − 1)·d) / s⌉; `same`: ⌈n / s⌉.
fn axis_output(axis: &str, n: usize, k: usize, s: usize, d: usize, padding: Padding) -> Result<usize> {
    check_window(axis, k, s)?;
    bounded("dilation_rate", axis, d)?;
    let reach = (k - 1).checked_mul(d).filter(|reach| *reach < MAX_SIZE);
    let reach = reach.ok_or_else(|| Error::model(format!("the window is too large along the {axis}")).got(k))?;
    match padding {
        Padding::Same => Ok(n.div_ceil(s)),
        Padding::Valid if n > reach => Ok((n - reach).div_ceil(s)),
        Padding::Valid => Err(Error::model(format!("the window does not fit into the image's {axis}"))
            .expected(format!("at least {} pixels", reach + 1))
            .got(n)
            .help("use larger images, a smaller window, or padding \"same\"")),
    }
}

/// `same`: n·s; `valid`: n·s + max(k − s, 0); with an output padding: (n − 1)·s + k + it, less 2·⌊k / 2⌋ for `same`.
pub(super) fn transposed_output(
    axis: &str,
    n: usize,
    k: usize,
    s: usize,
    padding: Padding,
    output_padding: Option<usize>,
) -> Result<usize> {
    check_window(axis, k, s)?;
    let too_large = || Error::model(format!("the output is too large along the {axis}"));
    let scaled = n.checked_mul(s).filter(|size| *size <= MAX_SIZE).ok_or_else(too_large)?;
    match (output_padding, padding) {
        (None, Padding::Same) => Ok(scaled),
        (None, Padding::Valid) => Ok(scaled + k.saturating_sub(s)),
        (Some(added), _) if added >= s => Err(Error::model(format!("output_padding is too large along the {axis}"))
            .expected(format!("less than the stride {s}"))
            .got(added)),
        (Some(added), padding) => {
            let cut = if padding == Padding::Same { k / 2 * 2 } else { 0 };
            (scaled - s + k + added).checked_sub(cut).filter(|size| *size > 0).ok_or_else(|| {
                Error::model(format!("nothing is left of the output along the {axis}")).help("use a smaller window")
            })
        }
    }
}

fn check_window(axis: &str, k: usize, s: usize) -> Result<()> {
    bounded("the window", axis, k)?;
    bounded("strides", axis, s)
}

fn bounded(key: &str, axis: &str, value: usize) -> Result<()> {
    match (1..MAX_SIZE).contains(&value) {
        true => Ok(()),
        false => Err(Error::model(format!("{key} cannot be used along the {axis}"))
            .expected(format!("1 to {}", MAX_SIZE - 1))
            .got(value)),
    }
}

/// Zeros before and after along one axis that give `same` padding: the odd pixel goes after.
pub fn same_padding(n: usize, k: usize, s: usize, d: usize) -> (usize, usize) {
    let covered = (n.div_ceil(s) - 1) * s + (k - 1) * d + 1;
    let total = covered.saturating_sub(n);
    (total / 2, total - total / 2)
}

/// How many pixels of a transposed convolution's full output, (n − 1)·s + k, come before its first, given its size `out`.
pub fn transposed_crop(n: usize, k: usize, s: usize, out: usize, padding: Padding) -> usize {
    let full = (n - 1) * s + k;
    if padding == Padding::Same { full.saturating_sub(out) / 2 } else { 0 }
}

#[cfg(test)]
mod tests;
