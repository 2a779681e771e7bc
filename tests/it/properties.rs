//! Properties of what reads people's texts and files: whatever it is given, it answers or refuses, and what was written is
//! read as it was.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use convnet::config::RunConfig;
use convnet::data::export::{DatasetFormat, export};
use convnet::data::options::ImageSize;
use convnet::data::{Dataset, ImageShape, LoadOptions, Samples, Split, Splits, idx, npy, registry};
use convnet::error::Error;
use convnet::model::Architecture;
use convnet::train::{Schedule, ScheduleKind};
use proptest::prelude::*;
use strum::VariantArray;
use tch::Tensor;

fn few() -> ProptestConfig {
    ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() }
}

/// Images of any small shape with their labels.
fn small_images() -> impl Strategy<Value = (ImageShape, Vec<u8>, Vec<i64>)> {
    (1..6usize, 1..6usize, prop_oneof![Just(1usize), Just(3)], 1..5usize).prop_flat_map(
        |(height, width, channels, count)| {
            let shape = ImageShape { height, width, channels };
            let pixels = prop::collection::vec(any::<u8>(), count * height * width * channels);
            (Just(shape), pixels, prop::collection::vec(0..3i64, count))
        },
    )
}

/// A data set of these images for training and for testing.
fn dataset(shape: ImageShape, pixels: Vec<u8>, labels: Vec<i64>) -> Dataset {
    let train = Samples::new(shape, pixels, labels, 3).unwrap();
    let samples = [(Split::Train, train.clone()), (Split::Test, train)].into();
    let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
    Splits { name: "small".into(), classes, samples, notes: Vec::new() }.into_dataset().unwrap()
}

