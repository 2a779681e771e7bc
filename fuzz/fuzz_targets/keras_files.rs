//! Any bytes as a Keras file: as the weights of a small network, and as a model of its own.

#![no_main]

use std::cell::LazyCell;

use convnet::keras::KerasModel;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

thread_local! {
    static FOLDER: LazyCell<TempDir> = LazyCell::new(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("model.json"), include_str!("../model.json")).expect("a file");
        folder
    });
}

fuzz_target!(|bytes: &[u8]| {
    FOLDER.with(|folder| {
        let file = folder.path().join("file");
        std::fs::write(&file, bytes).expect("a file");
        let as_weights = KerasModel::open(&folder.path().join("model.json"), Some(&file));
        let as_model = KerasModel::open(&file, None);
        for keras in [as_weights, as_model].into_iter().flatten() {
            let _ = keras.optimizer_state();
            // a network of any size can be said in a few bytes: only small ones are built
            let parameters = keras.spec().plan().map(|plan| plan.num_parameters());
            if parameters.is_ok_and(|count: usize| count < 1 << 20) {
                let _ = keras.build(1.0, tch::Device::Cpu);
            }
        }
    });
});
