use std::path::Path;

use super::*;
use crate::data::{ImageShape, LoadOptions, registry};
use crate::rng::{self, Stream};

const SHAPE: ImageShape = ImageShape { height: 10, width: 9, channels: 3 };
const IMAGE_BYTES: usize = 270;

/// Images of noise: no two alike.
fn noise(count: usize, seed: u64) -> Vec<Vec<u8>> {
    let image = |index: usize| {
        let mut rng = rng::generator(seed, Stream::Sample(index as u64));
        (0..IMAGE_BYTES).map(|_| rng::below(&mut rng, 256) as u8).collect()
    };
    (0..count).map(image).collect()
}

fn samples(images: &[Vec<u8>], num_classes: usize) -> Samples {
    let labels = (0..images.len()).map(|index| (index % num_classes) as i64).collect();
    Samples::new(SHAPE, images.concat(), labels, num_classes).unwrap()
}

fn dataset(train: &[Vec<u8>], test: &[Vec<u8>]) -> Dataset {
    let test = (!test.is_empty()).then(|| samples(test, 3));
    let classes = ["a", "b", "c"].map(String::from).to_vec();
    Dataset { name: "noise".into(), classes, train: samples(train, 3), validation: None, test }
}

/// `image` with `change` added to its first `count` values, up or down.
fn changed(image: &[u8], count: usize, change: u8) -> Vec<u8> {
    let mut image = image.to_vec();
    image[..count].iter_mut().for_each(|value| *value = value.checked_add(change).unwrap_or_else(|| *value - change));
    image
}

fn lines(report: &Report) -> Vec<String> {
    report.findings.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_is_invented_on_clean_data() {
    let report = check(&dataset(&noise(300, 1), &noise(60, 2))).unwrap();
    assert_eq!((report.findings.len(), report.counts()), (0, Counts::default()));
    assert_eq!((report.num_pairs, report.is_exhaustive), (360 * 359 / 2, true));
    assert!(report.to_string().ends_with("nothing was found\n"));
}

#[test]
fn planted_pairs_are_found_and_those_just_beyond_the_limit_are_not() {
    let (mut train, mut test) = (noise(300, 1), noise(60, 2));
    train[200] = train[2].clone(); // the same class: 200 % 3 == 2
    train[201] = train[2].clone(); // another class
    test[7] = train[100].clone(); // 7 % 3 == 100 % 3
    test[8] = changed(&train[110], IMAGE_BYTES, 1); // exactly the limit: a mean difference of 1
    let mut beyond = changed(&train[120], IMAGE_BYTES, 1);
    beyond[0] = if train[120][0] < 128 { train[120][0] + 2 } else { train[120][0] - 2 };
    test[9] = beyond;
    train[250] = changed(&train[249], 5, 54); // a few pixels, the sum at the limit
    train[253] = changed(&train[252], 5, 55); // and beyond
    let report = check(&dataset(&train, &test)).unwrap();
    let expected = [
        "test 7 (b) = train 100 (b), across splits",
        "test 8 (c) ~ train 110 (c), mean difference 1.000/255, across splits",
        "train 2 (c) = train 200 (c)",
        "train 2 (c) = train 201 (a), labels differ",
        "train 249 (a) ~ train 250 (b), mean difference 1.000/255, labels differ",
    ];
    assert_eq!(lines(&report), expected);
    let counts = Counts { duplicates: 3, near_duplicates: 2, leaks: 2, conflicts: 2, ..Counts::default() };
    assert_eq!(report.counts(), counts);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.csv");
    write_csv(&path, &report).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let named: Vec<&str> = text.lines().skip(1).map(|line| line.split(",,").next().unwrap()).collect();
    assert_eq!(named, ["train,100", "train,110", "train,200", "train,201", "train,2", "train,250", "train,249"]);
}

#[test]
fn every_pair_is_decided_as_a_plain_comparison_decides_it() {
    // many images with nearly equal sums, near one another or not
    let base = noise(1, 5).remove(0);
    let mut images = Vec::new();
    for index in 0..150 {
        let mut rng = rng::generator(9, Stream::Sample(index));
        let (mut image, count) = (base.clone(), rng::below(&mut rng, 40));
        for _ in 0..count {
            let at = rng::below(&mut rng, IMAGE_BYTES as u64) as usize;
            image[at] = image[at].wrapping_add(rng::below(&mut rng, 12) as u8);
        }
        image[0] = index as u8; // no two the same
        images.push(image);
    }
    let plain = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| usize::from(a.abs_diff(*b))).sum::<usize>();
    let pairs = (0..150).flat_map(|a| (a + 1..150).map(move |b| (a, b)));
    let mut expected: Vec<(usize, usize)> =
        pairs.filter(|&(a, b)| (1..=IMAGE_BYTES).contains(&plain(&images[a], &images[b]))).collect();
    assert!((100..11_000).contains(&expected.len()), "{}", expected.len());
    let report = check(&dataset(&images, &[])).unwrap();
    let near = report.findings.iter().filter(|finding| finding.problem == Problem::NearDuplicate);
    let mut found: Vec<(usize, usize)> =
        near.map(|finding| (finding.other.as_ref().unwrap().index, finding.image.index)).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert!(found == expected, "{} found, {} there", found.len(), expected.len());
}

