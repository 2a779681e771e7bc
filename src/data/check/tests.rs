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
    Dataset { name: "noise".into(), classes, train: samples(train, 3), validation: None, test, notes: Vec::new() }
}

/// `image` with `change` added to its first `count` values, up or down.
fn changed(image: &[u8], count: usize, change: u8) -> Vec<u8> {
    let mut image = image.to_vec();
    image[..count].iter_mut().for_each(|value| *value = value.checked_add(change).unwrap_or_else(|| *value - change));
    image
}

fn lines(report: &CheckReport) -> Vec<String> {
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
fn copies_of_a_leaked_image_are_leaks() {
    let (train, mut test) = (noise(50, 1), noise(20, 2));
    test[3] = changed(&train[30], IMAGE_BYTES, 1);
    test[9] = test[3].clone();
    test[12] = test[3].clone();
    let report = check(&dataset(&train, &test)).unwrap();
    let leaks: Vec<(usize, usize)> =
        report.leaks.iter().map(|leak| (leak.other.as_ref().unwrap().index, leak.image.index)).collect();
    assert_eq!(leaks, [(3, 30), (9, 30), (12, 30)]);
    assert_eq!((report.counts().duplicates, report.counts().near_duplicates), (2, 3));
}

#[test]
fn with_too_many_near_duplicates_every_leak_and_every_copy_is_told_all_the_same() {
    let base = noise(1, 1).remove(0);
    let like_base = |index: u8| {
        let mut image = base.clone();
        image[0] = index;
        image
    };
    let (mut train, mut test): (Vec<_>, _) = ((0..60).map(like_base).collect(), noise(10, 2));
    let others = noise(10, 3);
    train.extend(others.iter().cloned());
    train.push(others[0].clone());
    test[4] = like_base(200);
    test[5] = changed(&others[7], 9, 3);
    test[6] = others[8].clone();
    let report =
        check_with(&dataset(&train, &test), &CheckConfig { max_near_duplicates: 50, ..CheckConfig::default() });
    let report = report.unwrap();
    assert!(report.is_cut && report.to_string().contains("there may be more near duplicates"), "{report}");
    assert_eq!((report.counts().duplicates, report.counts().leaks), (2, 3));
    let listed = |index: usize| report.findings.iter().any(|finding| finding.is_leak() && finding.image.index == index);
    assert!((0..60).all(listed) && listed(67) && listed(68), "all training images that had better be left out");
    let whole = check(&dataset(&train, &test)).unwrap();
    assert!(!whole.is_cut && whole.leaks == report.leaks);
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
    assert_eq!(counts, FirstLook { counts: Counts { duplicates: 1, ..Counts::default() }, is_first: true });
    let kept = std::fs::read_dir(cache.path().join("checks")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&kept, std::fs::read_to_string(&kept).unwrap().replace("\"duplicates\":1", "\"duplicates\":5"))
        .unwrap();
    assert_eq!(cached_counts(&set, Some(cache.path())).unwrap().counts.duplicates, 5, "it was read");
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

/// Grey images of noise, `(path, height, width)`.
fn write_images(folder: &Path, images: &[(&str, u32, u32)]) {
    for (number, &(name, height, width)) in images.iter().enumerate() {
        std::fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        let mut rng = rng::generator(number as u64, Stream::Sample(0));
        let image = image::GrayImage::from_fn(width, height, |_, _| image::Luma([rng::below(&mut rng, 256) as u8]));
        image.save(folder.join(name)).unwrap();
    }
}

fn check_folder(folder: &Path, options: &LoadOptions) -> CheckReport {
    let config = CheckConfig { finds_other_sizes: options.image_size.is_none(), ..CheckConfig::default() };
    check_with(&registry::open(folder.to_str().unwrap(), options).unwrap(), &config).unwrap()
}

#[test]
fn images_of_other_sizes_are_named_and_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write_images(at, &[("a/1.png", 9, 9), ("a/2.png", 8, 8), ("a/3.png", 8, 8), ("b/1.png", 8, 8), ("b/2.png", 8, 8)]);
    std::fs::write(at.join("a/0.png"), b"no image").unwrap();
    image::RgbImage::from_fn(7, 8, |x, y| image::Rgb([x as u8, y as u8, 9])).save(at.join("b/3.png")).unwrap();
    let report = check_folder(at, &LoadOptions::default());
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.problem, finding.image.index)).collect();
    assert_eq!(found, [(Problem::Unreadable, 0), (Problem::OtherSize, 1), (Problem::OtherSize, 6)]);
    assert!(report.to_string().contains("2 of other sizes than most"), "{report}");
    let list = at.join("list.csv");
    write_csv(&list, &report).unwrap();
    let options = LoadOptions { exclude: Some(list.clone()), ..LoadOptions::default() };
    let clean = registry::load_with(at.to_str().unwrap(), &options).unwrap();
    assert_eq!(
        (clean.train.len(), clean.train.shape().to_string().as_str()),
        (4, "8 wide × 8 high, 1 channel"),
        "the colour went too"
    );
    // what is found among the others has the numbers that it has among all
    std::fs::copy(at.join("a/3.png"), at.join("b/2.png")).unwrap();
    let report = check_folder(at, &options);
    assert_eq!(lines(&report).len(), 1);
    let finding = &report.findings[0];
    assert_eq!((finding.other.as_ref().unwrap().index, finding.image.index), (3, 5));
    write_csv(&list, &report).unwrap();
    let error = registry::load_with(at.to_str().unwrap(), &options).unwrap_err().to_string();
    assert!(error.contains("differ in size"), "{error}");
    let options = LoadOptions { image_size: Some("8".parse().unwrap()), ..options };
    assert_eq!(
        registry::open(at.to_str().unwrap(), &options).unwrap().train.len(),
        5,
        "labels differ: both are in the list"
    );
}

