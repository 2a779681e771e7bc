//! The padding that windows need, and sizes as libtorch takes them.

use tch::Tensor;

use super::super::spec::{Padding, Pair, Sides, same_padding};

/// Keras's padding in numbers: left, right, top, bottom.
#[derive(Debug, Clone, Copy)]
pub struct Pad([i64; 4]);

impl Pad {
    /// What `padding` means for windows on an image of Keras's shape `input`.
    pub fn new(padding: Padding, input: &[usize], window: Pair, strides: Pair, dilation: Pair) -> Self {
        let (Padding::Same, &[height, width, _]) = (padding, input) else {
            return Pad::none();
        };
        let (top, bottom) = same_padding(height, window.height, strides.height, dilation.height);
        let (left, right) = same_padding(width, window.width, strides.width, dilation.width);
        Pad([left as i64, right as i64, top as i64, bottom as i64])
    }

    /// As much as `sides` says; none where opposite ones differ.
    pub fn even(sides: Sides) -> Option<Self> {
        let Sides { top, bottom, left, right } = sides;
        let pad = Pad([left, right, top, bottom].map(|size| size as i64));
        (left == right && top == bottom).then_some(pad)
    }

    /// No padding.
    pub fn none() -> Self {
        Pad([0; 4])
    }

    /// Left, right, top, bottom.
    pub fn sides(&self) -> [i64; 4] {
        self.0
    }

    /// Whether it is none.
    pub fn is_none(&self) -> bool {
        self.0 == [0; 4]
    }

    /// The input and the padding to give to the operator: even padding is the operator's own, the rest is done here.
    pub fn apply(&self, x: &Tensor, value: f64) -> (Tensor, [i64; 2]) {
        let [left, right, top, bottom] = self.0;
        if left == right && top == bottom { (x.shallow_clone(), [top, left]) } else { (self.around(x, value), [0, 0]) }
    }

    /// `x` with `value` around it.
    pub fn around(&self, x: &Tensor, value: f64) -> Tensor {
        if self.is_none() { x.shallow_clone() } else { x.pad(self.0, "constant", value) }
    }
}

/// Height and width as libtorch takes them.
pub fn sizes(pair: Pair) -> [i64; 2] {
    [pair.height as i64, pair.width as i64]
}
