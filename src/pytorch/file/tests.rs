use std::path::PathBuf;

use serde_json::Value;
use tch::Kind;

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pytorch").join(name)
}

fn refusal(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

#[test]
fn every_form_gives_the_tensors_that_were_saved() {
    let expected: Value = serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap();
    for name in ["zip.pth", "older.pth", "wrapped.pth", "st.safetensors"] {
        let weights = read_weights(&fixture(name)).unwrap();
        assert_eq!(weights.tensors().len(), expected.as_object().unwrap().len(), "{name}");
        for (weight, tensor) in weights.tensors() {
            let (shape, values) = (&expected[weight][0], &expected[weight][1]);
            assert_eq!(serde_json::json!(tensor.size()), *shape, "{name}, {weight}");
            let got = Vec::<f64>::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap();
            assert_eq!(serde_json::json!(got), *values, "{name}, {weight}");
        }
    }
}

#[test]
fn nothing_in_a_file_is_run() {
    for name in ["command.pth", "command.pkl"] {
        let error = read_weights(&fixture(name)).unwrap_err().to_string();
        assert!(error.contains("posix.system") && error.contains("not run"), "{error}");
    }
    assert!(!Path::new("it-ran").exists());
}

#[test]
fn damaged_files_are_errors() {
    for name in ["zip.pth", "older.pth", "st.safetensors"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        for length in (0..whole.len()).step_by(7) {
            refusal(&whole[..length]);
        }
        for index in (0..whole.len()).step_by(3) {
            let mut changed = whole.clone();
            changed[index] ^= 0xff;
            let _ = read(&changed); // an error, or other values
        }
    }
    for other in [&b""[..], b"no weights at all", b"\x80\x02.", b"\x80\x02}q\0.", &[0; 64]] {
        refusal(other);
    }
}

#[test]
fn pickles_that_grow_or_lie_are_refused() {
    let older = |pickle: &[u8]| {
        let start = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";
        [&start[..], pickle, b"\x80\x02]."].concat()
    };
    // a list put into itself, and a dict of a tuple of a tuple …
    refusal(&older(b"\x80\x02]q\0h\0a."));
    refusal(&older(&[&b"\x80\x02)"[..], &[0x85; 100_000], b"."].concat()));
    // marks without an end, pops below them, a memo that is not there
    for pickle in
        [&b"\x80\x02(."[..], b"\x80\x02(0.", b"\x80\x02h\x05.", b"\x80\x02u.", b"\x80\x02R.", b"\x80\x02K\x01Q."]
    {
        refusal(&older(pickle));
    }
    // a tensor beyond its storage, of negative strides, and one that repeats its storage without end
    let tensor = |size: &[u8], stride: &[u8], offset: u8| {
        let storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0aX\x03\0\0\0cpuK\x04tQ";
        let mut pickle = b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(".to_vec();
        pickle.extend_from_slice(storage);
        pickle.extend_from_slice(&[b'K', offset]);
        pickle.extend_from_slice(size);
        pickle.extend_from_slice(stride);
        pickle.extend_from_slice(b"\x89}tRs.");
        let start = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";
        let values: Vec<u8> = [4u64.to_le_bytes().to_vec(), vec![0; 16]].concat();
        [&start[..], &pickle, b"\x80\x02]X\x01\0\0\0aa.", &values].concat()
    };
    assert_eq!(read(&tensor(b"K\x04\x85", b"K\x01\x85", 0)).unwrap().tensors().len(), 1);
    for (size, stride, offset) in [
        (&b"K\x04\x85"[..], &b"K\x01\x85"[..], 1),
        (b"K\x03\x85", b"K\x02\x85", 0),
        (b"K\x02\x85", b"J\xff\xff\xff\xff\x85", 1),
        (b"J\xff\xff\xff\x7f\x85", b"K\x00\x85", 0),
        (b"K\x02K\x02\x86", b"K\x01\x85", 0),
        (b"J\xfe\xff\xff\xff\x85", b"K\x01\x85", 0),
    ] {
        let said = refusal(&tensor(size, stride, offset));
        assert!(said.contains("within its storage"), "{said}");
    }
}

#[test]
fn small_files_that_would_fill_the_memory_are_refused() {
    use std::io::Write;
    let packed = {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file("a/data.pkl", options.compression_method(CompressionMethod::Deflated)).unwrap();
        writer.write_all(&[0; 1 << 20]).unwrap();
        writer.finish().unwrap().into_inner()
    };
    assert!(refusal(&packed).contains("packed"), "{}", refusal(&packed));
    // one storage of 64 values, and twenty names for all of it
    let storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0aX\x03\0\0\0cpuK\x40tQ";
    let mut pickle = b"\x80\x02}".to_vec();
    for name in b'a'..b'u' {
        pickle.extend_from_slice(&[b'X', 1, 0, 0, 0, name]);
        pickle.extend_from_slice(b"ctorch._utils\n_rebuild_tensor_v2\n(");
        pickle.extend_from_slice(storage);
        pickle.extend_from_slice(b"K\x00K\x40\x85K\x01\x85\x89}tRs");
    }
    pickle.push(b'.');
    let start = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";
    let values: Vec<u8> = [64u64.to_le_bytes().to_vec(), vec![0; 256]].concat();
    let shared = [&start[..], &pickle, b"\x80\x02]X\x01\0\0\0aa.", &values].concat();
    assert!(refusal(&shared).contains("share their values"), "{}", refusal(&shared));
}
