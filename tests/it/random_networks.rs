//! Networks put together at random, of every class of layers, that branch and join and use layers twice.

use convnet::model::Spec;
use serde_json::{Value, json};

use crate::branching::{call, functional_of, tensor};

/// Numbers that are the same every time (Steele and others 2014, SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// From `low` to `high`.
    fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn yes(&mut self) -> bool {
        self.below(2) == 0
    }

    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

const ACTIVATIONS: [&str; 20] = [
    "linear",
    "relu",
    "relu6",
    "elu",
    "selu",
    "tanh",
    "sigmoid",
    "hard_sigmoid",
    "silu",
    "hard_silu",
    "gelu",
    "mish",
    "softplus",
    "softsign",
    "leaky_relu",
    "softmax",
    "squareplus",
    "soft_shrink",
    "sparse_plus",
    "log_sigmoid",
];

/// A value in the making of a network: its layer, which of its calls, its shape, and whether something reads it.
struct Made {
    layer: String,
    call: usize,
    shape: Vec<usize>,
    is_read: bool,
}

/// A network and its input's shape.
pub struct RandomNetwork {
    pub spec: Spec,
    pub shape: [usize; 3],
}

/// The network number `seed`: a classifier of small images.
pub fn network(seed: u64) -> RandomNetwork {
    let random = &mut Random(seed.wrapping_mul(0x1234_5678_9abc_def1));
    let shape = [random.between(5, 12), random.between(5, 12), *random.of(&[1, 3])];
    let mut maker = Maker { layers: Vec::new(), inputs: Vec::new(), made: Vec::new() };
    maker.made.push(Made { layer: "in".into(), call: 0, shape: shape.to_vec(), is_read: false });
    let count = random.between(2, 9);
    for _ in 0..200 {
        if maker.layers.len() < count {
            maker.grow(random);
        }
    }
    maker.end(random);
    let layers: Vec<(&str, Value, Value)> =
        maker.layers.iter().map(|(name, config, nodes)| (&**name, config.clone(), nodes.clone())).collect();
    let document = functional_of(shape, &layers, json!(["head", 0, 0]));
    let spec = Spec::from_json(&document).unwrap_or_else(|error| panic!("{error}: {document}"));
    RandomNetwork { spec, shape }
}

struct Maker {
    layers: Vec<(String, Value, Value)>,
    /// What goes into each layer first.
    inputs: Vec<Vec<usize>>,
    made: Vec<Made>,
}

impl Maker {
    /// One more layer of a value that is there, where it goes with it.
    fn grow(&mut self, random: &mut Random) {
        // mostly the last value, so that networks get deep
        let from = if random.below(4) == 0 { random.below(self.made.len()) } else { self.made.len() - 1 };
        match random.below(8) {
            0 => self.merge(random, from),
            1 => self.again(random, from),
            _ => {
                let (class_name, config) = candidate(random, &self.made[from].shape);
                self.add(class_name, config, &[from]);
            }
        }
    }

    /// Adds a layer where it goes with its inputs, and what it gives is not too large.
    fn add(&mut self, class_name: &str, config: Value, from: &[usize]) {
        let Some(shape) = output(class_name, &config, from.iter().map(|&from| &self.made[from].shape[..])) else {
            return;
        };
        if shape.iter().product::<usize>() > 4000 {
            return;
        }
        let name = format!("layer_{}", self.layers.len());
        let nodes = self.read(from);
        self.layers.push((format!("{class_name} {name}"), config, json!([nodes])));
        self.inputs.push(self.made[from[0]].shape.clone());
        self.made.push(Made { layer: name, call: 0, shape, is_read: false });
    }

    fn read(&mut self, from: &[usize]) -> Value {
        let tensors: Vec<Value> =
            from.iter().map(|&from| tensor(&self.made[from].layer, self.made[from].call)).collect();
        from.iter().for_each(|&from| self.made[from].is_read = true);
        json!({ "args": if tensors.len() == 1 { json!(tensors) } else { json!([tensors]) }, "kwargs": {} })
    }

    /// The value joined with another of its shape.
    fn merge(&mut self, random: &mut Random, from: usize) {
        let shape = self.made[from].shape.clone();
        let others: Vec<usize> = (0..self.made.len()).filter(|&other| self.made[other].shape == shape).collect();
        let mut inputs = vec![from, *random.of(&others)];
        let classes = ["Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract", "Concatenate"];
        let class_name = *random.of(&classes);
        if class_name != "Subtract" && random.yes() {
            inputs.push(*random.of(&others));
        }
        let config = match class_name {
            "Concatenate" => json!({ "axis": random.between(1, shape.len()) }),
            _ => json!({}),
        };
        self.add(class_name, config, &inputs);
    }

