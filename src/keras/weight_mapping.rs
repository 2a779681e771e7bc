//! A layer's arrays in a file against what the network needs: their number and their shapes, never only their sizes.

use super::hdf5::{Array, Hdf5};
use crate::error::{Error, Result};
use crate::model::spec::{LayerPlan, WeightInfo};

/// The arrays of one layer in the order of its weights, of the same number and shapes.
pub(super) type FoundLayer = Vec<Array>;

/// How a layer is named in errors.
pub(super) fn layer_place(layer: &LayerPlan) -> String {
    format!("layer {} ({})", layer.name(), layer.class_name())
}

/// The arrays, if they are what `layer` needs.
///
/// # Errors
/// A model error that says what is missing or too much.
pub(super) fn check(layer: &LayerPlan, arrays: Vec<Array>) -> Result<FoundLayer> {
    let weights: Vec<&WeightInfo> = layer.weights.iter().collect();
    check_shapes(&weights, &arrays)?;
    Ok(arrays)
}

/// Checks that there is one array for each of `weights`, of its shape in Keras.
///
/// # Errors
/// A model error that names the weight.
pub(super) fn check_shapes(weights: &[&WeightInfo], arrays: &[Array]) -> Result<()> {
    if weights.len() != arrays.len() {
        let names: Vec<String> =
            weights.iter().map(|weight| format!("{} {:?}", weight.keras_name, weight.keras_shape)).collect();
        let there: Vec<String> = arrays.iter().map(|array| format!("{:?}", array.shape)).collect();
        let list = |parts: Vec<String>| if parts.is_empty() { "none".to_owned() } else { parts.join(", ") };
        return Err(Error::model("the layer's weights are not those in the file")
            .expected(list(names))
            .got(list(there))
            .help("are these the weights of this network?"));
    }
    for (weight, array) in weights.iter().zip(arrays) {
        if weight.keras_shape != array.shape {
            return Err(Error::model(format!("the weight {} has another shape in the file", weight.keras_name))
                .expected(format!("{:?}", weight.keras_shape))
                .got(format!("{:?}", array.shape))
                .at(&array.path)
                .help("are these the weights of this network?"));
        }
    }
    Ok(())
}

/// Checks that a file of this size can hold the arrays.
pub(super) fn check_total(file: &Hdf5, layers: &[FoundLayer]) -> Result<()> {
    let total = layers.iter().flatten().try_fold(0usize, |total, array| total.checked_add(array.num_elements()?));
    file.check_total(total.unwrap_or(usize::MAX))
}