fn load(path: &Path) -> Result<Dataset, Error> {
    registry::load_with(path.to_str().expect("UTF-8"), &LoadOptions::default())
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn idx_files_of_any_bytes_are_read_or_refused(header in prop::collection::vec(any::<u8>(), 0..24), rest in prop::collection::vec(any::<u8>(), 0..64), is_like_idx in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let start: &[u8] = if is_like_idx { &[0, 0, 8, 3] } else { &[] };
        fs::write(folder.path().join("train-images-idx3-ubyte"), [start, &header, &rest].concat()).unwrap();
        fs::write(folder.path().join("train-labels-idx1-ubyte"), [&[0, 0, 8, 1][..], &rest].concat()).unwrap();
        let _ = idx::read_folder(folder.path());
    }

    #[test]
    fn data_sets_come_back_from_what_they_were_exported_to((shape, pixels, labels) in small_images()) {
        let folder = tempfile::tempdir().unwrap();
        let original = dataset(shape, pixels, labels);
        for (format, name) in [(DatasetFormat::Idx, "idx"), (DatasetFormat::Npz, "a.npz")] {
            let path = folder.path().join(name);
            export(&original, format, &path).unwrap();
            let read = load(&path).unwrap();
            prop_assert_eq!(read.train.fingerprint(), original.train.fingerprint(), "{}", name);
        }
    }

    #[test]
    fn npy_files_of_any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), is_like_npy in any::<bool>()) {
        let start: &[u8] = if is_like_npy { b"\x93NUMPY\x01\x00" } else { b"" };
        let bytes = [start, &bytes].concat();
        let _ = npy::read_images_from(&mut &bytes[..], bytes.len() as u64);
        let _ = npy::read_labels_from(&mut &bytes[..], bytes.len() as u64);
    }

    #[test]
    fn npy_headers_with_any_dict_are_read_or_refused(dict in "[{]?['a-z_: (),0-9]{0,80}[}]?") {
        let text = format!("{dict}\n");
        let bytes = [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat();
        let _ = npy::read_images_from(&mut &bytes[..], bytes.len() as u64);
    }

    #[test]
    fn libtorch_reads_the_arrays_that_are_written(shape in prop::collection::vec(1..5usize, 1..4), seed in any::<f32>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let values: Vec<f32> = (0..shape.iter().product()).map(|index| seed * index as f32).collect();
        npy::write_f32(&path, &shape, &values).unwrap();
        let read = Tensor::read_npy(&path).unwrap();
        prop_assert_eq!(read.size(), shape.iter().map(|&size| size as i64).collect::<Vec<_>>());
        let read = Vec::<f32>::try_from(read.flatten(0, -1)).unwrap();
        prop_assert!(read.iter().zip(&values).all(|(one, other)| one.to_bits() == other.to_bits()));
    }

    #[test]
    fn a_manifest_s_names_and_classes_are_read_as_they_are(classes in prop::collection::vec("[a-zA-Zñé ,\"']{0,6}[a-zñé]", 2..5)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.csv");
        let mut table = csv::Writer::from_path(&path).unwrap();
        table.write_record(["path", "label"]).unwrap();
        for (index, class) in classes.iter().enumerate() {
            let name = format!("{index}, \"{index}\".png");
            image::GrayImage::new(2, 2).save(folder.path().join(&name)).unwrap();
            table.write_record([&name, class]).unwrap();
        }
        drop(table);
        let read = load(&path);
        let trimmed: BTreeSet<&str> = classes.iter().map(|class| class.trim()).collect();
        match read {
            Ok(set) => prop_assert_eq!(set.classes.iter().map(String::as_str).collect::<BTreeSet<_>>(), trimmed),
            Err(error) => prop_assert!(trimmed.len() < 2, "{:?}", error),
        }
    }

    #[test]
    fn manifests_of_any_text_are_read_or_refused(text in "\\PC{0,100}", header in prop_oneof![Just(""), Just("path,label\n"), Just("path,label,split\n")]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.csv");
        fs::write(&path, format!("{header}{text}")).unwrap();
        prop_assert!(load(&path).is_err());
    }

    #[test]
    fn learning_rates_lie_between_zero_and_the_base(
        kind in prop::sample::select(ScheduleKind::VARIANTS),
        (total_steps, warmup, step) in (1..10_000u64, 0.0..1.0f64, 0.0..1.0f64),
        (base, end, decay_rate, decay_steps, power) in (1e-6..1.0f64, 0.0..1.0f64, 0.01..1.0f64, 1..100u64, 0.1..4.0f64),
    ) {
        let warmup_steps = (warmup * total_steps as f64) as u64;
        let schedule = Schedule { kind, base, warmup_steps, total_steps, end: end * base, decay_rate, decay_steps, power };
        let rate = schedule.learning_rate((step * total_steps as f64) as u64);
        prop_assert!((0.0..=base * (1.0 + 1e-12)).contains(&rate), "{} of {:?}", rate, schedule);
    }

    #[test]
    fn image_sizes_are_read_as_they_are_written(height in 1..100_000usize, width in 1..100_000usize, text in "\\PC{0,12}") {
        let size = ImageSize { height, width };
        prop_assert_eq!(size.to_string().parse::<ImageSize>().unwrap(), size);
        let _ = text.parse::<ImageSize>();
    }

    #[test]
    fn configurations_of_any_text_are_read_or_refused(key in "[a-z_]{0,12}", value in "\\PC{0,40}") {
        let _ = RunConfig::from_toml(&value);
        let unknown = format!("{key}_no_key = 1");
        prop_assert!(RunConfig::from_toml(&unknown).is_err());
    }

    #[test]
    fn a_configuration_is_read_as_it_is_printed(epochs in 1..1000u64, batch_size in 1..4096usize, lr in 1e-8..10.0f64, seed in any::<u32>(), smoothing in 0.0..0.99f64) {
        let text = format!("epochs = {epochs}\nbatch_size = {batch_size}\nlr = {lr:?}\nseed = {seed}\nlabel_smoothing = {smoothing:?}");
        let config = RunConfig::from_toml(&text).unwrap();
        let keys = serde_json::to_value(config.keys().unwrap()).unwrap();
        let text = serde_json::to_string(&keys).unwrap();
        let keys = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text).unwrap();
        prop_assert_eq!(RunConfig::default().overlaid(keys).unwrap(), config);
    }

    #[test]
    fn short_forms_of_any_text_are_read_or_refused(lines in prop::collection::vec("(Conv2D|Dense|MaxPooling2D|Flatten|Dropout|[A-Za-z]{1,8})( [a-z0-9_=(),.\"\\[\\]-]{0,12}){0,4}", 0..6)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.txt");
        fs::write(&path, lines.join("\n")).unwrap();
        let _ = Architecture::find(path.to_str().unwrap());
    }
}
