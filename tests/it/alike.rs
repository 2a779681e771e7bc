//! Whether trainings in several processes have the losses of one.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::program::succeeded;

/// The losses of the epochs, on the training and on the validation images.
pub fn losses(folder: &Path, run: &str) -> Vec<[f64; 2]> {
    let text = fs::read_to_string(folder.join(format!("logs/{run}/history.csv"))).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let columns = ["loss", "val_loss"].map(|name| header.iter().position(|column| *column == name));
    let value = |line: &str, column: Option<usize>| {
        column.map_or(0.0, |at| line.split(',').nth(at).unwrap().parse().unwrap_or(0.0))
    };
    lines.map(|line| columns.map(|column| value(line, column))).collect()
}

/// By how much two numbers differ, as a share of the first.
pub fn difference(a: f64, b: f64) -> f64 {
    if a == b { 0.0 } else { (a - b).abs() / a.abs() }
}

/// Trains with `settings` in one process and in as many as `counts` say: the losses of the first epoch may differ by `first`, of all by
/// `later`. `train` trains a run with settings, in `folder`.
pub fn assert_alike(
    folder: &Path,
    train: impl Fn(&str, &[&str]) -> Output,
    settings: &[&str],
    counts: &[usize],
    [first, later]: [f64; 2],
) {
    succeeded(&train("p1", settings));
    let alone = losses(folder, "p1");
    assert!(alone.len() == 2 && alone[1][0] < alone[0][0], "it learns: {alone:?}");
    for count in counts {
        let (run, count) = (format!("p{count}"), count.to_string());
        succeeded(&train(&run, &[settings, &["--nproc", &count]].concat()));
        let found = losses(folder, &run);
        for (epoch, (a, b)) in alone.iter().zip(&found).enumerate() {
            let bound = if epoch == 0 { first } else { later };
            let off = [difference(a[0], b[0]), difference(a[1], b[1])];
            assert!(off[0] <= bound && off[1] <= later, "{settings:?}, {count} processes, epoch {epoch}: {off:?}");
        }
        fs::remove_dir_all(folder.join("logs").join(&run)).unwrap();
    }
    fs::remove_dir_all(folder.join("logs/p1")).unwrap();
}

/// A small network without kinks, whose sums in another order stay as close as sums can, with layers between that draw at random or take
/// statistics of the batch.
pub fn network(folder: &Path, between: &[Value]) -> String {
    let layer = |class: &str, config: Value| json!({ "class_name": class, "config": config });
    let mut layers = vec![
        layer("InputLayer", json!({ "batch_input_shape": [null, 28, 28, 1], "name": "images" })),
        // before batch normalisation a bias has no gradient but rounding, which Adam makes steps of
        layer("Conv2D", json!({ "name": "conv", "filters": 8, "kernel_size": [3, 3], "use_bias": false })),
    ];
    layers.extend_from_slice(between);
    layers.extend([
        layer("Activation", json!({ "name": "tanh", "activation": "tanh" })),
        layer("AveragePooling2D", json!({ "name": "pool", "pool_size": [4, 4] })),
        layer("Flatten", json!({ "name": "flatten" })),
        layer("Dense", json!({ "name": "classes", "units": 10, "activation": "softmax" })),
    ]);
    let network = json!({ "class_name": "Sequential", "config": { "name": "small", "layers": layers } });
    let path = folder.join("network.json");
    fs::write(&path, network.to_string()).unwrap();
    path.display().to_string()
}