    /// A layer that keeps the shape, called once more.
    fn again(&mut self, random: &mut Random, from: usize) {
        let shape = self.made[from].shape.clone();
        let fits = |layer: &(String, Value, Value)| {
            let (class_name, _) = layer.0.split_once(' ').unwrap();
            let is_kind = ["Conv2D", "Dense", "BatchNormalization", "DepthwiseConv2D", "PReLU"].contains(&class_name);
            is_kind && output(class_name, &layer.1, std::iter::once(&shape[..])).as_deref() == Some(&shape[..])
        };
        let takes = |&index: &usize| self.inputs[index] == shape && fits(&self.layers[index]);
        let fitting: Vec<usize> = (0..self.layers.len()).filter(takes).collect();
        if fitting.is_empty() {
            return;
        }
        let index = *random.of(&fitting);
        let name = self.layers[index].0.split_once(' ').unwrap().1.to_owned();
        let node = self.read(&[from]);
        let nodes = self.layers[index].2.as_array_mut().unwrap();
        nodes.push(node);
        let call = nodes.len() - 1;
        self.made.push(Made { layer: name, call, shape, is_read: false });
    }

    /// Joins what nobody has read yet in a classifier's end.
    fn end(&mut self, random: &mut Random) {
        let open: Vec<usize> = (0..self.made.len()).filter(|&index| !self.made[index].is_read).collect();
        let mut flat = Vec::new();
        for index in open {
            let name = format!("flat_{index}");
            let node = self.read(&[index]);
            self.layers.push((format!("Flatten {name}"), json!({}), json!([node])));
            flat.push(name);
        }
        let flat: Vec<&str> = flat.iter().map(String::as_str).collect();
        let last = match flat[..] {
            [one] => one.to_owned(),
            _ => {
                self.layers.push(("Concatenate together".into(), json!({}), call(&flat)));
                "together".to_owned()
            }
        };
        let (units, activation) = *random.of(&[(4, "softmax"), (3, "sigmoid"), (1, "sigmoid"), (5, "linear")]);
        let config = json!({ "units": units, "activation": activation });
        self.layers.push(("Dense head".into(), config, call(&[&last])));
    }
}

