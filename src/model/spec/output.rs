//! What a network's outputs mean: the one place that decides it, from the layers and, where they leave it open, from the
//! loss that the network was compiled with.
//!
//! Keras's losses with the TensorFlow backend are the reference. They take the logits where the output tensor *is* a
//! softmax's or sigmoid's (`_get_logits` in Keras 3.15.1), and probabilities, clipped at 1e-7, where any operation stands
//! between: Flatten, Reshape, pooling, a Dropout at work. Identity, a linear Activation and a Dropout outside training
//! return the tensor itself. (With the PyTorch backend Keras always clips.)

use std::fmt;

use super::layers::{Effect, Join};
use super::loss::{CompiledLoss, Family};
use super::{Activation, FunctionLayer, LayerPlan, Plan, Source, Spec};
use crate::error::{Error, Result};

/// What a classifier's outputs `f32 [B, outputs]` are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputKind {
    /// How classes follow from the outputs.
    pub head: Head,
    /// What the network computes outside training.
    pub evaluated: Form,
    /// What it computes in training: probabilities where a Dropout stands behind softmax or sigmoid.
    pub trained: Form,
}

/// How classes follow from a network's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// K outputs for K classes, of which one is right.
    Softmax,
    /// One output for two classes: how probable the second is.
    Binary,
    /// K outputs for K classes, each by itself between 0 and 1, and the loss that they are trained with.
    Sigmoids(Crossentropy),
}

/// Keras's two cross-entropies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossentropy {
    /// `binary_crossentropy`: the mean over the outputs, each there or not.
    Binary,
    /// `categorical_crossentropy`: one of the outputs is right.
    Categorical,
}

/// In what form a network ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The outputs are logits.
    Logits,
    /// The outputs are softmax or sigmoid of logits, from which the loss is computed.
    Activated,
    /// The outputs are all there is: probabilities, clipped by the loss.
    Probabilities,
}

/// An [`OutputKind`] with its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Output {
    pub kind: OutputKind,
    /// The number of the call ([`Plan::calls`]) whose activation makes the probabilities; none where there is no such.
    pub activated_by: Option<usize>,
}

impl OutputKind {
    fn new(head: Head, [evaluated, trained]: [Form; 2]) -> Self {
        OutputKind { head, evaluated, trained }
    }

    /// In what form the network ends, in training (`train`) or outside it.
    pub fn form(self, train: bool) -> Form {
        if train { self.trained } else { self.evaluated }
    }

    /// Whether training computes what `loss` does in Keras, of these outputs.
    pub fn is_trained_with(self, loss: &CompiledLoss) -> bool {
        let is_own = match self.head {
            Head::Softmax | Head::Sigmoids(Crossentropy::Categorical) => loss.is_categorical_crossentropy(),
            Head::Binary | Head::Sigmoids(Crossentropy::Binary) => loss.is_binary_crossentropy(),
        };
        // Keras finds the logits of what is softmax or sigmoid itself
        is_own
            && match self.evaluated {
                Form::Logits => loss.from_logits,
                Form::Activated => true,
                Form::Probabilities => !loss.from_logits,
            }
    }

    /// How many classes `num_outputs` outputs tell apart.
    pub fn num_classes(self, num_outputs: usize) -> usize {
        match self.head {
            Head::Softmax | Head::Sigmoids(_) => num_outputs,
            Head::Binary => 2,
        }
    }
}

impl fmt::Display for OutputKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.head, self.evaluated) {
            (Head::Softmax, Form::Logits) => "logits, one for each class",
            (Head::Softmax, _) => "probabilities, one for each class",
            (Head::Binary, Form::Logits) => "one logit, of the second of two classes",
            (Head::Binary, _) => "one probability, of the second of two classes",
            (Head::Sigmoids(_), Form::Logits) => "logits, one for each class by itself (sigmoid)",
            (Head::Sigmoids(_), _) => "probabilities, one for each class by itself",
        })
    }
}

