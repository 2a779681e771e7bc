use tch::Device;

use super::*;
use crate::model::spec::LayerSpec;

fn spec(class_name: &str, config: serde_json::Value) -> LayerSpec {
    serde_json::from_value(serde_json::json!({ "class_name": class_name, "config": config })).unwrap()
}

#[test]
fn half_of_the_images_are_mirrored_whole() {
    crate::native::manual_seed(3, tch::Device::Cpu).unwrap();
    let image = Tensor::arange(24, (Kind::Float, Device::Cpu)).reshape([1, 2, 3, 4]);
    for (mode, axes) in [("horizontal", vec![3i64]), ("vertical", vec![2]), ("horizontal_and_vertical", vec![2, 3])] {
        let LayerSpec::RandomFlip(spec) = spec("RandomFlip", serde_json::json!({ "mode": mode })) else { panic!() };
        let y = flip(&image.repeat([1000, 1, 1, 1]), &spec);
        let equals = |other: &Tensor| y.eq_tensor(other).flatten(1, -1).all_dim(1, false).to_kind(Kind::Int64);
        let (kept, mirrored) = (equals(&image), equals(&image.flip(&axes[..])));
        assert_eq!((&kept + &mirrored).min().int64_value(&[]), 1, "{mode}: an image is neither");
        let count = mirrored.sum(Kind::Int64).int64_value(&[]);
        assert!((400..600).contains(&count), "{mode}: {count}");
    }
}

#[test]
fn contrast_keeps_means_and_varies_by_image() {
    crate::native::manual_seed(4, tch::Device::Cpu).unwrap();
    let config = serde_json::json!({ "factor": [0.5, 0.5], "value_range": [-100.0, 100.0] });
    let LayerSpec::RandomContrast(spec) = spec("RandomContrast", config) else { panic!() };
    let x = Tensor::randn([500, 2, 6, 6], (Kind::Float, Device::Cpu));
    let y = contrast(&x, &spec);
    let means = |x: &Tensor| x.mean_dim([2i64, 3].as_slice(), true, None);
    assert!((means(&y) - means(&x)).abs().max().double_value(&[]) < 1e-5);
    let factor = ((&y - means(&y)) / (&x - means(&x))).narrow(1, 0, 1).narrow(2, 0, 1).narrow(3, 0, 1);
    let [low, high] = [factor.min(), factor.max()].map(|bound| bound.double_value(&[]));
    assert!((0.49..0.55).contains(&low) && (1.45..1.51).contains(&high), "{low} {high}");
}
