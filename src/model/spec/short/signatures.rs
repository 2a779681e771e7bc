//! What Keras's constructors take, in Keras's order.

/// A class's constructor.
pub(super) struct Signature {
    /// Keras's name of the class.
    pub class_name: &'static str,
    /// How many of the parameters have no default, the first ones.
    pub required: usize,
    /// The parameters in order, separated by spaces.
    parameters: &'static str,
}

impl Signature {
    const fn new(class_name: &'static str, required: usize, parameters: &'static str) -> Self {
        Signature { class_name, required, parameters }
    }

    /// The parameters in order.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.parameters.split_whitespace()
    }

    /// Whether there is a parameter of this name.
    pub fn has(&self, parameter: &str) -> bool {
        self.parameters().any(|known| known == parameter)
    }
}

/// What every layer takes beside its own parameters. `input_shape`, of Keras 2, is for the first layer.
pub(super) const OF_EVERY_LAYER: [&str; 4] = ["name", "trainable", "dtype", "input_shape"];

/// Other names under which Keras 3 exports a class.
const ALIASES: [(&str, &str); 7] = [
    ("Convolution2D", "Conv2D"),
    ("Convolution2DTranspose", "Conv2DTranspose"),
    ("SeparableConvolution2D", "SeparableConv2D"),
    ("MaxPool2D", "MaxPooling2D"),
    ("AvgPool2D", "AveragePooling2D"),
    ("GlobalAvgPool2D", "GlobalAveragePooling2D"),
    ("GlobalMaxPool2D", "GlobalMaxPooling2D"),
];

/// The layers, as Keras 3.15.1 has them; without what only quantisation and LoRA use.
pub(super) const LAYERS: [Signature; 42] = [
    Signature::new(
        "Conv2D",
        2,
        "filters kernel_size strides padding data_format dilation_rate groups activation use_bias kernel_initializer \
         bias_initializer kernel_regularizer bias_regularizer activity_regularizer kernel_constraint bias_constraint",
    ),
    Signature::new(
        "DepthwiseConv2D",
        1,
        "kernel_size strides padding depth_multiplier data_format dilation_rate activation use_bias \
         depthwise_initializer bias_initializer depthwise_regularizer bias_regularizer activity_regularizer \
         depthwise_constraint bias_constraint",
    ),
    Signature::new(
        "SeparableConv2D",
        2,
        "filters kernel_size strides padding data_format dilation_rate depth_multiplier activation use_bias \
         depthwise_initializer pointwise_initializer bias_initializer depthwise_regularizer pointwise_regularizer \
         bias_regularizer activity_regularizer depthwise_constraint pointwise_constraint bias_constraint",
    ),
    Signature::new(
        "Conv2DTranspose",
        2,
        "filters kernel_size strides padding output_padding data_format dilation_rate activation use_bias \
         kernel_initializer bias_initializer kernel_regularizer bias_regularizer activity_regularizer \
         kernel_constraint bias_constraint",
    ),
    Signature::new("MaxPooling2D", 0, "pool_size strides padding data_format name"),
    Signature::new("AveragePooling2D", 1, "pool_size strides padding data_format name"),
    Signature::new("GlobalAveragePooling2D", 0, "data_format keepdims"),
    Signature::new("GlobalMaxPooling2D", 0, "data_format keepdims"),
    Signature::new(
        "BatchNormalization",
        0,
        "axis momentum epsilon center scale beta_initializer gamma_initializer moving_mean_initializer \
         moving_variance_initializer beta_regularizer gamma_regularizer beta_constraint gamma_constraint renorm \
         renorm_clipping renorm_momentum synchronized",
    ),
    Signature::new(
        "LayerNormalization",
        0,
        "axis epsilon center scale beta_initializer gamma_initializer beta_regularizer gamma_regularizer \
         beta_constraint gamma_constraint",
    ),
    Signature::new(
        "GroupNormalization",
        0,
        "groups axis epsilon center scale beta_initializer gamma_initializer beta_regularizer gamma_regularizer \
         beta_constraint gamma_constraint",
    ),
    Signature::new("UnitNormalization", 0, "axis"),
    Signature::new("Dropout", 1, "rate noise_shape seed"),
    Signature::new("SpatialDropout2D", 1, "rate data_format seed name dtype"),
    Signature::new("AlphaDropout", 1, "rate noise_shape seed"),
    Signature::new("GaussianDropout", 1, "rate seed"),
    Signature::new("GaussianNoise", 1, "stddev seed"),
    Signature::new("ActivityRegularization", 0, "l1 l2"),
    Signature::new("Identity", 0, ""),
    Signature::new("Flatten", 0, "data_format"),
    Signature::new("Reshape", 1, "target_shape"),
    Signature::new("Permute", 1, "dims"),
    Signature::new(
        "Dense",
        1,
        "units activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer \
         activity_regularizer kernel_constraint bias_constraint",
    ),
    Signature::new("Activation", 1, "activation"),
    Signature::new("ReLU", 0, "max_value negative_slope threshold"),
    Signature::new("LeakyReLU", 0, "negative_slope"),
    Signature::new("PReLU", 0, "alpha_initializer alpha_regularizer alpha_constraint shared_axes"),
    Signature::new("ELU", 0, "alpha"),
    Signature::new("Softmax", 0, "axis"),
    Signature::new("ZeroPadding2D", 0, "padding data_format"),
    Signature::new("Cropping2D", 0, "cropping data_format"),
    Signature::new("UpSampling2D", 0, "size data_format interpolation"),
    Signature::new("Rescaling", 1, "scale offset"),
    Signature::new("Normalization", 0, "axis mean variance invert"),
    Signature::new("CenterCrop", 2, "height width data_format"),
    Signature::new(
        "Resizing",
        2,
        "height width interpolation crop_to_aspect_ratio pad_to_aspect_ratio fill_mode fill_value antialias data_format",
    ),
    Signature::new("RandomFlip", 0, "mode seed data_format"),
    Signature::new("RandomRotation", 1, "factor fill_mode interpolation seed fill_value data_format"),
    Signature::new("RandomZoom", 1, "height_factor width_factor fill_mode interpolation seed fill_value data_format"),
    Signature::new(
        "RandomTranslation",
        2,
        "height_factor width_factor fill_mode interpolation seed fill_value data_format",
    ),
    Signature::new("RandomContrast", 1, "factor value_range seed"),
    Signature::new("RandomBrightness", 1, "factor value_range seed"),
];

