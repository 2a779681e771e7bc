use super::*;
use crate::data::{LoadOptions, registry};

fn dataset(channels: usize) -> Dataset {
    let shape = ImageShape { height: 2, width: 3, channels };
    // in no order of the classes
    let samples = |labels: Vec<i64>| {
        let pixels = (0..labels.len() * 6 * channels).map(|value| (value * 7) as u8).collect();
        Samples::new(shape, pixels, labels, 2).unwrap()
    };
    let classes = ["z/b", "c"].map(String::from).to_vec();
    let (train, test) = (samples(vec![0, 1, 0]), Some(samples(vec![1, 0])));
    Dataset { name: "set".into(), classes, train, validation: None, test, notes: Vec::new() }
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    for channels in [1, 3] {
        let dataset = dataset(channels);
        for (format, name) in [
            (DatasetFormat::Idx, "idx"),
            (DatasetFormat::Png, "png"),
            (DatasetFormat::Npz, "a.npz"),
            (DatasetFormat::WebDataset, "shards"),
            (DatasetFormat::Parquet, "parquet"),
        ] {
            let path = folder.path().join(format!("{channels}-{name}"));
            export(&dataset, format, &path).unwrap();
            let again = registry::load_with(path.to_str().unwrap(), &LoadOptions::default()).unwrap();
            assert_eq!(again.train.fingerprint(), dataset.train.fingerprint(), "{name}");
            let (test, expected) = (again.test.unwrap(), dataset.test.as_ref().unwrap());
            assert_eq!(test.fingerprint(), expected.fingerprint(), "{name}");
            if format != DatasetFormat::Npz {
                assert_eq!(again.classes, ["z/b", "c"], "names and order");
            }
        }
    }
}

#[test]
fn shards_are_bounded_and_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let shape = ImageShape { height: 1, width: 1, channels: 1 };
    let count = SHARD_IMAGES + 2;
    let pixels = (0..count).map(|value| value as u8).collect();
    let labels = (0..count).map(|value| (value % 12) as i64).collect();
    let classes = (0..12).map(|class| format!("class {class}")).collect();
    let train = Samples::new(shape, pixels, labels, 12).unwrap();
    let large = Dataset { classes, train, test: None, ..dataset(1) };
    export(&large, DatasetFormat::WebDataset, &at("a")).unwrap();
    export(&large, DatasetFormat::WebDataset, &at("b")).unwrap();
    for name in ["classes.csv", "train-000000.tar", "train-000001.tar"] {
        assert_eq!(fs::read(at("a").join(name)).unwrap(), fs::read(at("b").join(name)).unwrap(), "{name}");
    }
    assert_eq!(fs::read_dir(at("a")).unwrap().count(), 3);
    let again = registry::load_with(at("a").to_str().unwrap(), &LoadOptions::default()).unwrap();
    assert_eq!((again.train.fingerprint(), again.classes), (large.train.fingerprint(), large.classes.clone()));
    let error = export(&large, DatasetFormat::WebDataset, &at("a")).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("there are .tar files already"), "{error}");
}

#[test]
fn parquet_files_are_bounded_and_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // 100 of a page, 700 of a row group, 10,000 of a file at most
    let shape = ImageShape { height: 160, width: 100, channels: 3 };
    let count = 702;
    let pixels = (0..count).flat_map(|value| vec![value as u8; 48_000]).collect();
    let train = Samples::new(shape, pixels, (0..count).map(|value| (value % 12) as i64).collect(), 12).unwrap();
    let classes = (0..12).map(|class| format!("class {class}")).collect();
    let large = Dataset { classes, train, ..dataset(3) };
    for name in ["a", "b"] {
        export(&large, DatasetFormat::Parquet, &at(name)).unwrap();
    }
    let files = |name: &str| -> Vec<Vec<u8>> {
        let names = ["train-00000-of-00001.parquet", "test-00000-of-00001.parquet"];
        assert_eq!(fs::read_dir(at(name).join("data")).unwrap().count(), names.len());
        names.map(|file| fs::read(at(name).join("data").join(file)).unwrap()).into()
    };
    assert!(files("a") == files("b"));
    let options = LoadOptions { image_size: Some("160x100".parse().unwrap()), ..LoadOptions::default() };
    let again = registry::load_with(at("a").to_str().unwrap(), &options).unwrap();
    assert_eq!((again.train.fingerprint(), again.classes), (large.train.fingerprint(), large.classes.clone()));
    let file = fs::File::open(at("a/data/train-00000-of-00001.parquet")).unwrap();
    let metadata = ::parquet::file::metadata::ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
    let rows: Vec<i64> = metadata.row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(rows, [699, 3]);
    let error = export(&large, DatasetFormat::Parquet, &at("a")).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("there are .parquet files already"), "{error}");
}

#[test]
fn class_folders_of_two_data_sets_are_not_mixed() {
    let folder = tempfile::tempdir().unwrap();
    export(&dataset(1), DatasetFormat::Png, folder.path()).unwrap();
    let smaller = Dataset { test: None, ..dataset(3) };
    let error = export(&smaller, DatasetFormat::Png, folder.path()).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("a new or an empty folder"), "{error}");
    fs::remove_dir_all(folder.path().join("train")).unwrap();
    let error = export(&smaller, DatasetFormat::Png, folder.path()).unwrap_err().to_string();
    assert!(error.contains("/test"), "{error}");
    fs::remove_dir_all(folder.path().join("test")).unwrap();
    fs::create_dir(folder.path().join("train")).unwrap();
    export(&smaller, DatasetFormat::Png, folder.path()).unwrap();
}

#[test]
fn what_a_form_cannot_hold_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut set = dataset(1);
    set.validation = set.test.clone();
    let refused = |set: &Dataset, format, name: &str| {
        let error = export(set, format, &folder.path().join(name)).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    assert!(refused(&set, DatasetFormat::Idx, "idx").contains("no validation images"));
    assert!(refused(&set, DatasetFormat::Npz, "a.zip").contains("FILE.npz"));
    set.classes = ["a/b", "a-b"].map(String::from).to_vec();
    assert!(refused(&set, DatasetFormat::Png, "png").contains("'a-b'"));
    set.classes[0] = "..".into();
    assert!(refused(&set, DatasetFormat::Png, "png").contains("'..'"));
    set.classes[0] = "__MACOSX".into();
    assert!(refused(&set, DatasetFormat::Png, "png").contains("'__MACOSX'"), "it would be passed over");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
