//! How much is written for TensorBoard.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumMessage, EnumString, VariantArray};

/// How much is written for TensorBoard.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Display, EnumMessage, EnumString, VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum TensorBoardLevel {
    /// Nothing.
    None,
    /// What Keras's callback writes: curves and the network's graph.
    Scalars,
    /// Settings, texts, pictures and precision-recall curves too.
    #[default]
    Full,
}
