//! What a broken file, a full disk or a wrong number does to the program: an exit code and one paragraph, nothing lost.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use crate::program::{SMALL, convnet, failed, succeeded, train};
use flate2::Compression;
use flate2::write::GzEncoder;

/// An IDX file: its magic number, its sizes, its bytes.
fn idx(kind: u8, sizes: &[u32], bytes: &[u8]) -> Vec<u8> {
    let header = [0, 0, 8, kind].into_iter().chain(sizes.iter().flat_map(|size| size.to_be_bytes()));
    header.chain(bytes.iter().copied()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Forty images of 12×12 pixels in four classes, the same for testing.
fn write_data(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let pixels: Vec<u8> = (0..40 * 144u32).map(|i| (i * 7919 % 251) as u8).collect();
    let labels: Vec<u8> = (0..40).map(|i| i % 4).collect();
    for part in ["train", "t10k"] {
        fs::write(folder.join(format!("{part}-images-idx3-ubyte.gz")), gzip(&idx(3, &[40, 12, 12], &pixels))).unwrap();
        fs::write(folder.join(format!("{part}-labels-idx1-ubyte.gz")), gzip(&idx(1, &[40], &labels))).unwrap();
    }
}

fn train_on_data(folder: &Path) -> Output {
    convnet(folder, &["train", "--data", "d", "--validation", "0.2", "--epochs", "1", "-q", "--device=cpu"])
}

#[test]
fn broken_data_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let images = "train-images-idx3-ubyte.gz";
    let labels = "train-labels-idx1-ubyte.gz";
    write_data(&at.join("d"));
    succeeded(&train_on_data(at));
    let whole = fs::read(at.join("d").join(images)).unwrap();
    let cut = whole[..whole.len() / 2].to_vec();
    for (file, bytes, word) in [
        (images, cut, "ends too early"),
        (images, gzip(&idx(3, &[u32::MAX, 12, 12], &[1; 99])), "4294967295"),
        (images, gzip(&idx(3, &[40, u32::MAX, u32::MAX], &[1; 99])), "4294967295"),
        (images, gzip(&idx(3, &[40, 0, 12], &[])), "out of range"),
        (images, gzip(b"<html>not found</html>"), images),
        (images, b"<html>not found</html>".to_vec(), images),
        (images, Vec::new(), images),
        (labels, gzip(&idx(1, &[39], &[0; 39])), "39"),
        (labels, gzip(&idx(1, &[0], &[])), "empty"),
    ] {
        write_data(&at.join("d"));
        fs::write(at.join("d").join(file), bytes).unwrap();
        failed(&train_on_data(at), 3, word);
    }
    write_data(&at.join("d"));
    fs::remove_file(at.join("d").join(labels)).unwrap();
    failed(&train_on_data(at), 3, "train-labels-idx1-ubyte");
}

#[test]
fn a_loss_that_is_not_finite_ends_with_its_own_code_and_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    failed(&train(at, &["--optimizer", "sgd", "--lr", "1e30"]), 6, "epoch 1");
    failed(
        &train(at, &["--lr", "1e30", "--batch-size", "64"]),
        6,
        "step 2, learning rate 1e30, first in layer conv2d_1",
    );
    assert!(!at.join("models/model.json").exists());
}

#[test]
fn weights_of_another_model_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1", "--name", "a"]));
    succeeded(&train(at, &["--epochs", "1", "--name", "b", "--seed", "1"]));
    fs::copy(at.join("models/b.safetensors"), at.join("models/a.safetensors")).unwrap();
    failed(&convnet(at, &["evaluate", "models/a", "--data", "digits:600"]), 4, "SHA-256");
}

#[test]
fn a_folder_that_cannot_be_written_is_found_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("file"), "").unwrap();
    failed(&train(at, &["--logs", "file"]), 2, "--logs");
    failed(&train(at, &["--models", "file/models"]), 2, "--models");
    assert!(!at.join("models").exists());
}

#[test]
#[ignore = "needs unshare"]
#[cfg(target_os = "linux")]
fn a_full_disk_for_logs_costs_logs_and_checkpoints_but_not_the_training() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir(at.join("logs")).unwrap();
    // 24 kB take run.json and the first curves, and no checkpoint
    let script = "mount -t tmpfs -o size=24k tmpfs logs || exit 99; \"$@\"; code=$?; ls logs/a/checkpoints; exit $code";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_convnet"), "train"])
        .args(SMALL)
        .args(["--epochs", "3", "--run", "a"])
        .current_dir(at)
        .output()
        .expect("unshare starts");
    let stdout = succeeded(&output);
    assert!(!stdout.contains("last"), "no partial checkpoint: {stdout}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    for word in ["warning: cannot save the model", "No space left", "training goes on"] {
        assert!(stderr.contains(word), "{word}: {stderr}");
    }
    succeeded(&convnet(at, &["evaluate", "models/model", "--data", "digits:600"]));
}
