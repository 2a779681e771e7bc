use super::*;

#[test]
fn names_of_any_kind_can_be_drawn() {
    let labels = ["a & <b>", "Größe", "猫", "x".repeat(300).as_str(), "\u{0}\u{fffe}"].map(str::to_owned);
    let confusion = vec![vec![3, 0, 1, 0, 2]; 5];
    let svg = confusion_matrix(&labels, &confusion, "c");
    let picture = rasterize(&svg, 1.0).unwrap();
    assert!(picture.pixels().any(|pixel| pixel.0 != [255; 3]));
    assert!(rasterize(&embed_fonts(&svg), 1.0).is_ok());
}

#[test]
fn a_hundred_classes_fit() {
    let labels: Vec<String> = (0..100).map(|class| format!("class {class}")).collect();
    let confusion: Vec<Vec<u64>> = (0..100)
        .map(|truth| (0..100).map(|class| if class == truth { 90 } else { (class == 3).into() }).collect())
        .collect();
    let picture = rasterize(&confusion_matrix(&labels, &confusion, "c"), 1.0).unwrap();
    assert!((1100..1500).contains(&picture.width()), "{}", picture.width());
}

#[test]
fn what_is_too_large_for_a_picture_is_refused() {
    let svg = |height| Svg::new(100.0, height, "t").finish();
    assert_eq!(rasterize(&svg(10_000.0), 2.0).unwrap().height(), 16_384, "smaller than asked for, but whole");
    assert!(rasterize(&svg(20_000.0), 2.0).unwrap_err().to_string().contains(".svg"));
}
