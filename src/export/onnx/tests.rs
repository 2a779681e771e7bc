use tch::Device;

use super::*;
use crate::export::ExportInput;
use crate::model::presets::preset;
use crate::model::{Model, ModelInfo};

fn model() -> Model {
    Model::new(preset("vgg-small").unwrap(), 1.0 / 255.0, Device::Cpu, 0).unwrap()
}

#[test]
fn what_no_file_of_onnx_holds_is_refused() {
    assert!(check_size(100, 100).is_ok());
    let error = check_size(101, 100).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("too large for a file of ONNX"), "{error}");
}

#[test]
fn the_file_goes_from_images_to_probabilities() {
    let (model, info) = (model(), ModelInfo { labels: vec!["a \"b\"".into()], ..ModelInfo::default() });
    let subject = Subject { model: &model, info: &info, input: ExportInput::Uint8 };
    let file = ModelProto::decode(&*to_file(&subject).unwrap()).unwrap();
    let told = |key: &str| file.metadata_props.iter().find(|entry| entry.key.as_deref() == Some(key)).unwrap();
    assert_eq!(told("labels").value.as_deref(), Some(r#"["a \"b\""]"#));
    let graph = file.graph.unwrap();
    let sizes = |value: &proto::ValueInfoProto| {
        let shape = value.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap().shape.as_ref().unwrap();
        shape.dim.iter().map(|dim| dim.dim_value).collect::<Vec<_>>()
    };
    assert_eq!((&*graph.input[0].name, sizes(&graph.input[0])), ("images", vec![None, Some(28), Some(28), Some(1)]));
    assert_eq!((&*graph.output[0].name, sizes(&graph.output[0])), ("probabilities", vec![None, Some(10)]));
    let mut made = vec!["images"];
    made.extend(graph.initializer.iter().map(|tensor| &*tensor.name));
    for node in &graph.node {
        assert!(node.input.iter().all(|input| input.is_empty() || made.contains(&&**input)), "{node:?}");
        assert!(!made.contains(&&*node.output[0]), "{} is made twice", node.output[0]);
        made.push(&node.output[0]);
    }
    assert_eq!(made.last(), Some(&"probabilities"));
}

#[test]
fn another_weight_is_found() {
    let (model, info) = (model(), ModelInfo::default());
    let subject = Subject { model: &model, info: &info, input: ExportInput::Uint8 };
    let bytes = to_file(&subject).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    let check = |change: &dyn Fn(&mut Vec<TensorProto>)| {
        let mut file = ModelProto::decode(&*bytes).unwrap();
        change(&mut file.graph.as_mut().unwrap().initializer);
        std::fs::write(&path, file.encode_to_vec()).unwrap();
        check(&subject, &path)
    };
    assert!(check(&|_| ()).is_ok());
    let first_weight = |all: &[TensorProto]| all.iter().position(|tensor| tensor.name == "conv2d.weight").unwrap();
    let flipped = check(&|all| {
        let first = first_weight(all);
        all[first].raw_data.as_mut().unwrap()[5] ^= 1;
    });
    let removed = check(&|all| drop(all.remove(first_weight(all))));
    for result in [flipped, removed] {
        let error = result.err().unwrap();
        assert!(error.exit_code() == 7 && error.to_string().contains("conv2d.weight"), "{error}");
    }
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(super::check(&subject, &path).err().unwrap().exit_code(), 7);
}
