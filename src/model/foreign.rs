//! What a file is that stands where a network was expected: named by its first bytes or its name.

use std::path::Path;

use crate::error::Error;

/// How files begin that are no architecture, what they are, and what to do with them.
const BEGINNINGS: [(&[u8], &str, &str); 13] = [
    (b"PK\x03\x04", "a zip archive", IMPORT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", IMPORT),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"\x89PNG", "a PNG picture", ""),
    (b"\xff\xd8\xff", "a JPEG picture", ""),
    (b"GIF8", "a GIF picture", ""),
    (b"%PDF", "a PDF document", ""),
    (b"\x7fELF", "a program", ""),
    (b"\x93NUMPY", "a NumPy array", REBUILD),
    (b"\x80\x02", "a pickle, which can run code", REBUILD),
    (b"\x80\x04", "a pickle, which can run code", REBUILD),
    (b"\x80\x05", "a pickle, which can run code", REBUILD),
    (b"<", "an HTML or XML page", "was it saved from a browser? Save the file itself (\"Raw\")"),
];
/// How files are called that have no beginning of their own.
const ENDINGS: [(&str, &str, &str); 8] = [
    (".onnx", "an ONNX model", ORIGINAL),
    (".tflite", "a TensorFlow Lite model", ORIGINAL),
    (".pt", PYTORCH, REBUILD),
    (".pth", PYTORCH, REBUILD),
    (".npz", "NumPy arrays", REBUILD),
    ("saved_model.pb", "a part of TensorFlow's SavedModel", SAVED_MODEL),
    (".pb", "a graph of TensorFlow", ORIGINAL),
    (".mlmodel", "a Core ML model", ORIGINAL),
];
const IMPORT: &str = "what Keras saved (.keras, .h5) is taken over by convnet import; then train with `init_from`";
const ORIGINAL: &str = "convnet import takes over the Keras model that it was made from";
const REBUILD: &str =
    "only Keras's files hold an architecture: build the network there, give it these weights, save it";
const SAVED_MODEL: &str =
    "in TensorFlow: tf.keras.models.load_model(FOLDER).save(\"model.h5\"); then convnet import model.h5";
const PYTORCH: &str = "a file of PyTorch, whose architecture is Python code";

/// The error for a file called `name` that begins with `bytes`; `None` where it may be an architecture.
pub(crate) fn file(name: &str, bytes: &[u8]) -> Option<Error> {
    let name = name.to_lowercase();
    let is_safetensors = bytes.len() > 9 && bytes[8] == b'{' && bytes[..8].contains(&0);
    let is_tflite = bytes.get(4..8) == Some(b"TFL3");
    let by_beginning = BEGINNINGS.iter().find(|(beginning, _, _)| bytes.trim_ascii_start().starts_with(beginning));
    let by_ending = ENDINGS.iter().find(|(ending, _, _)| name.ends_with(ending));
    let (what, help) = match (by_ending, by_beginning) {
        _ if bytes.is_empty() => ("an empty file", ""),
        _ if is_pytorch_zip(bytes) => (PYTORCH, REBUILD),
        _ if is_tflite => ("a TensorFlow Lite model", ORIGINAL),
        _ if is_safetensors => ("weights (safetensors)", "the architecture is in the .json beside them"),
        (Some((_, what, help)), _) => (*what, *help),
        (_, Some((_, what, help))) => (*what, *help),
        (None, None) => return None,
    };
    Some(error(what, help))
}

/// Whether `bytes` begin a zip of `torch.save`, whose first member is `<name>/data.pkl`.
pub(crate) fn is_pytorch_zip(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(300)];
    start.starts_with(b"PK\x03\x04") && start.windows(9).any(|window| window == b"/data.pkl")
}

/// The error for the folder at `path`.
pub(crate) fn folder(path: &Path) -> Error {
    match (path.join("saved_model.pb").is_file(), is_unpacked_keras(path)) {
        (true, _) => error("a SavedModel of TensorFlow", SAVED_MODEL),
        (_, true) => error("an unpacked .keras archive", IMPORT),
        _ => error("a folder", "name a file"),
    }
}

/// Whether `path` is the folder of an unpacked `.keras` archive.
pub(crate) fn is_unpacked_keras(path: &Path) -> bool {
    ["config.json", "model.weights.h5"].iter().all(|name| path.join(name).is_file())
}

/// The error for what is `what`.
pub(crate) fn error(what: &str, help: &str) -> Error {
    let error = Error::model("the file is no network").got(what);
    if help.is_empty() { error } else { error.help(help) }
}

#[cfg(test)]
mod tests;
