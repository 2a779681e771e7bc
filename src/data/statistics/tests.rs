use std::path::Path;

use super::*;

fn samples(channels: usize, pixels: &[u8], labels: &[i64]) -> Samples {
    let width = pixels.len() / labels.len() / channels;
    Samples::new(ImageShape { height: 1, width, channels }, pixels.to_vec(), labels.to_vec(), 3).unwrap()
}

#[test]
fn statistics_are_exact() {
    // mean 30/4, variance (0 + 0 + 100 + 400)/4 - 7.5²
    let statistics = pixel_statistics(&samples(1, &[0, 0, 10, 20], &[0, 1])).unwrap();
    assert_eq!((statistics.mean, statistics.standard_deviation), (7.5, 68.75_f64.sqrt()));
    assert_eq!(statistics.mean_scaled, 7.5 / 255.0);
    let constant = pixel_statistics(&samples(1, &[255; 1000], &[0, 1])).unwrap();
    assert_eq!((constant.mean, constant.standard_deviation), (255.0, 0.0));
    let halves = pixel_statistics(&samples(1, &[0, 255], &[0, 1])).unwrap();
    assert_eq!((halves.mean, halves.standard_deviation_scaled), (127.5, 0.5));
}

#[test]
fn channels_are_told_apart() {
    let rgb = samples(3, &[1, 10, 100, 3, 10, 200], &[0, 2]);
    let channels = channel_statistics(&rgb).unwrap();
    assert_eq!(channels.iter().map(|channel| channel.mean).collect::<Vec<_>>(), [2.0, 10.0, 150.0]);
    let deviations: Vec<f64> = channels.iter().map(|channel| channel.standard_deviation).collect();
    assert_eq!(deviations, [1.0, 0.0, 50.0]);
    assert_eq!(pixel_statistics(&rgb).unwrap().mean, 54.0);
}

#[test]
fn the_mean_of_each_class_is_an_image() {
    let set = samples(1, &[0, 10, 1, 21, 7, 7, 2, 20], &[0, 0, 2, 0]);
    let means = mean_images(&set, 3).unwrap();
    assert_eq!((means.labels(), means.pixels().unwrap()), (&[0, 2][..], &[1, 17, 7, 7][..]));
}

#[test]
fn the_fingerprint_depends_on_shape_labels_and_pixels() {
    let base = samples(1, &[1, 2, 3, 4, 5, 6], &[0, 1]);
    let others = [
        samples(1, &[1, 2, 3, 4, 5, 7], &[0, 1]),
        samples(1, &[1, 2, 3, 4, 5, 6], &[1, 0]),
        samples(1, &[1, 2, 3, 4, 5, 6], &[0, 1, 0]),
        samples(3, &[1, 2, 3, 4, 5, 6], &[0, 1]),
    ];
    let mut seen = vec![base.fingerprint()];
    for other in &others {
        assert!(!seen.contains(&other.fingerprint()));
        seen.push(other.fingerprint());
    }
    assert_eq!(base.clone().fingerprint(), seen[0]);
    // Python: hashlib.sha256(struct.pack('<4QqB', 1, 1, 1, 1, 2, 7)).hexdigest()
    let one = samples(1, &[7], &[2]);
    assert_eq!(one.fingerprint(), "434ea25a401dd117b32ed2bc114aa13f54247a1c0a017c4c10fdff74cf455e24");
}

#[test]
fn the_summary_reads_as_a_table() {
    let dataset = Dataset {
        name: "tiny".to_string(),
        classes: vec!["cat".to_string(), "Häuschen".to_string(), "dog".to_string()],
        train: samples(3, &[1, 10, 100, 3, 10, 200], &[0, 2]),
        validation: None,
        test: Some(samples(3, &[0, 0, 255], &[1])),
        notes: Vec::new(),
    };
    let expected = "\
tiny: images 1 wide × 1 high, 3 channels, 3 classes

split           images      mean pixel  standard deviation  pixels / 255
train                2         54.0000             73.8399  0.2118 ± 0.2896
  red                           2.0000              1.0000  0.0078 ± 0.0039
  green                        10.0000              0.0000  0.0392 ± 0.0000
  blue                        150.0000             50.0000  0.5882 ± 0.1961
test                 1         85.0000            120.2082  0.3333 ± 0.4714
  red                           0.0000              0.0000  0.0000 ± 0.0000
  green                         0.0000              0.0000  0.0000 ± 0.0000
  blue                        255.0000              0.0000  1.0000 ± 0.0000

label  class          train        test
    0  cat                1           0
    1  Häuschen           0           1
    2  dog                1           0
";
    assert_eq!(DatasetSummary::new(&dataset).unwrap().to_string(), expected);
}

#[test]
fn the_summary_is_json() {
    let train = samples(1, &[0, 255], &[0, 1]);
    let classes = ["a".to_string(), "b".to_string()];
    let dataset = Dataset {
        name: "pair".into(),
        classes: classes.into(),
        train: train.clone(),
        validation: None,
        test: None,
        notes: Vec::new(),
    };
    let json = serde_json::to_value(DatasetSummary::new(&dataset).unwrap()).unwrap();
    let pixels = serde_json::json!({
        "mean": 127.5, "standard_deviation": 127.5, "mean_scaled": 0.5, "standard_deviation_scaled": 0.5
    });
    assert_eq!(
        json,
        serde_json::json!({
            "name": "pair",
            "shape": {"height": 1, "width": 1, "channels": 1},
            "classes": ["a", "b"],
            "splits": [{
                "split": "train", "count": 2, "class_counts": [1, 1],
                "pixels": pixels, "channels": [pixels], "fingerprint": train.fingerprint(),
            }],
        })
    );
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn fashion_mnist_has_its_published_statistics() {
    let assets = std::env::var_os("CONVNET_TEST_ASSETS").expect("CONVNET_TEST_ASSETS is set");
    let dataset = crate::data::idx::read_folder(&Path::new(&assets).join("data/fashion-mnist")).unwrap();
    let summary = DatasetSummary::new(&dataset).unwrap();
    let train = &summary.splits[0];
    assert_eq!((train.count, train.class_counts.as_slice()), (60_000, &[6_000; 10][..]));
    assert_eq!(summary.splits[1].class_counts, [1_000; 10]);
    assert_eq!(format!("{:.4} {:.4}", train.pixels.mean, train.pixels.standard_deviation), "72.9404 90.0212");
}
