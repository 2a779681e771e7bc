use super::*;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/images");
const SHAPE: ImageShape = ImageShape { height: 9, width: 13, channels: 3 };

/// Expected values: Pillow 13.0.0, by scripts/fixtures/images.py.
#[test]
fn every_kind_of_file_gives_pillows_pixels() {
    let expected = fs::read_to_string(Path::new(FIXTURES).join("expected.txt")).unwrap();
    for line in expected.lines() {
        let [name, width, height, channels, hex] = *line.split(' ').collect::<Vec<_>>() else { panic!("{line}") };
        let [width, height, channels] = [width, height, channels].map(|number| number.parse().unwrap());
        let pixels = decode(&Path::new(FIXTURES).join(name), ImageShape { height, width, channels }).unwrap();
        let expected = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        let upright = (width, height) == (13, 9) || name.starts_with("orientation_");
        let tolerance = u8::from(!upright);
        assert_eq!(pixels.len(), hex.len() / 2, "{name}");
        let worst = pixels.iter().zip(expected).map(|(pixel, expected)| pixel.abs_diff(expected)).max();
        assert!(worst <= Some(tolerance), "{name} {width}×{height}×{channels}: {worst:?} off");
    }
    assert_eq!(expected.lines().count(), 2 * (30 + 4));
}

/// Expected values: Pillow 13.0.0, by scripts/fixtures/drafts.py.
#[test]
fn large_jpegs_are_decoded_in_a_part_of_their_size_as_by_pillows_draft() {
    let folder = Path::new(FIXTURES).with_file_name("drafts");
    let expected = fs::read_to_string(folder.join("expected.txt")).unwrap();
    let mut others = 0;
    for line in expected.lines() {
        let [name, way, width, height, hex] = *line.split(' ').collect::<Vec<_>>() else { panic!("{line}") };
        let [width, height] = [width, height].map(|number| number.parse().unwrap());
        let preparation =
            Preprocessing { resize: way.parse().unwrap(), ..ImageShape { height, width, channels: 3 }.into() };
        let [exact, fast] = [Decode::Exact, Decode::Fast]
            .map(|decode| super::decode(&folder.join(name), Preprocessing { decode, ..preparation }).unwrap());
        let expected = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        let worst = fast.iter().zip(expected).map(|(pixel, expected)| pixel.abs_diff(expected)).max();
        assert!(worst <= Some(1), "{name} {way} {width}×{height}: {worst:?} off");
        others += usize::from(fast != exact);
    }
    assert!(others > expected.lines().count() / 2, "{others} differ from what all pixels give");
}

#[test]
fn an_image_that_is_cut_short_is_an_error_wherever_it_is_cut() {
    for path in list_images(Path::new(FIXTURES)).unwrap() {
        let (bytes, pixels) = (fs::read(&path).unwrap(), decode(&path, SHAPE).unwrap());
        for length in (0..bytes.len()).rev().step_by(13) {
            // what lies behind the first frame's pixels may be missing
            if let Ok(rest) = decode_bytes(&bytes[..length], SHAPE) {
                assert_eq!(rest, pixels, "{} cut to {length} bytes", path.display());
            }
        }
        assert!(decode_bytes(&bytes[..bytes.len() / 2], SHAPE).is_err(), "{}", path.display());
    }
}

fn message_for(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.png");
    fs::write(&path, bytes).unwrap();
    let error = decode(&path, SHAPE).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let message = error.to_string();
    assert!(message.contains("image.png"), "{message}");
    message
}

#[test]
fn a_file_that_is_no_image_is_told_by_what_it_begins_with() {
    assert!(message_for(b"").contains("got an empty file"));
    assert!(message_for(b"<!DOCTYPE html><html>").contains(r#"got text: "<!DOCTYPE html><""#));
    assert!(message_for(b"\x1f\x8b\x08\0").contains("got bytes 1f 8b 08 00"));
    assert!(message_for(b"\x76\x2f\x31\x01").contains("OpenExr image cannot be read"));
}

#[test]
fn headers_that_lie_about_the_size_are_refused_before_any_memory_is_taken() {
    let mut png = fs::read(Path::new(FIXTURES).join("rgb.png")).unwrap();
    png[16..24].copy_from_slice(&[0, 0, 0x7f, 0xff, 0, 0, 0x7f, 0xff]);
    let mut sum = flate2::Crc::new();
    sum.update(&png[12..29]);
    png[29..33].copy_from_slice(&sum.sum().to_be_bytes());
    assert!(message_for(&png).contains("got 32767×32767 pixels"));
    let mut bmp = fs::read(Path::new(FIXTURES).join("rgb.bmp")).unwrap();
    bmp[18..26].copy_from_slice(&[0xff, 0x7f, 0, 0, 0xff, 0x7f, 0, 0]);
    assert!(message_for(&bmp).contains("got 32767×32767 pixels"));
    let mut gif = fs::read(Path::new(FIXTURES).join("palette.gif")).unwrap();
    gif[6..10].copy_from_slice(&[0xff; 4]);
    assert!(message_for(&gif).contains("got 65535×65535 pixels"));
    // a segment that is longer than the file
    assert!(message_for(b"\xff\xd8\xff\xe0\xff\xff\xff\xd9").contains("cut short"));
}

#[test]
fn what_is_no_readable_file_or_no_possible_shape_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (image, huge) = (Path::new(FIXTURES).join("rgb.png"), folder.path().join("huge.png"));
    File::create(&huge).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
    let refused = |path: &Path, shape| decode(path, shape).unwrap_err().to_string();
    assert!(refused(folder.path(), SHAPE).contains("got a folder"));
    assert!(refused(&folder.path().join("none.png"), SHAPE).contains("cannot read the image"));
    assert!(refused(&huge, SHAPE).contains("file is too large"));
    assert!(refused(&image, ImageShape { channels: 2, ..SHAPE }).contains("1 or 3 channels"));
    assert!(refused(&image, ImageShape { width: 0, ..SHAPE }).contains("got 0"));
    assert!(refused(&image, ImageShape { height: 1 << 40, ..SHAPE }).contains("cannot have that size"));
}