#[test]
fn where_most_images_differ_in_size_the_list_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    write_images(folder.path(), &[("a/1.png", 9, 9), ("a/2.png", 8, 8), ("b/3.png", 7, 8)]);
    let report = check_folder(folder.path(), &LoadOptions::default());
    assert_eq!(report.counts().other_size, 2);
    write_csv(&folder.path().join("list.csv"), &report).unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("list.csv")).unwrap().lines().count(), 1);
}

#[test]
fn images_that_can_all_not_be_read_are_findings() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a/1.png", "b/2.png"] {
        std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(folder.path().join(name), b"nope").unwrap();
    }
    let report = check_folder(folder.path(), &LoadOptions::default());
    assert_eq!(report.counts(), Counts { unreadable: 2, ..Counts::default() });
    assert!(registry::load(folder.path().to_str().unwrap()).is_err());
}

#[test]
fn numbers_are_those_of_the_whole_data_set_for_arrays_too() {
    let mut train = noise(30, 1);
    train[20] = train[10].clone();
    let folder = tempfile::tempdir().unwrap();
    let (path, list) = (folder.path().join("set.npz"), folder.path().join("list.csv"));
    crate::data::export::export(&dataset(&train, &[]), crate::data::export::DatasetFormat::Npz, &path).unwrap();
    std::fs::write(&list, "split,index\ntrain,3\ntrain,15\n").unwrap();
    let report = check_folder(&path, &LoadOptions { exclude: Some(list), ..LoadOptions::default() });
    assert_eq!((report.findings[0].image.index, report.images[&Split::Train]), (20, 28));
    assert_eq!(report.findings[0].other.as_ref().unwrap().index, 10);
}

#[test]
fn one_is_not_several() {
    let mut train = noise(2, 1);
    train[1] = train[0].clone();
    let text = check(&dataset(&train, &[])).unwrap().to_string();
    assert!(text.contains("2 train images, 1 pair, ") && text.contains("1 duplicate (the same pixels)"), "{text}");
    let text = check(&dataset(&noise(1, 1), &[])).unwrap().to_string();
    assert!(text.contains("1 train image, 0 pairs"), "{text}");
    let mut set = dataset(&noise(3, 1), &[]);
    set.classes.extend((0..50).map(|number| number.to_string()));
    let text = check(&set).unwrap().to_string();
    assert!(text.lines().count() < 30 && text.contains("… and 30 more classes without images"), "{text}");
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn two_test_images_of_fashion_mnist_are_among_its_training_images() {
    let assets = std::env::var_os("CONVNET_TEST_ASSETS").expect("CONVNET_TEST_ASSETS is set");
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
