use super::*;
use crate::data::ImageShape;
use crate::model::presets;

fn spec(num_classes: usize, side: usize) -> Spec {
    let mut spec = presets::preset("keras-cnn").unwrap();
    spec.adapt(ImageShape { height: side, width: side, channels: 1 }, num_classes);
    spec
}

fn model(spec: Spec, seed: u64) -> Model {
    Model::new(spec, 1.0, tch::Device::Cpu, seed).unwrap()
}

fn info(labels: &[&str], metrics: bool) -> ModelInfo {
    let metrics = metrics.then(|| ("val_accuracy".to_owned(), 0.5)).into_iter().collect();
    ModelInfo { labels: names(labels), metrics, ..ModelInfo::default() }
}

fn names(labels: &[&str]) -> Vec<String> {
    labels.iter().map(ToString::to_string).collect()
}

#[test]
fn the_head_is_new_where_the_classes_names_differ() {
    for (labels, trained, classes, head) in [
        (["cat", "dog"], true, &["cat", "dog"][..], HeadTransfer::Kept),
        (["cat", "dog"], true, &["dog", "cat"], HeadTransfer::Reordered(vec![1, 0])),
        (["cat", "dog"], true, &["cat", "owl"], HeadTransfer::New),
        (["cat", "dog"], true, &["0", "1"], HeadTransfer::New),
        (["cat", "dog"], true, &["cat", "dog", "owl"], HeadTransfer::New),
        (["cat", "dog"], true, &["cat"], HeadTransfer::New),
        (["0", "1"], true, &["cat", "dog"], HeadTransfer::New), // digits
        (["0", "1"], false, &["cat", "dog"], HeadTransfer::Kept), // imported without names
        (["0", "1"], false, &["cat", "dog", "owl"], HeadTransfer::New),
    ] {
        assert_eq!(HeadTransfer::of(&info(&labels, trained), &names(classes)), head, "{labels:?} {classes:?}");
    }
}

#[test]
fn all_but_a_new_head_is_copied() {
    let source = model(spec(10, 12), 1);
    for (classes, head) in [(10, HeadTransfer::Kept), (10, HeadTransfer::New), (3, HeadTransfer::New)] {
        let target = model(spec(classes, 12), 2);
        assert_eq!(copy_weights(&source, &target, &head).unwrap().as_deref(), Some("dense"));
        for (weight, from) in target.weights().iter().zip(source.weights()) {
            let is_new = head == HeadTransfer::New && weight.name.starts_with("dense.");
            // biases begin with zeros in both
            assert_eq!(weight.tensor.equal(&from.tensor), !is_new || classes == 10 && weight.name == "dense.bias");
        }
    }
    let error = copy_weights(&source, &model(spec(10, 16), 2), &HeadTransfer::Kept).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("dense.weight"), "{error}");
}

#[test]
fn a_head_follows_its_classes() {
    let (source, target) = (model(spec(3, 12), 1), model(spec(3, 12), 2));
    copy_weights(&source, &target, &HeadTransfer::Reordered(vec![2, 0, 1])).unwrap();
    let row = |model: &Model, class: i64| {
        let weight = model.weights().iter().find(|weight| weight.name == "dense.weight").unwrap();
        weight.tensor.get(class)
    };
    for (now, before) in [(0, 2), (1, 0), (2, 1)] {
        assert!(row(&target, now).equal(&row(&source, before)));
    }
}

#[test]
fn what_a_run_freezes_is_its_own() {
    let mut frozen = spec(10, 12);
    freeze(&mut frozen, &["conv2d".into()], Stage::Whole).unwrap();
    assert_eq!(Spec::from_json(&frozen.to_json()).unwrap(), spec(10, 12), "no file says it");
    let line = describe_frozen(&model(frozen, 0), Stage::Whole).unwrap();
    assert!(line.starts_with("trainable ") && line.ends_with("`freeze` keeps the others"), "{line}");
    assert_eq!(describe_frozen(&model(spec(10, 12), 0), Stage::Whole), None);
    let mut own = spec(10, 12);
    own.layers[0].trainable = false;
    assert!(describe_frozen(&model(own.clone(), 0), Stage::Whole).unwrap().contains("the model's file keeps conv2d ("));
    freeze(&mut own, &["none".into()], Stage::Whole).unwrap();
    assert_eq!(own, spec(10, 12));
    assert!(freeze(&mut own, &["none".into(), "conv2d".into()], Stage::Whole).is_err());
}

#[test]
fn the_backbone_is_all_but_the_last_dense_layer() {
    let mut frozen = spec(10, 12);
    freeze(&mut frozen, &["backbone".into()], Stage::Whole).unwrap();
    let plan = frozen.plan().unwrap();
    let trained: Vec<&str> =
        plan.layers.iter().filter(|layer| layer.num_trainable() > 0).map(|layer| layer.name()).collect();
    assert_eq!(trained, ["dense"]);
    let mut without = spec(10, 12);
    without.layers.pop();
    assert!(freeze(&mut without, &["backbone".into()], Stage::Whole).unwrap_err().to_string().contains("Dense"));
}

#[test]
fn layers_are_frozen_by_name() {
    let mut frozen = spec(10, 12);
    freeze(&mut frozen, &["conv2d*".into()], Stage::Whole).unwrap();
    let trainable: Vec<usize> = frozen.plan().unwrap().layers.iter().map(|layer| layer.num_trainable()).collect();
    assert_eq!(trainable.iter().filter(|&&count| count > 0).count(), 1, "{trainable:?}");
    assert!(freeze(&mut spec(10, 12), &["cnv*".into()], Stage::Whole).unwrap_err().to_string().contains("conv2d_1"));
    assert!(
        freeze(&mut spec(10, 12), &["*".into()], Stage::Whole).unwrap_err().to_string().contains("nothing is left")
    );
}
