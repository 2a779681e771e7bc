//! Other shapes and sizes.

use tch::{Device, Kind, Tensor};

use super::graph::{int, ints, word};
use super::layers::Steps;
use super::proto::AttributeProto;
use crate::model::layers::resize;
use crate::model::spec::Sides;
use crate::model::spec::layers::{Interpolation, Permute, UpSampling2D};

impl Steps<'_> {
    pub(super) fn flatten(&mut self) {
        self.to_keras(&self.input().to_vec());
        self.apply("Flatten", &[], vec![int("axis", 1)]);
    }

    pub(super) fn reshape_layer(&mut self) {
        let output = self.output().to_vec();
        self.to_keras(&self.input().to_vec());
        let sizes: Vec<i64> = output.iter().map(|&size| size as i64).collect();
        self.reshape("target_shape", &sizes);
        self.from_keras(&output);
    }

    pub(super) fn permute(&mut self, permute: &Permute) {
        self.to_keras(&self.input().to_vec());
        let order: Vec<i64> = std::iter::once(0).chain(permute.dims.iter().map(|&axis| axis as i64)).collect();
        self.transpose(&order);
        self.from_keras(&self.output().to_vec());
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
        let factors = [1.0, 1.0, up.size.height as f32, up.size.width as f32];
        let factors = self.floats("scales", &[4], &factors);
        let attributes = match up.interpolation {
            Interpolation::Nearest => vec![
                word("mode", "nearest"),
                word("coordinate_transformation_mode", "asymmetric"),
                word("nearest_mode", "floor"),
            ],
            Interpolation::Bilinear => linear(),
        };
        self.apply("Resize", &["", &factors], attributes);
    }

    /// To the output's size.
    pub(super) fn resize(&mut self, interpolation: Interpolation) {
        match interpolation {
            Interpolation::Bilinear => {
                let sizes = [self.output()[0] as i64, self.output()[1] as i64];
                let sizes = self.integers("sizes", &sizes);
                self.graph.needs_opset(18); // the first whose Resize leaves the batch alone
                self.apply("Resize", &["", "", &sizes], [linear(), vec![ints("axes", &[2, 3])]].concat());
            }
            Interpolation::Nearest => {
                for (axis, name) in [(0, "rows"), (1, "columns")] {
                    let nearest = nearest(self.input()[axis], self.output()[axis]);
                    let nearest = self.integers(name, &nearest);
                    self.apply("Gather", &[&nearest], vec![int("axis", axis as i64 + 2)]);
                }
            }
        }
    }
}

/// Linearly from the four pixels around, which have their values at their centres.
fn linear() -> Vec<AttributeProto> {
    vec![word("mode", "linear"), word("coordinate_transformation_mode", "half_pixel")]
}

/// For each of `to` places, which of `from` the network takes: libtorch's own choice, ties and all.
fn nearest(from: usize, to: usize) -> Vec<i64> {
    let places = Tensor::arange(from as i64, (Kind::Float, Device::Cpu)).reshape([1, 1, -1, 1]); // exact below 2²⁴
    let taken = resize(Interpolation::Nearest, &[to, 1, 1])(&places);
    Vec::<i64>::try_from(&taken.to_kind(Kind::Int64).reshape([-1])).expect("a flat i64 tensor on the CPU")
}
