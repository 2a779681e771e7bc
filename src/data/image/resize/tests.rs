use super::*;
use std::path::Path;

/// Expected values: Pillow 13.0.0's `resize`, `ImageOps.pad` and `ImageOps.fit`, by scripts/fixtures/images.py.
#[test]
fn every_way_to_resize_gives_pillows_pixels() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/images"));
    let expected = std::fs::read_to_string(folder.join("resized.txt")).unwrap();
    for line in expected.lines() {
        let [name, resize, width, height, channels, hex] = *line.split(' ').collect::<Vec<_>>() else { panic!() };
        let [width, height, channels] = [width, height, channels].map(|number| number.parse().unwrap());
        let resize = resize.parse().unwrap();
        let preparation = Preprocessing { resize, ..ImageShape { height, width, channels }.into() };
        let pixels = super::super::decode(&folder.join(name), preparation).unwrap();
        let expected = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        assert_eq!(pixels.len(), hex.len() / 2, "{line}");
        let worst = pixels.iter().zip(expected).map(|(pixel, expected)| pixel.abs_diff(expected)).max();
        assert!(worst <= Some(1), "{name} {resize} {width}×{height}×{channels}: {worst:?} off");
    }
    assert_eq!(expected.lines().count(), 54);
}

#[test]
fn grey_becomes_colour_after_its_size_has_changed_with_the_same_bytes() {
    let grey: Vec<u8> = (0..77 * 50).map(|at: u32| (at * 7919 % 251) as u8).collect();
    let from = ImageShape { height: 50, width: 77, channels: 1 };
    for resize in [Resize::Stretch, Resize::Fit, Resize::Crop] {
        let to = |channels| Preprocessing { resize, ..ImageShape { height: 13, width: 12, channels }.into() };
        let mut colour = vec![0; 3 * grey.len()];
        to_colour(&grey, &mut colour);
        let before = to(3).apply(&colour, ImageShape { channels: 3, ..from }).unwrap();
        assert_eq!(to(3).apply(&grey, from).unwrap(), before, "{resize}");
    }
}

#[test]
fn other_numbers_of_channels_are_refused() {
    for channels in [0, 2, 4] {
        for wanted in [1, 3] {
            let to = Preprocessing::from(ImageShape { height: 2, width: 2, channels: wanted });
            let from = ImageShape { height: 2, width: 3, channels };
            let error = to.apply(&vec![0; 6 * channels], from).unwrap_err().to_string();
            assert!(error.contains("only images of 1 or 3 channels"), "{error}");
        }
    }
}

#[test]
fn a_very_long_image_keeps_a_pixel_when_it_is_fitted() {
    let from = ImageShape { height: 1, width: 1000, channels: 1 };
    let to = Preprocessing { resize: Resize::Fit, ..ImageShape { height: 3, width: 3, channels: 1 }.into() };
    assert_eq!(to.apply(&[9; 1000], from).unwrap(), [0, 0, 0, 9, 9, 9, 0, 0, 0]);
}

#[test]
fn all_of_the_room_is_written_and_no_other_room_is_taken() {
    let from = ImageShape { height: 2, width: 30, channels: 1 };
    let pixels: Vec<u8> = (0..60).collect();
    for (resize, channels) in [Resize::Stretch, Resize::Fit, Resize::Crop].into_iter().zip([1, 3, 1]) {
        let shape = ImageShape { height: 7, width: 5, channels };
        let to = Preprocessing { resize, ..shape.into() };
        let expected = to.apply(&pixels, from).unwrap();
        let mut used = vec![77; expected.len()];
        to.apply_into(&pixels, from, &mut used).unwrap();
        assert_eq!(used, expected, "{resize}");
        assert!(to.apply_into(&pixels, from, &mut vec![0; expected.len() + 1]).is_err());
        assert!(to.apply_into(&pixels[1..], from, &mut used).is_err());
    }
}