/// What the values are that a layer hands on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum OutputValues {
    /// Any numbers: logits, should the network end here.
    Numbers,
    /// A probability for each of the last axis's classes; they compete. Outside training, and in training.
    Softmax([Form; 2]),
    /// Probabilities, each by itself. Outside training, and in training.
    Sigmoid([Form; 2]),
    /// Numbers that are neither: what made them, whether pooling makes scores of them, and the call.
    Neither { what: &'static str, is_bounded: bool, call: usize },
}

const DIRECT: [Form; 2] = [Form::Activated; 2];
const CLIPPED: [Form; 2] = [Form::Probabilities; 2];

impl OutputValues {
    fn neither(what: &'static str, call: usize) -> Self {
        OutputValues::Neither { what, is_bounded: true, call }
    }

    /// After an operation that leaves probabilities what they are.
    fn clipped(self) -> Self {
        match self {
            OutputValues::Softmax(_) => OutputValues::Softmax(CLIPPED),
            OutputValues::Sigmoid(_) => OutputValues::Sigmoid(CLIPPED),
            OutputValues::Numbers | OutputValues::Neither { .. } => self,
        }
    }

    /// After a layer that works in training only.
    fn with_noise(self) -> Self {
        match self {
            OutputValues::Softmax([evaluated, _]) => OutputValues::Softmax([evaluated, Form::Probabilities]),
            OutputValues::Sigmoid([evaluated, _]) => OutputValues::Sigmoid([evaluated, Form::Probabilities]),
            OutputValues::Numbers | OutputValues::Neither { .. } => self,
        }
    }

    /// After a layer that moves values and may put others between them; `keeps_classes`: whether the last axis has the same
    /// values as before, place by place.
    fn moved(self, keeps_classes: bool, call: usize) -> Self {
        match self {
            OutputValues::Softmax(_) if !keeps_classes => {
                OutputValues::neither("softmax over other values than the outputs", call)
            }
            _ => self.clipped(),
        }
    }

    fn pooled(self) -> Self {
        match self {
            OutputValues::Neither { is_bounded: false, .. } => OutputValues::Numbers,
            _ => self.clipped(),
        }
    }

    /// After a layer that scales and shifts.
    fn scaled(self, call: usize) -> Self {
        match self {
            OutputValues::Softmax(_) => OutputValues::neither("a softmax whose probabilities are changed", call),
            OutputValues::Sigmoid(_) => OutputValues::neither("a sigmoid whose probabilities are changed", call),
            OutputValues::Numbers | OutputValues::Neither { .. } => OutputValues::Numbers,
        }
    }

    /// What the call number `call` hands on where these go in, its activation left out.
    fn after_layer(self, effect: Effect, call: usize) -> Self {
        match effect {
            Effect::Mixes => OutputValues::Numbers,
            Effect::Keeps => self,
            Effect::Bends(what) => OutputValues::Neither { what, is_bounded: false, call },
            Effect::Noise { amount: 0.0 } => self,
            Effect::Noise { .. } => self.with_noise(),
            Effect::Moves { keeps_classes } => self.moved(keeps_classes, call),
            Effect::Pools => self.pooled(),
            Effect::Scales => self.scaled(call),
            Effect::Augments => match self {
                OutputValues::Softmax(_) | OutputValues::Sigmoid(_) => self.scaled(call),
                OutputValues::Numbers | OutputValues::Neither { .. } => self,
            },
            Effect::Joins(_) => self.clipped(), // one input alone
        }
    }

    /// What the call number `call` makes one of, of several.
    fn joined(all: &[OutputValues], join: Join, call: usize) -> Self {
        let is_softmax = |values: &OutputValues| matches!(values, OutputValues::Softmax(_));
        let is_sigmoid = |values: &OutputValues| matches!(values, OutputValues::Sigmoid(_));
        let is_probability = |values: &OutputValues| is_softmax(values) || is_sigmoid(values);
        let is_neither = |values: &OutputValues| matches!(values, OutputValues::Neither { .. });
        match join {
            Join::Mean | Join::Concatenation { .. } if all.iter().all(is_sigmoid) => OutputValues::Sigmoid(CLIPPED),
            Join::Mean | Join::Concatenation { is_last: false } if all.iter().all(is_softmax) => {
                OutputValues::Softmax(CLIPPED)
            }
            _ if all.iter().all(is_probability) => OutputValues::neither("probabilities that are combined", call),
            Join::Concatenation { .. } if all.iter().any(is_probability) => {
                OutputValues::neither("probabilities beside other numbers", call)
            }
            _ if all.iter().all(is_neither) => all[0],
            _ => OutputValues::Numbers,
        }
    }

