use super::*;
use std::path::PathBuf;

const SHAPE: ImageShape = ImageShape { height: 3, width: 4, channels: 3 };

/// An array written by NumPy 2.4.6 (scripts/fixtures/arrays.py).
fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/npy")).join(name)
}

#[test]
fn images_of_every_kind_and_order_are_read() {
    for name in ["uint8.npy", "uint8_fortran.npy", "uint8_version_3.npy"] {
        let expected = NpyImages::U8 { shape: SHAPE, count: 2, pixels: (0..72).collect() };
        assert_eq!(read_images(&fixture(name)).unwrap(), expected, "{name}");
    }
    for name in ["float32.npy", "float32_big_endian.npy", "float64.npy", "float64_big_endian_fortran.npy"] {
        let values = (0..72).map(|number| number as f32 / 8.0).collect();
        assert_eq!(read_images(&fixture(name)).unwrap(), NpyImages::F32 { shape: SHAPE, count: 2, values }, "{name}");
    }
    let grey = ImageShape { channels: 1, ..SHAPE };
    let expected = NpyImages::U8 { shape: grey, count: 2, pixels: (0..72).step_by(3).collect() };
    assert_eq!(read_images(&fixture("uint8_grey.npy")).unwrap(), expected);
}

#[test]
fn other_kinds_and_shapes_are_refused_by_name() {
    let expected = [
        ("float16.npy", "got float16 ('<f2') ("),
        ("int64.npy", "got int64 ('<i8') ("),
        ("bool.npy", "got bool ('|b1') ("),
        ("object.npy", "got an object array ('|O') ("),
        ("structured.npy", "got a structured array ("),
        ("text.npy", "got another kind ('<U3') ("),
        ("matrix.npy", "expected [N, H, W, C] or [N, H, W], got [6, 12] ("),
        ("no_images.npy", "got [0, 28, 28, 1] ("),
        ("archive.npz", "got bytes 50 4b 03 04"),
        ("none.npy", "cannot read the array"),
        (".", "expected a file, got a folder"),
    ];
    for (name, part) in expected {
        let error = read_images(&fixture(name)).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.exit_code(), 3);
    }
}

#[test]
fn written_arrays_are_numpys_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outputs.npy");
    write_f32(&path, &[3, 2], &[0.0, 0.125, 0.25, 0.375, 0.5, 0.625]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), fs::read(fixture("outputs.npy")).unwrap());
    write_f32(&path, &[1], &[0.5]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), fs::read(fixture("outputs_vector.npy")).unwrap());
    let error = write_f32(&folder.path().join("outputs.npy/below.npy"), &[1], &[0.5]).unwrap_err();
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn a_file_that_is_cut_short_is_an_error_wherever_it_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.npy");
    let bytes = fs::read(fixture("uint8.npy")).unwrap();
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        assert_eq!(read_images(&path).unwrap_err().exit_code(), 3, "{length}");
    }
}