#[test]
fn a_data_set_is_checked_once() {
    let mut train = noise(20, 1);
    train[7] = train[4].clone();
    let (set, cache) = (dataset(&train, &[]), tempfile::tempdir().unwrap());
    let counts = cached_counts(&set, Some(cache.path())).unwrap();
    assert_eq!(counts, Counts { duplicates: 1, ..Counts::default() });
    let kept = std::fs::read_dir(cache.path().join("checks")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&kept, std::fs::read_to_string(&kept).unwrap().replace("\"duplicates\":1", "\"duplicates\":5"))
        .unwrap();
    assert_eq!(cached_counts(&set, Some(cache.path())).unwrap().duplicates, 5, "it was read");
    std::fs::write(&kept, "damaged").unwrap();
    assert_eq!(cached_counts(&set, Some(cache.path())).unwrap(), counts);
    assert_eq!(cached_counts(&set, None).unwrap(), counts);
    train[0][0] ^= 1;
    assert_eq!(cached_counts(&dataset(&train, &[]), Some(cache.path())).unwrap(), counts);
    assert_eq!(std::fs::read_dir(cache.path().join("checks")).unwrap().count(), 2);
}

#[test]
fn classes_and_colours_are_looked_at() {
    let mut train = noise(44, 1);
    train[5] = [7, 8, 9].repeat(90);
    let mut set = dataset(&train, &noise(3, 2));
    set.classes = ["many", "few", "none"].map(String::from).to_vec();
    let labels = (0..44).map(|index| i64::from(index < 4)).collect();
    set.train = Samples::new(SHAPE, train.concat(), labels, 3).unwrap();
    let report = check(&set).unwrap();
    assert_eq!(lines(&report), ["train 5 (many)"]);
    assert_eq!(report.findings[0].problem, Problem::OneColour);
    assert_eq!(report.empty_classes, [(Split::Train, "none".to_owned())]);
    assert_eq!((report.rare_classes.len(), report.largest_class), (0, 40), "a tenth is not rare");
    let labels = (0..44).map(|index| i64::from(index < 3)).collect();
    set.train = Samples::new(SHAPE, train.concat(), labels, 3).unwrap();
    assert_eq!(check(&set).unwrap().rare_classes, [("few".to_owned(), 3)]);
}

#[test]
fn files_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    for (number, pixels) in noise(6, 3).into_iter().enumerate() {
        let path = folder.path().join(format!("{}/{number}.png", number % 2));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::from_raw(9, 10, pixels).unwrap().save(path).unwrap();
    }
    let at = |name: &str| folder.path().join(name);
    let bytes = std::fs::read(at("0/0.png")).unwrap();
    std::fs::write(at("0/0.png"), &bytes[..bytes.len() / 2]).unwrap();
    std::fs::rename(at("1/3.png"), at("1/3.jpg")).unwrap();
    std::fs::create_dir(at("2")).unwrap();
    image::RgbImage::from_pixel(5, 5, image::Rgb([1, 2, 3])).save(at("1/9.png")).unwrap();
    let options = LoadOptions { image_size: Some("10x9".parse().unwrap()), ..LoadOptions::default() };
    let report = check(&registry::open(folder.path().to_str().unwrap(), &options).unwrap()).unwrap();
    let found: Vec<(Problem, &str)> =
        report.findings.iter().map(|finding| (finding.problem, finding.image.path.as_deref().unwrap())).collect();
    let name = |name: &str| folder.path().join(name).display().to_string();
    let [cut, renamed, plain] = [name("0/0.png"), name("1/3.jpg"), name("1/9.png")];
    let expected = [(Problem::Unreadable, &*cut), (Problem::WrongExtension, &renamed), (Problem::OneColour, &plain)];
    assert_eq!(found, expected);
    assert_eq!(report.sizes, [([10, 9], 6), ([5, 5], 1)]);
    assert_eq!(report.empty_classes, [(Split::Train, "2".to_owned())]);
}

#[test]
fn two_test_images_of_fashion_mnist_are_among_its_training_images() {
    let Some(assets) = std::env::var_os("CONVNET_TEST_ASSETS") else {
        return eprintln!("skipped: CONVNET_TEST_ASSETS is not set");
    };
    let folder = Path::new(&assets).join("data/fashion-mnist");
    let report = check(&crate::data::idx::read_folder(&folder).unwrap()).unwrap();
    let counts = report.counts();
    assert_eq!((counts.duplicates, counts.near_duplicates, counts.leaks), (0, 20, 2));
    assert_eq!((report.is_exhaustive, report.num_pairs), (true, 70_000 * 69_999 / 2));
    let places: Vec<(usize, usize)> =
        report.leaks.iter().map(|leak| (leak.other.as_ref().unwrap().index, leak.image.index)).collect();
    assert_eq!(places, [(4998, 13360), (9867, 58762)]);
    // a third pair is near the first one's training image, and farther from the test image
    assert_eq!(report.findings.iter().filter(|finding| finding.is_leak()).count(), 3);
}
