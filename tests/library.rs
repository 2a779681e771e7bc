//! The library as a program of its own uses it.

use convnet::config::RunConfig;
use convnet::data::split::Validation;
use convnet::predict::Predictor;

#[test]
fn a_configuration_becomes_a_saved_model() {
    let folder = tempfile::tempdir().unwrap();
    let config = RunConfig {
        data: "digits:600".into(),
        model: "mlp".into(),
        epochs: 1,
        validation: Validation::Count(60),
        logs: folder.path().join("logs"),
        models: folder.path().join("models"),
        ..RunConfig::default()
    };
    let trained = convnet::train_from(&config).unwrap();
    assert_eq!(trained.epochs.len(), 1);
    assert!(trained.run.join("run.json").is_file());
    assert!((0.0..=1.0).contains(&trained.test.unwrap().accuracy));
    Predictor::load(&trained.model.display().to_string(), tch::Device::Cpu).unwrap();

    let error = convnet::train_from(&RunConfig { batch_size: 0, ..config }).unwrap_err();
    assert_eq!((error.exit_code(), format!("{error:?}").contains("batch-size")), (2, true), "{error:?}");
}
