//! Other shapes and sizes.

use tch::{Device, Kind, Tensor};

use super::graph::{int, word};
use super::layers::Steps;
use crate::model::layers::resize;
use crate::model::spec::Sides;
use crate::model::spec::layers::{Interpolation, Permute, UpSampling2D};

impl Steps<'_> {
    pub(super) fn flatten(&mut self) {
        self.put_in_keras_order(self.input());
        self.apply("Flatten", &[], vec![int("axis", 1)]);
    }

    pub(super) fn reshape_layer(&mut self) {
        let output = self.output();
        self.put_in_keras_order(self.input());
        let sizes: Vec<i64> = output.iter().map(|&size| size as i64).collect();
        self.reshape("target_shape", &sizes);
        self.put_back(output);
    }

    pub(super) fn permute(&mut self, permute: &Permute) {
        self.put_in_keras_order(self.input());
        let order: Vec<i64> = std::iter::once(0).chain(permute.dims.iter().map(|&axis| axis as i64)).collect();
        self.transpose(&order);
        self.put_back(self.output());
    }

    pub(super) fn zero_pad(&mut self, sides: Sides) {
        let Sides { top, bottom, left, right } = sides;
        let pads = [0, 0, top, left, 0, 0, bottom, right].map(|size| size as i64);
        let (pads, zero) = (self.integers("pads", &pads), self.scalar(0.0));
        self.apply("Pad", &[&pads, &zero], vec![word("mode", "constant")]);
    }

    /// The output's height and width from `top`, `left` on.
    pub(super) fn crop(&mut self, [top, left]: [usize; 2]) {
        let ends = [top + self.output()[0], left + self.output()[1]];
        let [starts, ends] = [[top, left], ends].map(|places| places.map(|place| place as i64));
        let (starts, ends) = (self.integers("starts", &starts), self.integers("ends", &ends));
        let axes = self.integers("axes", &[2, 3]);
        self.apply("Slice", &[&starts, &ends, &axes], vec![]);
    }

    /// The middle; the odd pixel goes at the end.
    pub(super) fn center_crop(&mut self) {
        let before = |axis: usize| (self.input()[axis] - self.output()[axis]) / 2;
        self.crop([before(0), before(1)]);
    }

    /// By whole factors.
    pub(super) fn upsample(&mut self, up: &UpSampling2D) {
        let factors = [up.size.height as f32, up.size.width as f32];
        match up.interpolation {
            Interpolation::Nearest => {
                let floor = [("coordinate_transformation_mode", "asymmetric"), ("nearest_mode", "floor")];
                self.scale(factors, &[[("mode", "nearest")].as_slice(), &floor].concat());
            }
            Interpolation::Bilinear => self.scale(factors, &LINEAR),
        }
    }

    /// To the output's size.
    pub(super) fn resize(&mut self, interpolation: Interpolation) {
        let (from, to) = ([self.input()[0], self.input()[1]], [self.output()[0], self.output()[1]]);
        match interpolation {
            Interpolation::Bilinear => self.scale([factor(from[0], to[0]), factor(from[1], to[1])], &LINEAR),
            Interpolation::Nearest => {
                for (axis, name) in [(0, "rows"), (1, "columns")] {
                    let nearest = self.integers(name, &nearest(from[axis], to[axis]));
                    self.apply("Gather", &[&nearest], vec![int("axis", axis as i64 + 2)]);
                }
            }
        }
    }

    fn scale(&mut self, [height, width]: [f32; 2], how: &[(&str, &str)]) {
        let factors = self.floats("scales", &[4], &[1.0, 1.0, height, width]);
        self.apply("Resize", &["", &factors], how.iter().map(|(name, value)| word(name, value)).collect());
    }
}

/// Linearly from the four pixels around, which have their values at their centres.
const LINEAR: [(&str, &str); 2] = [("mode", "linear"), ("coordinate_transformation_mode", "half_pixel")];

/// The factor that makes `to` of `from`, rounded up, as a size is their product rounded down. A file could hold the size in its
/// place, with the batch's size beside it that is any, or by axes, with which onnxruntime 1.32 fails behind a Transpose.
fn factor(from: usize, to: usize) -> f32 {
    let nearest = (to as f64 / from as f64) as f32;
    if f64::from(nearest) * from as f64 >= to as f64 { nearest } else { nearest.next_up() }
}

/// For each of `to` places, which of `from` the network takes: libtorch's own choice, ties and all.
fn nearest(from: usize, to: usize) -> Vec<i64> {
    let places = Tensor::arange(from as i64, (Kind::Float, Device::Cpu)).reshape([1, 1, -1, 1]); // exact below 2²⁴
    let taken = resize(Interpolation::Nearest, &[to, 1, 1])(&places);
    Vec::<i64>::try_from(&taken.to_kind(Kind::Int64).reshape([-1])).expect("a flat i64 tensor on the CPU")
}
