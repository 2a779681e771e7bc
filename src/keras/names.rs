//! Layers' names that a form of file cannot hold, as others.

use std::collections::HashSet;

use crate::model::spec::{LayerSpec, Spec};

/// `spec` with names that Keras takes: Keras 3 none with a '/', which separates its variables' names; in legacy files names
/// are also HDF5's, which are not empty or dots alone.
pub(super) fn usable(spec: &Spec, is_legacy: bool) -> Spec {
    let mut spec = spec.clone();
    let mut taken: HashSet<String> =
        spec.layers.iter().map(|layer| layer.name.clone()).filter(|name| is_usable(name, is_legacy)).collect();
    for layer in &mut spec.layers {
        if !is_usable(&layer.name, is_legacy) {
            layer.name = match layer.name.trim_matches('.') {
                "" => "layer".to_owned(),
                _ => layer.name.replace('/', "_"),
            };
            while !taken.insert(layer.name.clone()) {
                layer.name.push('_');
            }
        }
        if let LayerSpec::Network(inner) = &mut layer.spec {
            *inner = usable(inner, is_legacy);
        }
    }
    spec
}

fn is_usable(name: &str, is_legacy: bool) -> bool {
    !(name.contains('/') || is_legacy && name.trim_matches('.').is_empty())
}

#[cfg(test)]
mod tests;
