//! Which layer of a network takes what: Keras's Functional networks, and Sequential ones seen as such.

/// How a Functional network's layers are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// The input's name: that of Keras's InputLayer.
    pub input_name: String,
    /// Every call after those that it reads; each but the last is read, the last gives the network's outputs.
    pub calls: Vec<Call>,
}

/// One use of a layer. A layer that is called twice has one set of weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The layer's number in [`super::Spec::layers`].
    pub layer: usize,
    /// What goes in, at least one.
    pub inputs: Vec<Source>,
    /// Whether it works as outside training always: `training=False` of a Keras 2 model's call.
    pub in_inference: bool,
}

/// Where a layer's input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The network's input.
    Input,
    /// What the call of this number gives.
    Call(usize),
}