/// What a layer makes of inputs of these shapes; none where it does not take them.
fn output<'a>(class_name: &str, config: &Value, shapes: impl Iterator<Item = &'a [usize]>) -> Option<Vec<usize>> {
    let shapes: Vec<&[usize]> = shapes.collect();
    let values: usize = shapes[0].iter().product();
    let reshape = |index: usize| {
        let name = format!("Reshape r{index}");
        (name, json!({ "target_shape": shapes[index] }), call(&["in"]))
    };
    let mut layers: Vec<(String, Value, Value)> = (0..shapes.len()).map(reshape).collect();
    let names: Vec<String> = (0..shapes.len()).map(|index| format!("r{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    layers.push((format!("{class_name} layer"), config.clone(), call(&names)));
    let layers: Vec<(&str, Value, Value)> =
        layers.iter().map(|(name, config, nodes)| (&**name, config.clone(), nodes.clone())).collect();
    let spec = Spec::from_json(&functional_of([1, 1, values], &layers, json!(["layer", 0, 0]))).ok()?;
    spec.plan().ok().map(|plan| plan.output_shape().to_vec())
}

fn candidate(random: &mut Random, shape: &[usize]) -> (&'static str, Value) {
    match shape.len() {
        3 => image_layer(random, shape),
        _ => flat_layer(random, shape),
    }
}

fn image_layer(random: &mut Random, shape: &[usize]) -> (&'static str, Value) {
    let padding = *random.of(&["same", "valid"]);
    let activation = *random.of(&ACTIVATIONS);
    let kernel = json!([random.between(1, 4), random.between(1, 4)]);
    let strides = json!([random.between(1, 3), random.between(1, 3)]);
    let single = json!([1, 1]);
    let dilated = random.below(4) == 0;
    let (strides, dilation) = if dilated { (single, json!([random.between(1, 2), 2])) } else { (strides, single) };
    let (filters, use_bias) = (random.between(1, 8), random.yes());
    let channels = shape[2];
    match random.below(26) {
        0..=3 => {
            let groups = if random.yes() { 1 } else { channels };
            let filters = if groups == 1 { filters } else { filters * groups };
            let config = json!({ "filters": filters, "kernel_size": kernel, "strides": strides, "padding": padding,
                "dilation_rate": dilation, "groups": groups, "activation": activation, "use_bias": use_bias });
            ("Conv2D", config)
        }
        4 => {
            let config = json!({ "kernel_size": kernel, "strides": strides, "padding": padding, "use_bias": use_bias,
                "dilation_rate": dilation, "depth_multiplier": random.between(1, 2), "activation": activation });
            ("DepthwiseConv2D", config)
        }
        5 => {
            let config = json!({ "filters": filters, "kernel_size": kernel, "strides": strides, "padding": padding,
                "depth_multiplier": random.between(1, 2), "activation": activation, "use_bias": use_bias });
            ("SeparableConv2D", config)
        }
        6 | 7 => {
            let config = json!({ "filters": filters, "kernel_size": kernel, "strides": strides, "padding": padding,
                "activation": activation, "use_bias": use_bias });
            ("Conv2DTranspose", config)
        }
        8 | 9 => ("MaxPooling2D", json!({ "pool_size": kernel, "strides": strides, "padding": padding })),
        10 | 11 => ("AveragePooling2D", json!({ "pool_size": kernel, "strides": strides, "padding": padding })),
        12 => ("GlobalAveragePooling2D", json!({ "keepdims": random.yes() })),
        13 => ("GlobalMaxPooling2D", json!({ "keepdims": random.yes() })),
        14 => ("ZeroPadding2D", json!({ "padding": [[random.below(3), random.below(3)], [random.below(3), 1]] })),
        15 => ("Cropping2D", json!({ "cropping": [[random.below(3), random.below(2)], [random.below(3), 0]] })),
        16 => {
            let size = [random.between(1, 3), random.between(1, 3)];
            ("UpSampling2D", json!({ "size": size, "interpolation": *random.of(&["nearest", "bilinear"]) }))
        }
        17 => {
            let interpolation = *random.of(&["nearest", "bilinear"]);
            let (height, width) = (random.between(2, 15), random.between(2, 15));
            ("Resizing", json!({ "height": height, "width": width, "interpolation": interpolation }))
        }
        18 => ("CenterCrop", json!({ "height": random.between(1, shape[0]), "width": random.between(1, shape[1]) })),
        19 => ("Permute", json!({ "dims": *random.of(&[[1, 2, 3], [3, 1, 2], [2, 1, 3], [3, 2, 1]]) })),
        20 => ("Reshape", json!({ "target_shape": [shape[0] * shape[2], shape[1]] })),
        21 => ("Reshape", json!({ "target_shape": [shape[1], shape[2], shape[0]] })),
        22 => ("RandomFlip", json!({})),
        23 => ("SpatialDropout2D", json!({ "rate": 0.4 })),
        _ => any_layer(random, shape),
    }
}

fn flat_layer(random: &mut Random, shape: &[usize]) -> (&'static str, Value) {
    let last = *shape.last().unwrap();
    match random.below(8) {
        0 | 1 => ("Dense", json!({ "units": random.between(1, 9), "activation": *random.of(&ACTIVATIONS) })),
        2 if shape.len() == 2 => ("Permute", json!({ "dims": [2, 1] })),
        2 => ("Reshape", json!({ "target_shape": [last, 1, 1] })),
        3 => ("Reshape", json!({ "target_shape": [shape[0], 1, -1] })),
        4 => ("Flatten", json!({})),
        _ => any_layer(random, shape),
    }
}

/// A layer that takes any shape and keeps it.
fn any_layer(random: &mut Random, shape: &[usize]) -> (&'static str, Value) {
    let axis = random.between(1, shape.len());
    let (scale, center) = (random.yes(), random.yes());
    match random.below(15) {
        0 | 1 => ("BatchNormalization", json!({ "axis": axis, "scale": scale, "center": center })),
        2 => ("LayerNormalization", json!({ "axis": axis, "scale": scale, "center": center })),
        3 => ("LayerNormalization", json!({ "axis": (1..=shape.len()).collect::<Vec<_>>(), "scale": scale })),
        4 => ("GroupNormalization", json!({ "groups": -1, "axis": axis, "scale": scale, "center": center })),
        5 => ("GroupNormalization", json!({ "groups": 2, "axis": -1, "scale": scale })),
        6 => ("UnitNormalization", json!({ "axis": axis })),
        7 => ("PReLU", json!({ "shared_axes": [axis], "alpha_initializer": "ones" })),
        8 => ("LeakyReLU", json!({ "negative_slope": 0.4 })),
        9 => ("ReLU", json!({ "max_value": 1.5, "negative_slope": 0.3, "threshold": 0.2 })),
        10 => ("ELU", json!({ "alpha": 0.7 })),
        11 => ("Softmax", json!({ "axis": if random.yes() { json!(axis) } else { json!([1, shape.len()]) } })),
        12 => ("Dropout", json!({ "rate": 0.3 })),
        13 => ("Rescaling", json!({ "scale": 1.5, "offset": -0.25 })),
        _ => ("Activation", json!({ "activation": *random.of(&ACTIVATIONS) })),
    }
}
