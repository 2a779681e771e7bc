//! Puts a graph together: nodes, the constants that they read, and names that are unique.

use std::collections::HashSet;

use tch::Tensor;

use super::proto::{
    AttributeProto, AttributeType, DimensionProto, ElementType, GraphProto, NodeProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::model::saved;

/// The name of the batch's size, which is any.
const BATCH: &str = "N";

/// A graph in the making. A value is called as the node that makes it.
pub(super) struct GraphBuilder {
    graph: GraphProto,
    names: HashSet<String>,
    /// The weights that are there.
    weights: HashSet<String>,
    /// The values of which is said what they are.
    described: HashSet<String>,
}

impl GraphBuilder {
    /// A graph called `name`, in which nothing else gets one of the `reserved` names.
    pub fn new(name: &str, reserved: impl Iterator<Item = String>) -> Self {
        let graph = GraphProto { name: name.to_owned(), ..GraphProto::default() };
        let (weights, described) = (HashSet::new(), HashSet::new());
        GraphBuilder { graph, names: reserved.collect(), weights, described }
    }

    /// A use of the operator `op` in the layer `scope`; the name of what it makes.
    pub fn node(&mut self, scope: &str, op: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> String {
        let name = self.unique(&format!("{scope}/{op}"));
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: op.to_owned(),
            attribute,
        });
        name
    }

    /// Numbers of the shape `dims`; their name.
    pub fn floats(&mut self, name: &str, dims: &[i64], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, dims, ElementType::Float, bytes)
    }

    /// A number; its name.
    pub fn scalar(&mut self, scope: &str, value: f64) -> String {
        self.floats(&format!("{scope}/{value:?}"), &[], &[value as f32])
    }

    /// Whole numbers, along one axis; their name.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, &[values.len() as i64], ElementType::Int64, bytes)
    }

    /// A weight under its own name, which is reserved. One that is there already stays.
    pub fn weight(&mut self, name: &str, values: &Tensor) {
        if self.weights.insert(name.to_owned()) {
            let bytes = saved::bytes_of(values);
            self.graph.initializer.push(tensor(name, &values.size(), ElementType::Float, bytes));
        }
    }

    /// Says what the value `name` is: `f32 [N, sizes…]`. Of one that was said before nothing changes.
    pub fn describe(&mut self, name: &str, sizes: &[usize]) {
        if self.described.insert(name.to_owned()) {
            self.graph.value_info.push(value_info(name, ElementType::Float, sizes));
        }
    }

    /// An input of `kind`, `[N, sizes…]`.
    pub fn input(&mut self, name: &str, kind: ElementType, sizes: &[usize]) {
        self.graph.input.push(value_info(name, kind, sizes));
    }

    /// The graph with the value `last` called `output` as its only output, `f32 [N, size]`.
    pub fn finish(mut self, last: &str, output: &str, size: usize) -> GraphProto {
        for node in &mut self.graph.node {
            node.input.iter_mut().chain(&mut node.output).filter(|name| *name == last).for_each(|name| {
                output.clone_into(name);
            });
        }
        self.graph.value_info.retain(|value| value.name != last);
        self.graph.output.push(value_info(output, ElementType::Float, &[size]));
        self.graph
    }

    fn constant(&mut self, name: &str, dims: &[i64], kind: ElementType, bytes: Vec<u8>) -> String {
        let name = self.unique(name);
        self.graph.initializer.push(tensor(&name, dims, kind, bytes));
        name
    }

    fn unique(&mut self, wanted: &str) -> String {
        let numbered = (1..).map(|number| if number == 1 { wanted.to_owned() } else { format!("{wanted}_{number}") });
        let name = numbered.into_iter().find(|name| !self.names.contains(name)).expect("there is no end of numbers");
        self.names.insert(name.clone());
        name
    }
}

fn tensor(name: &str, dims: &[i64], kind: ElementType, bytes: Vec<u8>) -> TensorProto {
    TensorProto { dims: dims.to_vec(), data_type: Some(kind.into()), name: name.to_owned(), raw_data: Some(bytes) }
}

fn value_info(name: &str, kind: ElementType, sizes: &[usize]) -> ValueInfoProto {
    let batch = DimensionProto { dim_value: None, dim_param: Some(BATCH.to_owned()) };
    let size = |&size: &usize| DimensionProto { dim_value: Some(size as i64), dim_param: None };
    let shape = TensorShapeProto { dim: std::iter::once(batch).chain(sizes.iter().map(size)).collect() };
    let tensor_type = TensorTypeProto { elem_type: Some(kind.into()), shape: Some(shape) };
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}

/// An attribute that is a number.
pub(super) fn float(name: &str, value: f64) -> AttributeProto {
    AttributeProto { f: Some(value as f32), ..attribute(name, AttributeType::Float) }
}

/// An attribute that is a whole number.
pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

/// An attribute of whole numbers.
pub(super) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::Ints) }
}

/// An attribute that is a word.
pub(super) fn word(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.as_bytes().to_vec()), ..attribute(name, AttributeType::String) }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: Some(kind.into()), ..AttributeProto::default() }
}
