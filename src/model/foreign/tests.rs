use super::*;

#[test]
fn files_are_called_what_they_are() {
    let cases: [(&str, &[u8], &str); 16] = [
        ("net", b"PK\x03\x04rest", "a zip archive"),
        ("net", b"\x89HDF\r\n\x1a\nrest", "an HDF5 file"),
        ("net", b"\n <!DOCTYPE html><html>", "an HTML or XML page"),
        ("net", b"\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":1}", "weights (safetensors)"),
        ("net", b"", "an empty file"),
        ("net", b"\x80\x02}q", "a pickle"),
        ("old.pth", b"\x80\x02}q", "a file of PyTorch"),
        ("a.pt", b"PK\x03\x04\x00\x00\x08\x08a/data.pkl", "a file of PyTorch"),
        ("a.bin", b"PK\x03\x04\x00\x00\x08\x08archive/data.pkl", "a file of PyTorch"),
        ("a.npz", b"PK\x03\x04x.npy", "NumPy arrays"),
        ("a.npy", b"\x93NUMPY", "a NumPy array"),
        ("a.onnx", b"\x08\x08\x12\x07pytorch", "an ONNX model"),
        ("A.ONNX", b"\x08\x08\x12\x07pytorch", "an ONNX model"),
        ("a", b"\x1c\0\0\0TFL3", "a TensorFlow Lite model"),
        ("saved_model.pb", b"\x08\x01", "a part of TensorFlow's SavedModel"),
        ("frozen.pb", b"\x08\x01", "a graph of TensorFlow"),
    ];
    for (name, bytes, expected) in cases {
        let message = file(name, bytes).unwrap_or_else(|| panic!("{name} {bytes:?}")).to_string();
        assert!(message.contains(expected), "{message}");
    }
    assert!(file("a.json", b"{").is_none() && file("a.txt", b"Flatten").is_none());
}

#[test]
fn folders_are_called_what_they_are() {
    let place = tempfile::tempdir().unwrap();
    let says = |what: &str| assert!(folder(place.path()).to_string().contains(what), "{what}");
    says("a folder");
    for name in ["config.json", "model.weights.h5"] {
        std::fs::write(place.path().join(name), "").unwrap();
    }
    says("an unpacked .keras archive");
    std::fs::write(place.path().join("saved_model.pb"), "").unwrap();
    says("a SavedModel");
}
