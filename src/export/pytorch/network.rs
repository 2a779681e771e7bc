//! A network as modules of PyTorch and what each takes.

use std::collections::{HashMap, HashSet};

use safetensors::SafeTensors;
use tch::{Device, Kind, Tensor};

use super::convert::{self, TorchStep};
use super::join::Join;
use super::module::Module;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::model::saved::{self, TensorFile};
use crate::model::spec::{LayerPlan, LayerSpec, Source};

/// Attributes of `nn.Sequential` and its `nn.Module`, which no module in it can have as its name.
const RESERVED: [&str; 60] = [
    "T_destination",
    "add_module",
    "append",
    "apply",
    "bfloat16",
    "buffers",
    "call_super_init",
    "children",
    "compile",
    "cpu",
    "cuda",
    "double",
    "dump_patches",
    "eval",
    "extend",
    "extra_repr",
    "float",
    "forward",
    "get_buffer",
    "get_extra_state",
    "get_parameter",
    "get_submodule",
    "half",
    "insert",
    "ipu",
    "load_state_dict",
    "modules",
    "mtia",
    "named_buffers",
    "named_children",
    "named_modules",
    "named_parameters",
    "parameters",
    "pop",
    "register_backward_hook",
    "register_buffer",
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_full_backward_hook",
    "register_full_backward_pre_hook",
    "register_load_state_dict_post_hook",
    "register_load_state_dict_pre_hook",
    "register_module",
    "register_parameter",
    "register_state_dict_post_hook",
    "register_state_dict_pre_hook",
    "requires_grad_",
    "set_extra_state",
    "set_submodule",
    "share_memory",
    "state_dict",
    "to",
    "to_empty",
    "train",
    "training",
    "type",
    "xpu",
    "zero_grad",
    "build",
    "load",
];

/// A module with its name in the script.
pub(super) struct Named {
    pub name: String,
    pub module: Module,
    weights: Vec<(&'static str, Tensor)>,
}

/// One line of `forward`.
pub(super) struct Use {
    pub what: What,
    /// What goes in, among the uses.
    pub inputs: Vec<Source>,
}

/// What a use computes.
pub(super) enum What {
    /// The module of this number.
    Module(usize),
    Join(Join),
}

/// The network as modules, and their uses, each after those that it reads.
pub(super) struct TorchNetwork {
    pub modules: Vec<Named>,
    pub uses: Vec<Use>,
}

impl TorchNetwork {
    /// The modules of `model`.
    ///
    /// # Errors
    /// A model error that names the first layer that PyTorch has no module for.
    pub fn new(model: &Model) -> Result<Self> {
        let plan = model.plan();
        let leaves = plan.flat_layers();
        let mut weights =
            model.weights().iter().map(|weight| weight.tensor.detach().to_device(Device::Cpu).contiguous());
        let own: Vec<Vec<Tensor>> =
            leaves.iter().map(|(_, leaf)| weights.by_ref().take(leaf.weights.len()).collect()).collect();
        let mut builder = Builder::default();
        let mut outputs: Vec<Source> = Vec::with_capacity(plan.calls.len());
        for call in &plan.calls {
            let (path, leaf) = &leaves[call.leaf];
            let at_layer = |error: Error| error.at(format!("layer {path} ({})", leaf.class_name()));
            let of = |source: &Source| match *source {
                Source::Input => Source::Input,
                Source::Call(call) => outputs[call],
            };
            let inputs: Vec<Source> = call.inputs.iter().map(of).collect();
            let name = module_name(model, call.leaf, path);
            let joined = match Join::of(&leaf.layer.spec, call).map_err(at_layer)? {
                Some(join) => builder.join(join, &name, inputs, &call.input_shapes),
                None => inputs[0],
            };
            let own = own[call.leaf].iter().map(Tensor::shallow_clone).collect();
            let steps = convert::steps(leaf, call, own).map_err(at_layer)?;
            let place = Place { leaf: call.leaf, layer: leaf, name: &name };
            outputs.push(builder.add(&place, steps, joined).map_err(at_layer)?);
        }
        Ok(TorchNetwork { modules: builder.modules, uses: builder.uses })
    }

    /// Whether every use takes what the one before gives, and no module is used twice: an `nn.Sequential`.
    pub fn is_chain(&self) -> bool {
        self.uses.iter().enumerate().all(|(index, used)| {
            let before = index.checked_sub(1).map_or(Source::Input, Source::Call);
            used.inputs == [before] && matches!(used.what, What::Module(module) if module == index)
        })
    }

    /// The bytes of the weights' file: every tensor that `load_state_dict` asks for.
    ///
    /// # Errors
    /// An internal error where it cannot be made.
    pub fn weights_to_bytes(&self) -> Result<Vec<u8>> {
        let mut tensors = Vec::new();
        for Named { name, module, weights } in &self.modules {
            tensors.extend(weights.iter().map(|(weight, tensor)| (format!("{name}.{weight}"), tensor.shallow_clone())));
            if let Module::BatchNorm { .. } = module {
                // PyTorch counts batches beside the statistics
                tensors.push((
                    format!("{name}.num_batches_tracked"),
                    Tensor::zeros([1i64; 0], (Kind::Float, Device::Cpu)),
                ));
            }
        }
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        Ok(TensorFile::new(tensors.into_iter(), metadata)?.to_bytes())
    }

