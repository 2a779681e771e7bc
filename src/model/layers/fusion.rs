//! What a layer computes for the layer before it, so that both take fewer passes over memory. No value changes by it.

use tch::Tensor;

use super::super::spec::layers::ReLU;
use super::super::spec::{Activation, FunctionLayer, LayerPlan, LayerSpec, Padding, Pair, Plan, Source};
use super::convolution::{self, Convolution};
use super::moved::Moved;
use super::padding::Pad;
use super::pooling;
use crate::native::{self, Behind};

/// Where biases and activations are computed.
pub struct Fusion {
    /// What each call's activation is still to do.
    pub activations: Vec<Activation>,
    /// Whether each call's activation takes the place of what it is computed of.
    pub in_place: Vec<bool>,
    /// For each max-pooling the call whose ReLU it takes.
    relu_of: Vec<Option<usize>>,
    /// For each max-pooling the call whose bias it adds.
    bias_of: Vec<Option<usize>>,
    /// For each max-pooling the call whose convolution it computes.
    convolution_of: Vec<Option<usize>>,
    /// For each batch normalisation what it does for the activation that alone reads it.
    behind: Vec<Behind>,
    /// For each convolution and max-pooling the call whose zeros it adds around its input, and these.
    zeros_of: Vec<Option<(usize, Pad)>>,
}

impl Fusion {
    /// A ReLU goes behind the max-pooling that alone reads it, which has a quarter of the elements; so does a convolution's bias,
    /// where the windows do not overlap. The values of `features_call` may be kept: nothing takes their place.
    pub fn new(plan: &Plan, leaves: &[(String, &LayerPlan)], features_call: Option<usize>) -> Self {
        let spec = |index: usize| &leaves[plan.calls[index].leaf].1.layer.spec;
        let activations: Vec<Activation> =
            (0..plan.calls.len()).map(|index| simplified(spec(index).activation())).collect();
        let none = vec![None; activations.len()];
        let in_place = (0..activations.len()).map(|index| makes_anew(spec(index))).collect();
        let behind = vec![Behind::Linear; activations.len()];
        let zeros_of = zeros_of(plan, leaves, features_call);
        let mut fusion = Fusion {
            activations,
            in_place,
            relu_of: none.clone(),
            bias_of: none.clone(),
            convolution_of: none,
            behind,
            zeros_of,
        };
        for (index, readers) in plan.readers().iter().enumerate() {
            let [reader] = readers[..] else { continue };
            // features that are kept are read again in the next epoch
            if let LayerSpec::Activation(_) | LayerSpec::ReLU(_) = spec(reader)
                && Some(index) != features_call
                && makes_anew(spec(index))
                && fusion.activations[index] == Activation::Linear
            {
                match (spec(index), behind_of(&fusion.activations[reader])) {
                    (LayerSpec::BatchNormalization(_), Some(behind)) => {
                        fusion.activations[reader] = Activation::Linear;
                        fusion.behind[index] = behind;
                    }
                    _ => fusion.in_place[reader] = true,
                }
            }
            let LayerSpec::MaxPooling2D(pool) = spec(reader) else { continue };
            match fusion.activations[index] {
                Activation::Relu => {
                    fusion.activations[index] = Activation::Linear;
                    fusion.relu_of[reader] = Some(index);
                }
                Activation::Linear => {}
                _ => continue,
            }
            let has_bias = leaves[plan.calls[index].leaf].1.weights.len() == 2;
            let LayerSpec::Conv2D(convolution) = spec(index) else { continue };
            if !pooling::takes_bias(pool, &plan.calls[reader].input_shapes[0]) {
                continue;
            }
            fusion.bias_of[reader] = has_bias.then_some(index);
            let can_pool = convolution::can_pool(convolution, &plan.calls[index].input_shapes[0]);
            // features that are kept are the convolution's
            if can_pool && pool.pool_size == Pair::square(2) && Some(index) != features_call {
                fusion.convolution_of[reader] = Some(index);
            }
        }
        fusion
    }

    /// Every call computes what its layer says, into values of their own: for whoever looks at them.
    pub fn none(plan: &Plan, leaves: &[(String, &LayerPlan)]) -> Self {
        let activation = |index: usize| leaves[plan.calls[index].leaf].1.layer.spec.activation();
        let activations: Vec<Activation> = (0..plan.calls.len()).map(activation).collect();
        let none = vec![None; activations.len()];
        let behind = vec![Behind::Linear; activations.len()];
        let in_place = vec![false; activations.len()];
        Fusion {
            in_place,
            activations,
            relu_of: none.clone(),
            bias_of: none.clone(),
            convolution_of: none,
            behind,
            zeros_of: vec![None; plan.calls.len()],
        }
    }

