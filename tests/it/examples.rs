//! The examples, as a reader of the documentation runs them.

use std::process::Command;

/// What the example prints on stdout.
fn output_of(example: &str) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--locked", "--example", example]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.env("CUDA_VISIBLE_DEVICES", "").output().unwrap(); // numbers of the CPU
    assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The number behind `words`.
fn number_after(text: &str, words: &str) -> f64 {
    let rest = text.split_once(words).unwrap_or_else(|| panic!("no '{words}' in: {text}")).1;
    let digits: String = rest.trim_start().chars().take_while(|c| "0123456789.e-".contains(*c)).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number behind '{words}' in: {text}"))
}

#[test]
fn train_in_rust_learns_and_predicts() {
    assert!(number_after(&output_of("train_in_rust"), "test accuracy") > 0.85);
}

#[test]
fn run_is_reported_compared_and_resumed() {
    let text = output_of("run");
    assert!(number_after(&text, "best validation accuracy") > 0.5, "{text}");
    assert!(text.contains("the same numbers and weights, bit for bit"), "{text}");
    assert!(number_after(&text, "second:") == 6.0, "{text}");
}

#[test]
fn listen_ends_the_run() {
    let text = output_of("listen");
    assert!(number_after(&text, "batches: accuracy") >= 0.9, "{text}");
    assert!(text.contains("ended: Signal(1)"), "{text}");
}

#[test]
fn resume_comes_to_the_same_bits() {
    let text = output_of("resume");
    assert!(text.contains("goes on after epoch 2\n") && text.contains("the same, bit for bit"), "{text}");
}

#[test]
fn transfer_learns_other_classes() {
    let text = output_of("transfer");
    assert!(text.contains("layer dense starts anew"), "{text}");
    assert!(number_after(&text, "training accuracy") > 0.8, "{text}");
}

#[test]
fn find_learning_rate_suggests_one() {
    assert!((1e-5..1.0).contains(&number_after(&output_of("find_learning_rate"), "suggested")));
}