    /// What the network computes from `images`, `f32 [B, H, W, C]`, with the weights in `bytes`.
    ///
    /// # Errors
    /// A check error where a weight is missing or another.
    pub fn forward(&self, images: &Tensor, bytes: &[u8]) -> Result<Tensor> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| unreadable().because(error))?;
        let input = if images.dim() == 4 { images.permute([0, 3, 1, 2]) } else { images.shallow_clone() };
        let mut values: Vec<Tensor> = Vec::with_capacity(self.uses.len());
        for Use { what, inputs } in &self.uses {
            let of = |source: &Source| match *source {
                Source::Input => input.shallow_clone(),
                Source::Call(used) => values[used].shallow_clone(),
            };
            let inputs: Vec<Tensor> = inputs.iter().map(of).collect();
            values.push(match what {
                What::Module(module) => self.modules[*module].forward(&inputs[0], &file)?,
                What::Join(join) => join.forward(&inputs),
            });
        }
        let output = values.pop().unwrap_or(input);
        Ok(if output.dim() == 4 { output.permute([0, 2, 3, 1]) } else { output })
    }
}

impl Named {
    /// What the module computes of `x` with its weights in `file`.
    fn forward(&self, x: &Tensor, file: &SafeTensors) -> Result<Tensor> {
        let Named { name, module, weights } = self;
        let mut read = HashMap::new();
        for (weight, expected) in weights {
            let view = file.tensor(&format!("{name}.{weight}")).map_err(|error| unreadable().because(error))?;
            let tensor = saved::tensor_of(&view);
            if !tensor.equal(expected) {
                return Err(unreadable().got(format!("another {name}.{weight}")));
            }
            read.insert(*weight, tensor);
        }
        Ok(module.forward(x, &|weight| read[weight].shallow_clone()))
    }
}

/// Puts modules and uses together.
#[derive(Default)]
struct Builder {
    modules: Vec<Named>,
    uses: Vec<Use>,
    names: HashSet<String>,
    /// The modules of each layer by its number and the module's suffix.
    of_layers: HashMap<(usize, &'static str), usize>,
}

/// The layer whose modules are added.
struct Place<'a> {
    leaf: usize,
    layer: &'a LayerPlan,
    name: &'a str,
}

impl Builder {
    /// Uses `steps` one after the other on `input`; what the last one gives.
    fn add(&mut self, place: &Place, steps: Vec<TorchStep>, input: Source) -> Result<Source> {
        let mut value = input;
        for step in steps {
            let module = self.module(place, step)?;
            value = self.used(What::Module(module), vec![value]);
        }
        Ok(value)
    }

    /// The number of the module of `step`: the one that there is where the layer was called before.
    fn module(&mut self, place: &Place, step: TorchStep) -> Result<usize> {
        let key = (place.leaf, step.suffix);
        match self.of_layers.get(&key) {
            Some(&module) if self.modules[module].module == step.module => return Ok(module),
            Some(_) if !step.weights.is_empty() => {
                return Err(convert::refused(&format!(
                    "{} on images of two sizes, which need other padding,",
                    place.layer.class_name()
                )));
            }
            _ => {}
        }
        let module = self.named(format!("{}{}", place.name, step.suffix), step.module, step.weights);
        self.of_layers.insert(key, module);
        Ok(module)
    }

    fn named(&mut self, mut name: String, module: Module, weights: Vec<(&'static str, Tensor)>) -> usize {
        while RESERVED.contains(&&*name) || !self.names.insert(name.clone()) {
            name.push('_');
        }
        self.modules.push(Named { name, module, weights });
        self.modules.len() - 1
    }

    /// Joins `inputs` of these `shapes`, those with fewer axes brought to the others' number first.
    fn join(&mut self, join: Join, name: &str, inputs: Vec<Source>, shapes: &[Vec<usize>]) -> Source {
        let to = shapes.iter().map(Vec::len).max().unwrap_or(0) + 1;
        let lifted = inputs.into_iter().zip(shapes).map(|(input, shape)| match shape.len() + 1 {
            from if from == to => input,
            from => {
                let module = self.named(format!("{name}_lift"), Module::Lift { from, to }, Vec::new());
                self.used(What::Module(module), vec![input])
            }
        });
        let inputs = lifted.collect();
        self.used(What::Join(join), inputs)
    }

    fn used(&mut self, what: What, inputs: Vec<Source>) -> Source {
        self.uses.push(Use { what, inputs });
        Source::Call(self.uses.len() - 1)
    }
}

/// The name of the layer's modules: those of the networks around it and its own, none of which may be empty or have a '.',
/// which separates names in PyTorch.
fn module_name(model: &Model, leaf: usize, path: &str) -> String {
    let names = names_of(&model.plan().layers, leaf).unwrap_or_else(|| vec![path]);
    let names: Vec<String> = names
        .into_iter()
        .map(|name| if name.is_empty() { "layer".to_owned() } else { name.replace('.', "_") })
        .collect();
    let name = names.join("_");
    if name.starts_with('_') { format!("layer{name}") } else { name }
}

/// The names of the networks around the `leaf`th of the layers that are no networks, and its own.
fn names_of(layers: &[LayerPlan], mut leaf: usize) -> Option<Vec<&str>> {
    for layer in layers {
        let (count, inner) = match layer.layer.spec {
            LayerSpec::Network(_) => (crate::model::spec::flat_layers(&layer.inner).len(), Some(&layer.inner)),
            _ => (1, None),
        };
        if leaf < count {
            let below = match inner {
                Some(inner) => names_of(inner, leaf)?,
                None => Vec::new(),
            };
            return Some(std::iter::once(layer.name()).chain(below).collect());
        }
        leaf -= count;
    }
    None
}

fn unreadable() -> Error {
    Error::new(crate::error::ErrorKind::Check, "the exported weights, read back, are not the model's")
}
