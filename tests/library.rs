//! The library as a program of its own uses it. `train_from` sets up libtorch for the whole process, so it has one of its own.

use convnet::config::RunConfig;
use convnet::predict::Predictor;

#[test]
fn a_configuration_becomes_a_saved_model() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = RunConfig::from_toml("data = 'digits:600'\nmodel = 'mlp'\nepochs = 1\nvalidation = 60").unwrap();
    config.outputs.logs = folder.path().join("logs");
    config.outputs.models = folder.path().join("models");
    let trained = convnet::train_from(&config).unwrap();
    assert_eq!(trained.epochs.len(), 1);
    assert!(trained.run.join("run.json").is_file());
    assert!((0.0..=1.0).contains(&trained.test.unwrap().accuracy()));
    Predictor::load(&trained.model.display().to_string(), tch::Device::Cpu).unwrap();

    config.training.batch_size = 0;
    let error = convnet::train_from(&config).unwrap_err();
    assert_eq!((error.exit_code(), format!("{error:?}").contains("`batch_size`")), (2, true), "{error:?}");
}
