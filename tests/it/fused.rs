//! convnet's own operators against libtorch's: the same training with `CONVNET_FUSED=0`.

use std::path::Path;
use std::process::Command;

use crate::program::{NO_GPU, history, succeeded};

/// A convolution without bias, windows of other sizes, a pooling whose windows overlap, zeros before windows, convolutions of 16 and 32
/// channels.
const NETWORKS: [(&str, &str); 7] = [
    ("default", "Conv2D 8 3 relu\nMaxPooling2D 2\nConv2D 20 3 relu\nMaxPooling2D 2\nFlatten\nDense softmax\n"),
    (
        "windows",
        "Conv2D 8 3 use_bias=false\nMaxPooling2D [3,2]\nConv2D 17 3 same relu\nMaxPooling2D 2 1\nConv2D 5 3\n\
         BatchNormalization\nActivation relu\nMaxPooling2D 3\nFlatten\nDense softmax\n",
    ),
    (
        "normalised",
        "Conv2D 8 3 use_bias=false\nBatchNormalization\nReLU\nDepthwiseConv2D 3 use_bias=false\n\
         BatchNormalization scale=false\nReLU max_value=6\nConv2D 17 1\nBatchNormalization\nActivation relu6\n\
         BatchNormalization center=false momentum=0.9\nGlobalAveragePooling2D\nBatchNormalization\nDense softmax\n",
    ),
    (
        "frozen",
        "Conv2D 8 3 relu\nBatchNormalization trainable=false\nReLU\nConv2D 8 3 use_bias=false\nBatchNormalization\nActivation tanh\n\
         MaxPooling2D 2\nFlatten\nDense softmax\n",
    ),
    (
        "padded",
        "ZeroPadding2D 1\nConv2D 8 3 use_bias=false\nBatchNormalization\nReLU\nZeroPadding2D 1\nMaxPooling2D 3 2\n\
         ZeroPadding2D [2,1]\nDepthwiseConv2D 3 2\nConv2D 8 1 relu\nZeroPadding2D [[0,1],[0,1]]\nConv2D 8 3 2 relu\nFlatten\n\
         Dense softmax\n",
    ),
    (
        "deep",
        "Conv2D 16 3 same relu\nMaxPooling2D 2\nConv2D 32 3 same use_bias=false\nReLU\nMaxPooling2D 2\nConv2D 20 3 relu\n\
         MaxPooling2D 2\nFlatten\nDense softmax\n",
    ),
    ("tanh", "Conv2D 6 3 tanh\nMaxPooling2D 2\nConv2D 6 3\nMaxPooling2D 2 same\nFlatten\nDense softmax\n"),
];

fn trained(at: &Path, network: &str, precision: &str, fused: &str) -> Vec<Vec<f64>> {
    let run = format!("{network}-{precision}-{fused}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_convnet"));
    command.current_dir(at).env(NO_GPU, "").env("CONVNET_FUSED", fused).args(["train", "--model"]);
    command.arg(format!("{network}.txt")).args(["--data=digits:600", "--validation=60", "--epochs=2", "-q"]);
    command.args(["--precision", precision, "--run", &run, "--name", &run]);
    succeeded(&command.output().unwrap());
    let numbers = |row: Vec<String>| row.iter().map(|cell| cell.parse().unwrap()).collect();
    history(at, &run).into_iter().map(numbers).collect()
}

#[test]
fn a_training_is_the_same_with_libtorch_s_operators() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (name, layers) in NETWORKS {
        std::fs::write(at.join(format!("{name}.txt")), layers).unwrap();
        // bf16 has 8 bits: a bias that is added before rounding is not one that is added behind it
        for (precision, tolerance) in [("fp32", 1e-4), ("bf16", 0.05)] {
            let [ours, libtorch] = ["1", "0"].map(|fused| trained(at, name, precision, fused));
            for (ours, libtorch) in ours.iter().flatten().zip(libtorch.iter().flatten()) {
                let is_same = (ours - libtorch).abs() <= tolerance * libtorch.abs().max(1.0);
                assert!(is_same, "{name} {precision}: {ours}, libtorch {libtorch}");
            }
        }
    }
}
