//! Keras's order of a Functional network's layers: the deepest first, equals as a walk from the output meets them
//! (`map_graph` in Keras 3.15.1; Keras 2 has the same). Weights' files count layers in it.

use super::super::{Call, Source};
use crate::error::{Error, Result};

/// A layer's call in a file.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// The layer's number in the file.
    pub layer: usize,
    /// What it reads: numbers of nodes, `None` for the network's input.
    pub inputs: Vec<Option<usize>>,
    pub in_inference: bool,
}

/// The layers in Keras's order, by their numbers in the file, and the calls, by their layers' numbers in that order.
pub(super) struct Ordered {
    pub layers: Vec<usize>,
    pub calls: Vec<Call>,
}

/// The order of the `nodes` that `output` needs; `name` gives the name of the layer with a number in the file.
///
/// # Errors
/// A model error where layers feed one another in a circle.
pub(super) fn ordered(nodes: &[Node], output: usize, name: &dyn Fn(usize) -> String) -> Result<Ordered> {
    let walk = Walk::from(nodes, output, name)?;
    let (node_depths, layer_depths) = depths(nodes, &walk);
    let mut layers: Vec<usize> = walk.met.clone();
    // a stable sort: those of one depth stay as the walk met them
    layers.sort_by_key(|layer| std::cmp::Reverse(layer_depths[*layer]));
    let num_layers = nodes.iter().map(|node| node.layer + 1).max().unwrap_or(0);
    let mut ranks = vec![0; num_layers];
    for (rank, layer) in layers.iter().enumerate() {
        ranks[*layer] = rank;
    }
    let mut order = walk.finished;
    order.sort_by_key(|&node| (std::cmp::Reverse(node_depths[node]), ranks[nodes[node].layer], node));
    let mut places = vec![0; nodes.len()];
    for (place, &node) in order.iter().enumerate() {
        places[node] = place;
    }
    let source = |input: &Option<usize>| input.map_or(Source::Input, |node| Source::Call(places[node]));
    let call = |node: &Node| Call {
        layer: ranks[node.layer],
        inputs: node.inputs.iter().map(source).collect(),
        in_inference: node.in_inference,
    };
    Ok(Ordered { layers, calls: order.iter().map(|&node| call(&nodes[node])).collect() })
}

/// A walk from the output to the input, depth first.
struct Walk {
    /// The layers as it met them.
    met: Vec<usize>,
    /// The nodes, each after those that it reads.
    finished: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Open,
    Done,
}

impl Walk {
    fn from(nodes: &[Node], output: usize, name: &dyn Fn(usize) -> String) -> Result<Self> {
        let mut walk = Walk { met: Vec::new(), finished: Vec::new() };
        let mut states = vec![State::New; nodes.len()];
        let mut is_met = vec![false; nodes.iter().map(|node| node.layer + 1).max().unwrap_or(0)];
        // each node with the number of its input that is next; a stack of its own, as networks may be thousands deep
        let mut open: Vec<(usize, usize)> = vec![(output, 0)];
        while let Some((node, next)) = open.pop() {
            let layer = nodes[node].layer;
            if next == 0 {
                match states[node] {
                    State::Done => continue,
                    State::Open => {
                        return Err(
                            Error::model("layers feed one another in a circle").got(format!("layer {}", name(layer)))
                        );
                    }
                    State::New => states[node] = State::Open,
                }
                if !is_met[layer] {
                    is_met[layer] = true;
                    walk.met.push(layer);
                }
            }
            match nodes[node].inputs.get(next) {
                Some(input) => {
                    open.push((node, next + 1));
                    open.extend(input.map(|input| (input, 0)));
                }
                None => {
                    states[node] = State::Done;
                    walk.finished.push(node);
                }
            }
        }
        Ok(walk)
    }
}

/// How far each node, and each layer, is from the output, by Keras's rule for layers that are called several times.
fn depths(nodes: &[Node], walk: &Walk) -> (Vec<usize>, Vec<usize>) {
    let mut node_depths = vec![0; nodes.len()];
    let mut layer_depths = vec![0; nodes.iter().map(|node| node.layer + 1).max().unwrap_or(0)];
    for &node in walk.finished.iter().rev() {
        let depth = node_depths[node].max(layer_depths[nodes[node].layer]);
        layer_depths[nodes[node].layer] = depth;
        node_depths[node] = depth;
        for &input in nodes[node].inputs.iter().flatten() {
            node_depths[input] = node_depths[input].max(depth + 1);
        }
    }
    (node_depths, layer_depths)
}

#[cfg(test)]
mod tests;
