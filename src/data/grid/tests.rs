use super::*;

const SHAPE: ImageShape = ImageShape { height: 2, width: 3, channels: 3 };

/// `per_class` images of each of `num_classes` classes, each of one colour that tells its class (red) and number (green).
fn plain_images(num_classes: usize, per_class: usize) -> (Samples, Vec<String>) {
    let labels: Vec<i64> = (0..num_classes as i64 * per_class as i64).map(|n| n % num_classes as i64).collect();
    let colour = |(n, &label): (usize, &i64)| [label as u8, (n / num_classes) as u8, 99];
    let pixels = labels.iter().enumerate().map(colour).flat_map(|colour| colour.repeat(6)).collect();
    let names = (0..num_classes).map(|class| format!("class number {class} of them all")).collect();
    (Samples::new(SHAPE, pixels, labels, num_classes).unwrap(), names)
}

/// The colours of the tiles, row by row, each checked to be one colour from corner to corner.
fn tiles(picture: &RgbImage, num_rows: u32, num_tiles: u32) -> Vec<Vec<[u8; 3]>> {
    let (width, height) = tile_size(SHAPE);
    let left = picture.width() - MARGIN_PX - num_tiles * (width + GAP_PX) + GAP_PX;
    let top = picture.height() - MARGIN_PX - num_rows * (height + GAP_PX) + GAP_PX;
    let tile = |row: u32, column: u32| {
        let (x, y) = (left + column * (width + GAP_PX), top + row * (height + GAP_PX));
        let colour = picture.get_pixel(x, y).0;
        assert_eq!(picture.get_pixel(x + width - 1, y + height - 1).0, colour);
        assert_eq!(*picture.get_pixel(x - 1, y), PAPER);
        colour
    };
    (0..num_rows).map(|row| (0..num_tiles).map(|column| tile(row, column)).collect()).collect()
}

#[test]
fn every_row_shows_different_images_of_its_class() {
    let (samples, names) = plain_images(4, 9);
    let config = GridConfig { title: "plain".to_owned(), images_per_class: 5, ..GridConfig::default() };
    let picture = sample_grid(&samples, &names, &config).unwrap();
    for (class, row) in tiles(&picture, 4, 5).into_iter().enumerate() {
        assert!(row.iter().all(|colour| colour[0] == class as u8 && colour[2] == 99), "{row:?}");
        let mut numbers: Vec<u8> = row.iter().map(|colour| colour[1]).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 5);
    }
    assert_eq!(picture, sample_grid(&samples, &names, &config).unwrap());
    assert_ne!(picture, sample_grid(&samples, &names, &GridConfig { seed: 1, ..config }).unwrap());
}

#[test]
fn nothing_reaches_into_the_margin() {
    let (samples, mut names) = plain_images(3, 1);
    names[1] = "a name that is much too long for the column it stands in".to_owned();
    for title in ["", "a title that is much longer than all of the images together are wide, and then some"] {
        let config = GridConfig { title: title.to_owned(), ..GridConfig::default() };
        let picture = sample_grid(&samples, &names, &config).unwrap();
        let (right, bottom) = (picture.width() - MARGIN_PX, picture.height() - MARGIN_PX);
        let inside = |x: u32, y: u32| (MARGIN_PX..right).contains(&x) && (MARGIN_PX..bottom).contains(&y);
        let stray = picture.enumerate_pixels().find(|&(x, y, &pixel)| pixel != PAPER && !inside(x, y));
        assert_eq!(stray, None);
    }
}

#[test]
fn images_are_enlarged_by_whole_factors_and_reduced_to_fit() {
    let size = |height, width| tile_size(ImageShape { height, width, channels: 1 });
    assert_eq!(size(28, 28), (84, 84));
    assert_eq!(size(32, 32), (96, 96));
    assert_eq!(size(8, 16), (96, 48));
    assert_eq!(size(100, 128), (128, 100));
    assert_eq!(size(224, 224), (128, 128));
    assert_eq!(size(1, 1000), (128, 1));
}

#[test]
fn more_classes_than_fit_are_counted() {
    let (samples, names) = plain_images(25, 50);
    let config = GridConfig { max_classes: 20, images_per_class: 3, ..GridConfig::default() };
    tiles(&sample_grid(&samples, &names, &config).unwrap(), 20, 3);
    assert_eq!(describe(&samples, 25, 20), "1,250 images · 3 wide × 2 high · 20 of 25 classes shown");
    assert_eq!(count_of(1, "class", "classes"), "1 class");
    assert_eq!(count_of(1_000_000, "image", "images"), "1,000,000 images");
}

#[test]
fn a_class_without_images_is_a_row_without_tiles() {
    let (samples, mut names) = plain_images(2, 2);
    names.push("nothing".to_owned());
    let rows = choose_rows(&samples, &names, &GridConfig::default()).unwrap();
    assert_eq!(rows.iter().map(|row| row.images.len()).collect::<Vec<_>>(), [2, 2, 0]);
    assert_eq!(rows[2].note, "0 images");
    sample_grid(&samples, &names, &GridConfig::default()).unwrap();
}

#[test]
fn means_have_a_tile_a_class_and_count_the_images() {
    let (samples, mut names) = plain_images(2, 3); // greens 0, 1, 2
    let config = GridConfig::default();
    assert_eq!(tiles(&mean_grid(&samples, &names, &config).unwrap(), 2, 1), [[[0, 1, 99]], [[1, 1, 99]]]);
    let counts = |config: &GridConfig| choose_rows(&samples, &names, config).unwrap()[1].note.clone();
    assert_eq!(counts(&config), "3 images");
    names.insert(0, "nothing".to_owned());
    let shifted = Samples::new(SHAPE, vec![7; 18], vec![1], 3).unwrap();
    mean_grid(&shifted, &names, &config).unwrap();
}

#[test]
fn what_cannot_be_shown_is_an_error() {
    let (samples, names) = plain_images(2, 1);
    let none = GridConfig { images_per_class: 0, ..GridConfig::default() };
    assert_eq!(sample_grid(&samples, &names, &none).unwrap_err().exit_code(), 2);
    let error = sample_grid(&samples, &names[..1], &GridConfig::default()).unwrap_err();
    assert!(error.to_string().contains("label 1 has no name"), "{error}");
    let two_channels = Samples::new(ImageShape { channels: 2, ..SHAPE }, vec![0; 12], vec![0], 1).unwrap();
    assert_eq!(sample_grid(&two_channels, &names, &GridConfig::default()).unwrap_err().exit_code(), 3);
}

#[test]
fn the_file_holds_the_picture() {
    let (samples, names) = plain_images(2, 1);
    let picture = sample_grid(&samples, &names, &GridConfig::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("samples.png");
    write_png(&path, &picture).unwrap();
    assert_eq!(image::open(&path).unwrap().into_rgb8(), picture);
    write_png(&folder.path().join("new/samples.png"), &picture).unwrap();
    for wrong in ["samples.png/samples.png", "samples.jpg", "samples"] {
        assert_eq!(write_png(&folder.path().join(wrong), &picture).unwrap_err().exit_code(), 2, "{wrong}");
    }
}
