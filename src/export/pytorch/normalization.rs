//! Normalisation and rescaling as modules of PyTorch, the factors and offsets that Keras leaves out filled in.

use super::convert::{TorchSteps, refused};
use super::module::Module;
use crate::error::Result;
use crate::model::spec::Numbers;
use crate::model::spec::layers::{
    BatchNormalization, GroupNormalization, LayerNormalization, Normalization, Rescaling,
};

impl TorchSteps<'_> {
    pub(super) fn batch_norm(&mut self, norm: &BatchNormalization) -> Result<()> {
        if !(2..=4).contains(&self.rank()) {
            return Err(refused("BatchNormalization of more than three axes"));
        }
        let axis = norm.channel_axis(self.input())?;
        let features = self.input()[axis - 1] as i64;
        let (epsilon, momentum, image) = (norm.epsilon, 1.0 - norm.momentum, self.is_image());
        let mut weights = self.affine(&[features]);
        weights.extend(["running_mean", "running_var"].map(|name| (name, self.weight(name))));
        let to_second = self.to_second(axis);
        self.steps_around(to_second, "", Module::BatchNorm { features, epsilon, momentum, image }, weights);
        Ok(())
    }

    pub(super) fn group_norm(&mut self, norm: &GroupNormalization) -> Result<()> {
        let axis = norm.channel_axis(self.input())?;
        let channels = self.input()[axis - 1] as i64;
        let groups = norm.num_groups(channels as usize)? as i64;
        let (epsilon, weights) = (norm.epsilon, self.affine(&[channels]));
        let to_second = self.to_second(axis);
        self.steps_around(to_second, "", Module::GroupNorm { groups, channels, epsilon }, weights);
        Ok(())
    }

    /// The order of axes that brings Keras's `axis` to PyTorch's channels, and back; none where it is there.
    fn to_second(&self, axis: usize) -> Option<Vec<i64>> {
        let mut order: Vec<i64> = (0..self.rank()).collect();
        let dim = self.dim(axis);
        order.swap(1, dim as usize);
        (dim != 1).then_some(order)
    }

    fn steps_around(
        &mut self,
        order: Option<Vec<i64>>,
        suffix: &'static str,
        module: Module,
        weights: Vec<(&'static str, tch::Tensor)>,
    ) {
        if let Some(order) = &order {
            self.push("_to_channels", Module::Permute(order.clone()));
        }
        self.push_with(suffix, module, weights);
        if let Some(order) = order {
            self.push("_from_channels", Module::Permute(order));
        }
    }

    pub(super) fn layer_norm(&mut self, norm: &LayerNormalization) -> Result<()> {
        let rank = self.rank() as usize;
        let axes = norm.axes(rank)?;
        let first = axes.first().copied().unwrap_or(rank);
        if !axes.iter().copied().eq(first..rank) {
            return Err(refused("LayerNormalization over axes that are not the last ones"));
        }
        let shape: Vec<i64> = self.input()[first - 1..].iter().map(|&size| size as i64).collect();
        let weights = self.affine(&shape);
        self.push_to_keras();
        self.push_with("", Module::LayerNorm { shape, epsilon: norm.epsilon }, weights);
        self.push_from_keras();
        Ok(())
    }

    pub(super) fn slopes(&mut self) {
        let alpha = self.weight("weight");
        let alpha = if self.is_image() { alpha.permute([2, 0, 1]).contiguous() } else { alpha };
        self.push_with("", Module::Slopes { shape: alpha.size() }, vec![("weight", alpha)]);
    }

    /// A factor a channel.
    pub(super) fn channel_scale(&mut self) {
        let factors = self.weight("weight");
        let factors = if self.is_image() { factors.reshape([-1, 1, 1]) } else { factors };
        self.push_with("", Module::Scale { shape: factors.size() }, vec![("weight", factors)]);
    }

    pub(super) fn rescaling(&mut self, rescaling: &Rescaling) {
        let (scale, offset) = (rescaling.scale.values().to_vec(), rescaling.offset.values().to_vec());
        self.by_channel(scale, offset);
    }

    fn by_channel(&mut self, scale: Vec<f64>, offset: Vec<f64>) {
        let (rank, dim) = (self.rank(), self.dim(self.input().len()));
        self.push("", Module::Affine { scale, offset, rank, dim });
    }

    /// `(x - mean) / s` as `x · (1 / s) - mean / s`, with `s = max(√variance, 1e-7)`; inverted `x · s + mean`.
    pub(super) fn normalization(&mut self, norm: &Normalization) -> Result<()> {
        let rank = self.input().len();
        if !self.has_no_weights() && norm.kept_axes(self.input())?.iter().any(|&axis| axis != rank) {
            return Err(refused("Normalization over axes that are not the last"));
        }
        let numbers = |setting: &Option<Numbers>, name: &str| match setting {
            Some(numbers) => numbers.values().to_vec(),
            None => {
                let weight = self.weight(name).to_kind(tch::Kind::Double).reshape([-1]);
                Vec::<f64>::try_from(&weight).expect("a flat f64 tensor")
            }
        };
        let (mean, variance) = (numbers(&norm.mean, "mean"), numbers(&norm.variance, "variance"));
        let stddev = variance.iter().map(|variance| variance.sqrt().max(1e-7));
        match norm.invert {
            true => self.by_channel(stddev.collect(), mean),
            false => {
                let scale: Vec<f64> = stddev.map(|stddev| 1.0 / stddev).collect();
                let longer = scale.len().max(mean.len());
                let at = |numbers: &[f64], index: usize| numbers[if numbers.len() == 1 { 0 } else { index }];
                let offset = (0..longer).map(|index| -at(&mean, index) * at(&scale, index)).collect();
                self.by_channel(scale, offset);
            }
        }
        Ok(())
    }
}