    /// What an activation makes of these; `rank` counts the batch's axis.
    fn after_activation(self, activation: &Activation, rank: usize, call: usize) -> Self {
        let is_bounded = match activation {
            Activation::Linear => return self,
            Activation::LogSoftmax => return OutputValues::Numbers, // whose softmax is the same
            Activation::Softmax => return OutputValues::Softmax(DIRECT),
            Activation::Sigmoid => return OutputValues::Sigmoid(DIRECT),
            Activation::Layer(FunctionLayer::Softmax(softmax)) => {
                return match softmax.is_over_last(rank) {
                    true => OutputValues::Softmax(DIRECT),
                    false => OutputValues::neither("softmax over another axis than the last", call),
                };
            }
            Activation::Tanh
            | Activation::HardTanh
            | Activation::Softsign
            | Activation::HardSigmoid
            | Activation::Keras2HardSigmoid
            | Activation::SparseSigmoid => true,
            Activation::Relu
            | Activation::Relu6
            | Activation::LeakyRelu
            | Activation::Elu
            | Activation::Selu
            | Activation::Celu
            | Activation::LogSigmoid
            | Activation::Softplus
            | Activation::Silu
            | Activation::HardSilu
            | Activation::Gelu
            | Activation::Mish
            | Activation::Exponential
            | Activation::Squareplus
            | Activation::SoftShrink
            | Activation::HardShrink
            | Activation::TanhShrink
            | Activation::SparsePlus
            | Activation::Layer(FunctionLayer::ReLU(_) | FunctionLayer::LeakyReLU(_) | FunctionLayer::ELU(_)) => false,
        };
        OutputValues::Neither { what: activation.name(), is_bounded, call }
    }
}

/// What a call gives.
#[derive(Clone, Copy)]
struct Made {
    values: OutputValues,
    /// The call whose activation made probabilities of them, and behind which nothing joined others to them.
    activated_by: Option<usize>,
}

/// What the last call gives.
fn made(plan: &Plan, leaves: &[(String, &LayerPlan)]) -> Made {
    let mut all: Vec<Made> = Vec::with_capacity(plan.calls.len());
    let numbers = Made { values: OutputValues::Numbers, activated_by: None };
    for (index, call) in plan.calls.iter().enumerate() {
        let spec = &leaves[call.leaf].1.layer.spec;
        let rules = spec.rules().unwrap_or_else(|| unreachable!("a nested network is no leaf"));
        let inputs: Vec<Made> = call
            .inputs
            .iter()
            .map(|input| match *input {
                Source::Input => numbers,
                Source::Call(call) => all[call],
            })
            .collect();
        let effect = rules.effect(&call.input_shapes[0], &call.output_shape);
        let before = match (effect, &inputs[..]) {
            (Effect::Joins(join), several) if several.len() > 1 => {
                let values: Vec<OutputValues> = several.iter().map(|input| input.values).collect();
                Made { values: OutputValues::joined(&values, join, index), activated_by: None }
            }
            (effect, inputs) => Made { values: inputs[0].values.after_layer(effect, index), ..inputs[0] },
        };
        let activation = spec.activation();
        let values = before.values.after_activation(&activation, call.output_shape.len() + 1, index);
        let is_probability = matches!(values, OutputValues::Softmax(_) | OutputValues::Sigmoid(_));
        let is_new = is_probability && activation != Activation::Linear;
        all.push(Made { values, activated_by: if is_new { Some(index) } else { before.activated_by } });
    }
    all.pop().unwrap_or(numbers)
}

