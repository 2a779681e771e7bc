//! What a call computes for its neighbours.

use std::sync::Arc;

use tch::Tensor;

use super::convolution::Convolution;
use super::moving::MovingStatistics;
use super::padding::Pad;
use crate::native::Behind;

/// What is different in a call from what its layer says.
#[derive(Debug, Default)]
pub struct Moved {
    /// A convolution's bias is added by the max-pooling that alone reads it.
    pub bias_is_added_behind: bool,
    /// A convolution is computed by the max-pooling that alone reads it, together with it.
    pub is_convolved_behind: bool,
    /// A max-pooling computes this convolution before it, whose bias is apart.
    pub convolution: Option<Convolution>,
    /// A max-pooling adds this bias, `f32 [C]`.
    pub bias: Option<Tensor>,
    /// A max-pooling is followed by a ReLU.
    pub relu: bool,
    /// What batch normalisation does behind itself.
    pub behind: Behind,
    /// Batch normalisation leaves moving its statistics to these, of which it is the layer with this number.
    pub statistics: Option<(Arc<MovingStatistics>, usize)>,
    /// The zeros of a padding layer are added by what alone reads it.
    pub is_padded_behind: bool,
    /// What a convolution or a max-pooling without padding adds around its input.
    pub zeros: Option<Pad>,
}