/// What may stand in a layer's parameter, by Keras's class name; the older function's name is that in snake case.
pub(super) const OBJECTS: [Signature; 24] = [
    Signature::new("L1", 0, "l1"),
    Signature::new("L2", 0, "l2"),
    Signature::new("L1L2", 0, "l1 l2"),
    Signature::new("OrthogonalRegularizer", 0, "factor mode"),
    Signature::new("MaxNorm", 0, "max_value axis"),
    Signature::new("NonNeg", 0, ""),
    Signature::new("UnitNorm", 0, "axis"),
    Signature::new("MinMaxNorm", 0, "min_value max_value rate axis"),
    Signature::new("GlorotUniform", 0, "seed input_axes output_axes"),
    Signature::new("GlorotNormal", 0, "seed input_axes output_axes"),
    Signature::new("HeUniform", 0, "seed input_axes output_axes"),
    Signature::new("HeNormal", 0, "seed input_axes output_axes"),
    Signature::new("LecunUniform", 0, "seed input_axes output_axes"),
    Signature::new("LecunNormal", 0, "seed input_axes output_axes"),
    Signature::new("Zeros", 0, ""),
    Signature::new("Ones", 0, ""),
    Signature::new("Constant", 0, "value"),
    Signature::new("RandomNormal", 0, "mean stddev seed"),
    Signature::new("TruncatedNormal", 0, "mean stddev seed"),
    Signature::new("RandomUniform", 0, "minval maxval seed"),
    Signature::new("VarianceScaling", 0, "scale mode distribution seed input_axes output_axes"),
    Signature::new("Orthogonal", 0, "gain seed"),
    Signature::new("Identity", 0, "gain"),
    Signature::new("Sequential", 1, "layers trainable name"),
];

/// The layer that Keras calls `class_name`, under any of its names.
pub(super) fn layer(class_name: &str) -> Option<&'static Signature> {
    let class_name = ALIASES.iter().find(|(alias, _)| *alias == class_name).map_or(class_name, |(_, name)| name);
    LAYERS.iter().find(|signature| signature.class_name == class_name)
}

/// The regulariser, constraint, initialiser or layer that Keras calls `name`: `L2` or `l2`, `MaxNorm` or `max_norm`.
pub(super) fn object(name: &str) -> Option<&'static Signature> {
    let plain = |name: &str| name.to_lowercase().replace('_', "");
    OBJECTS.iter().find(|signature| plain(signature.class_name) == plain(name)).or_else(|| layer(name))
}