impl Spec {
    /// What the network's outputs mean.
    ///
    /// # Errors
    /// A model error that names the layer, where they are not those of a classifier.
    pub fn output_kind(&self) -> Result<OutputKind> {
        self.output(&self.plan()?).map(|output| output.kind)
    }

    /// As [`Spec::output_kind`], of the network with its `plan`.
    pub(crate) fn output(&self, plan: &Plan) -> Result<Output> {
        let leaves = plan.flat_layers();
        let place = |call: usize| &leaves[plan.calls[call].leaf];
        let end = plan.calls.len() - 1;
        let Made { values, activated_by } = made(plan, &leaves);
        let &[num_outputs] = plan.output_shape() else {
            let (path, info) = place(end);
            return Err(Error::model("the network is not a classifier")
                .expected("outputs of shape [K], one number for each class")
                .got(format!("{:?}", plan.output_shape()))
                .at(format!("layer {path} ({})", info.class_name())));
        };
        let kind = match (values, num_outputs) {
            (OutputValues::Softmax(_), 1) => {
                return Err(refused("softmax over one output: always 1".into(), place(end)));
            }
            (OutputValues::Softmax(forms), _) => OutputKind::new(Head::Softmax, forms),
            (OutputValues::Sigmoid(forms), 1) => OutputKind::new(Head::Binary, forms),
            (OutputValues::Sigmoid(forms), _) => {
                OutputKind::new(Head::Sigmoids(self.crossentropy_of_sigmoids()), forms)
            }
            (OutputValues::Neither { what, call, .. }, _) => return Err(refused(what.into(), place(call))),
            (OutputValues::Numbers, _) => {
                let head = self.head_of_logits(num_outputs);
                let head = head.map_err(|(got, help)| refused(got, place(end)).help(help))?;
                OutputKind::new(head, [Form::Logits; 2])
            }
        };
        let activated_by = activated_by.filter(|_| kind.evaluated != Form::Logits);
        Ok(Output { kind, activated_by })
    }

    fn crossentropy_of_sigmoids(&self) -> Crossentropy {
        match self.loss.as_ref().map(|loss| loss.family()) {
            Some(Family::Categorical) => Crossentropy::Categorical,
            Some(Family::Binary | Family::Other | Family::Unknown) | None => Crossentropy::Binary,
        }
    }

    /// What outputs without an activation are by the loss that they were made for; else what was found, and what to do.
    fn head_of_logits(&self, num_outputs: usize) -> Result<Head, (String, &'static str)> {
        let found = |what: &str| match &self.loss {
            Some(CompiledLoss { name, from_logits: true }) => format!("{what}, compiled with {name} from logits"),
            Some(CompiledLoss { name, from_logits: false }) => format!("{what}, compiled with {name}"),
            None => what.to_owned(),
        };
        match (self.loss.as_ref().map(|loss| (loss.family(), loss.from_logits)), num_outputs) {
            (Some((Family::Binary, true)), 1) => Ok(Head::Binary),
            (Some((Family::Binary, true)), _) => Ok(Head::Sigmoids(Crossentropy::Binary)),
            (Some((Family::Binary, false)), _) => Err((found("outputs without sigmoid"), SAY_BINARY)),
            (_, 1) => Err((found("one output without sigmoid"), SAY_BINARY)),
            (Some((Family::Other, _)), _) => Err((found("outputs without an activation"), SAY_CATEGORICAL)),
            (Some((Family::Categorical | Family::Unknown, _)) | None, _) => Ok(Head::Softmax),
        }
    }
}

/// The error for `got`, found in the call `path`.
fn refused(got: String, (path, info): &(String, &LayerPlan)) -> Error {
    Error::model("the network is not a classifier")
        .expected("softmax or sigmoid at its end, or logits")
        .got(got)
        .at(format!("layer {path} ({})", info.class_name()))
}

const SAY_BINARY: &str =
    "give the last layer the activation sigmoid, or compile with BinaryCrossentropy(from_logits=True) in Keras";
const SAY_CATEGORICAL: &str =
    "if they are logits, compile with CategoricalCrossentropy(from_logits=True) in Keras and save again";
