//! Convolutions and pooling.

use super::super::windows::{self, sides, sizes};
use super::graph::{int, ints};
use super::layers::Steps;
use super::proto::AttributeProto;
use crate::model::spec::layers::{
    AveragePooling2D, Conv2D, Conv2DTranspose, DepthwiseConv2D, MaxPooling2D, SeparableConv2D,
};
use crate::model::spec::{Padding, Pair};

const SINGLE: Pair = Pair::square(1);

impl Steps<'_> {
    pub(super) fn conv2d(&mut self, conv: &Conv2D) {
        let window = self.window(conv.padding, conv.kernel_size, conv.strides, conv.dilation_rate);
        let (kernel, bias) = (self.weight("weight"), self.optional_weight("bias"));
        self.convolution(&kernel, bias, window, conv.groups);
    }

    pub(super) fn depthwise(&mut self, conv: &DepthwiseConv2D) {
        let window = self.window(conv.padding, conv.kernel_size, conv.strides, conv.dilation_rate);
        let (kernel, bias) = (self.weight("weight"), self.optional_weight("bias"));
        self.convolution(&kernel, bias, window, self.channels());
    }

    /// Each channel by itself, then 1 × 1 across them.
    pub(super) fn separable(&mut self, conv: &SeparableConv2D) {
        let window = self.window(conv.padding, conv.kernel_size, conv.strides, conv.dilation_rate);
        let kernel = self.weight("depthwise_weight");
        self.convolution(&kernel, None, window, self.channels());
        let (kernel, bias) = (self.weight("pointwise_weight"), self.optional_weight("bias"));
        self.convolution(&kernel, bias, vec![ints("kernel_shape", &[1, 1])], 1);
    }

    fn convolution(&mut self, kernel: &str, bias: Option<String>, mut window: Vec<AttributeProto>, groups: usize) {
        window.push(int("group", groups as i64));
        let inputs: Vec<&str> = std::iter::once(kernel).chain(bias.as_deref()).collect();
        self.apply("Conv", &inputs, window);
    }

    /// Keras's part of the whole output; what it lacks is added after.
    pub(super) fn transposed(&mut self, conv: &Conv2DTranspose) {
        let [rows, columns] = windows::transposed(conv, self.input(), self.output());
        let cut = [rows.before, columns.before, rows.after.max(0), columns.after.max(0)];
        let added = [rows, columns].map(|axis| (-axis.after).max(0));
        let attributes = vec![
            ints("kernel_shape", &sizes(conv.kernel_size)),
            ints("strides", &sizes(conv.strides)),
            ints("pads", &cut),
            ints("output_padding", &added),
        ];
        let (kernel, bias) = (self.weight("weight"), self.optional_weight("bias"));
        let inputs: Vec<&str> = std::iter::once(&*kernel).chain(bias.as_deref()).collect();
        self.apply("ConvTranspose", &inputs, attributes);
    }

    pub(super) fn max_pool(&mut self, pool: &MaxPooling2D) {
        let mut window = self.window(pool.padding, pool.pool_size, pool.strides.unwrap_or(pool.pool_size), SINGLE);
        window.retain(|attribute| attribute.name != "dilations");
        self.apply("MaxPool", &[], window);
    }

    /// The mean over the pixels that are there.
    pub(super) fn average_pool(&mut self, pool: &AveragePooling2D) {
        let mut window = self.window(pool.padding, pool.pool_size, pool.strides.unwrap_or(pool.pool_size), SINGLE);
        window.retain(|attribute| attribute.name != "dilations");
        window.push(int("count_include_pad", 0));
        self.apply("AveragePool", &[], window);
    }

    /// Over height and width: `[N, C, 1, 1]`, or `[N, C]`.
    pub(super) fn global(&mut self, op: &str, keepdims: bool) {
        self.apply(op, &[], vec![]);
        if !keepdims {
            self.apply("Flatten", &[], vec![int("axis", 1)]);
        }
    }

    fn window(&self, padding: Padding, window: Pair, strides: Pair, dilation: Pair) -> Vec<AttributeProto> {
        let [left, right, top, bottom] = sides(padding, self.input(), window, strides, dilation);
        vec![
            ints("kernel_shape", &sizes(window)),
            ints("strides", &sizes(strides)),
            ints("dilations", &sizes(dilation)),
            ints("pads", &[top, left, bottom, right]),
        ]
    }
}