    /// What is different in call `index` of `plan`; `own` gives a call's weights.
    pub fn moved(
        &self,
        plan: &Plan,
        leaves: &[(String, &LayerPlan)],
        index: usize,
        own: impl Fn(usize) -> Vec<Tensor>,
    ) -> Moved {
        let zeros = |index: usize| self.zeros_of[index].map(|(_, zeros)| zeros);
        let convolution = self.convolution_of[index].and_then(|call| {
            let LayerSpec::Conv2D(spec) = &leaves[plan.calls[call].leaf].1.layer.spec else { return None };
            let kernel = own(call).into_iter().take(1).collect();
            Some(Convolution::new(spec, &plan.calls[call].input_shapes[0], kernel, zeros(call)))
        });
        Moved {
            bias_is_added_behind: self.bias_of.contains(&Some(index)),
            is_convolved_behind: self.convolution_of.contains(&Some(index)),
            convolution,
            bias: self.bias_of[index].and_then(|call| own(call).pop()),
            relu: self.relu_of[index].is_some(),
            behind: self.behind[index],
            statistics: None,
            is_padded_behind: self.zeros_of.iter().flatten().any(|(padding, _)| *padding == index),
            zeros: zeros(index),
        }
    }

    /// For each call that call whose layer makes its values: another one where that layer's bias is added here, or all of it is
    /// computed here.
    pub fn makers(&self) -> Vec<usize> {
        let makers = self.bias_of.iter().zip(&self.convolution_of).enumerate();
        makers.map(|(index, (bias_of, convolution_of))| convolution_of.or(*bias_of).unwrap_or(index)).collect()
    }
}

/// For each convolution or max-pooling that alone reads a padding layer, as much on opposite sides, the call that pads and its
/// zeros: libtorch's operators take them as a number, without a larger copy of the image, and without one of its gradient. The
/// values of `features_call` may be kept, with their zeros.
fn zeros_of(plan: &Plan, leaves: &[(String, &LayerPlan)], features_call: Option<usize>) -> Vec<Option<(usize, Pad)>> {
    let spec = |index: usize| &leaves[plan.calls[index].leaf].1.layer.spec;
    let mut zeros_of = vec![None; plan.calls.len()];
    if !native::is_fused() {
        return zeros_of;
    }
    for (index, readers) in plan.readers().iter().enumerate() {
        let (LayerSpec::ZeroPadding2D(padding), &[reader]) = (spec(index), &readers[..]) else { continue };
        let Some(zeros) = Pad::even(padding.padding).filter(|_| Some(index) != features_call) else { continue };
        let is_taken = match spec(reader) {
            LayerSpec::Conv2D(spec) => spec.padding == Padding::Valid,
            LayerSpec::DepthwiseConv2D(spec) => spec.padding == Padding::Valid,
            LayerSpec::SeparableConv2D(spec) => spec.padding == Padding::Valid,
            // no pixel that libtorch adds is the largest: nor is a zero where a ReLU gave the others, and it passes on no gradient
            LayerSpec::MaxPooling2D(pool) => pooling::takes_zeros(pool, zeros) && is_rectified(plan, leaves, index),
            _ => false,
        };
        zeros_of[reader] = is_taken.then_some((index, zeros));
    }
    zeros_of
}

/// Whether what call `index` takes comes from a ReLU.
fn is_rectified(plan: &Plan, leaves: &[(String, &LayerPlan)], index: usize) -> bool {
    match plan.calls[index].inputs[..] {
        [Source::Call(before)] => {
            let activation = simplified(leaves[plan.calls[before].leaf].1.layer.spec.activation());
            matches!(activation, Activation::Relu | Activation::Relu6)
        }
        _ => false,
    }
}

/// A ReLU layer without options, or with the maximum 6, is the function that has a name of its own.
fn simplified(activation: Activation) -> Activation {
    match &activation {
        Activation::Layer(FunctionLayer::ReLU(ReLU { max_value, negative_slope: 0.0, threshold: 0.0 })) => {
            match max_value {
                None => Activation::Relu,
                Some(6.0) => Activation::Relu6,
                Some(_) => activation,
            }
        }
        _ => activation,
    }
}

/// What batch normalisation can do for an activation.
fn behind_of(activation: &Activation) -> Option<Behind> {
    match activation {
        Activation::Relu => Some(Behind::Relu),
        Activation::Relu6 => Some(Behind::Relu6),
        _ => None,
    }
}

/// Whether a layer's operator gives a new tensor that its own gradient does not need.
fn makes_anew(spec: &LayerSpec) -> bool {
    matches!(
        spec,
        LayerSpec::Conv2D(_)
            | LayerSpec::DepthwiseConv2D(_)
            | LayerSpec::SeparableConv2D(_)
            | LayerSpec::Conv2DTranspose(_)
            | LayerSpec::Dense(_)
            | LayerSpec::BatchNormalization(_)
            | LayerSpec::Add(_)
    )
}

#[cfg(test)]
mod tests;
