//! Where a network's architecture comes from: a preset, Keras's JSON, or a short form.

use std::path::Path;

use serde_json::Value;

use super::presets::{self, PRESETS};
use super::saved;
use super::spec::{ShortForm, Spec};
use crate::data::ImageShape;
use crate::error::{Error, Result, nearest};

/// More bytes than this are no network's architecture.
const MAX_BYTES: u64 = 64 << 20;
/// How files begin that are no architecture, what they are, and what to do with them.
const OTHER_FILES: [(&[u8], &str, &str); 13] = [
    (b"PK\x03\x04", "a zip archive", "a .keras archive is taken over by convnet import"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "Keras's .h5 is taken over by convnet import"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"\x89PNG", "a PNG picture", ""),
    (b"\xff\xd8\xff", "a JPEG picture", ""),
    (b"GIF8", "a GIF picture", ""),
    (b"%PDF", "a PDF document", ""),
    (b"\x7fELF", "a program", ""),
    (b"\x93NUMPY", "a NumPy array", ""),
    (b"\x80\x02", "a pickle, which can run code", "only weights in .safetensors are read"),
    (b"\xff\xfe", "text in UTF-16", "save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16", "save it as UTF-8"),
    (b"<", "an HTML or XML page", "was it saved from a browser? Save the file itself (\"Raw\")"),
];

/// A network's architecture, and what of it the data decides.
#[derive(Debug, Clone, PartialEq)]
pub enum Network {
    /// Comes with the program; its input and its classes are those of the data.
    Preset(Spec),
    /// Keras's JSON: as it stands, but for an input that it does not say.
    Keras(Spec),
    /// A short form: what it leaves open is the data's.
    Short(ShortForm),
}

impl Network {
    /// The preset called `source`, or the network in the file at that path.
    ///
    /// # Errors
    /// A model error that says what the file is, and where in it something cannot be used.
    pub fn find(source: &str) -> Result<Self> {
        if let Some(spec) = presets::preset(source) {
            return Ok(Network::Preset(spec));
        }
        let path = Path::new(source);
        if path.is_file() {
            return Network::read(path);
        }
        let names = PRESETS.map(|(name, _)| name);
        let (expected, known) =
            ("a preset's name, or the path of a Keras JSON or a short form", nearest(source, &names));
        Err(Error::model(format!("there is no network '{source}'{known}")).expected(expected))
    }

    /// The network in a file: Keras's JSON, or a short form.
    ///
    /// # Errors
    /// As [`Network::find`].
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.file_stem().map_or("network".into(), |stem| stem.to_string_lossy());
        saved::read_bounded(path, MAX_BYTES)
            .and_then(|bytes| Network::parse(&bytes, &name))
            .map(|network| match network {
                Network::Short(form) => Network::Short(form.found_at(path.display())),
                other => other,
            })
            .map_err(|error| error.at_path(path))
    }

    fn parse(bytes: &[u8], name: &str) -> Result<Self> {
        let text = std::str::from_utf8(bytes).ok().map(|text| text.trim_start_matches('\u{feff}'));
        if let Some(other) = other_file(bytes, text) {
            return Err(other.expected("Keras's JSON, or a short form: a layer a line, such as Conv2D 32 3 relu"));
        }
        let text = text.expect("it is text");
        if !text.trim_start().starts_with(['{', '[']) {
            return ShortForm::parse(text, name).map(Network::Short);
        }
        let document: Value = serde_json::from_str(text)
            .map_err(|error| Error::model("the file is not JSON, though it begins as such").at(error.to_string()))?;
        Spec::from_json(&document).map(Network::Keras)
    }

    /// The network for images of `shape` in `num_classes` classes.
    ///
    /// # Errors
    /// A model error where a short form's layers do not go together for them.
    pub fn spec(&self, shape: ImageShape, num_classes: usize) -> Result<Spec> {
        match self {
            Network::Preset(spec) => {
                let mut spec = spec.clone();
                spec.adapt(shape, num_classes);
                Ok(spec)
            }
            Network::Keras(spec) => {
                let mut spec = spec.clone();
                spec.input_shape.get_or_insert_with(|| vec![shape.height, shape.width, shape.channels]);
                Ok(spec)
            }
            Network::Short(form) => form.spec(shape, num_classes),
        }
    }
}

/// What a file is that is no architecture.
fn other_file(bytes: &[u8], text: Option<&str>) -> Option<Error> {
    let start = text.map_or(bytes, |text| text.trim_start().as_bytes());
    let is_safetensors = bytes.len() > 9 && bytes[8] == b'{' && bytes[..8].contains(&0);
    let (what, help) =
        match OTHER_FILES.iter().find(|(magic, _, _)| start.starts_with(magic) || bytes.starts_with(magic)) {
            Some((_, what, help)) => (*what, *help),
            None if bytes.is_empty() => ("an empty file", ""),
            None if is_safetensors => ("weights (safetensors)", "the architecture is in the .json beside them"),
            None if text.is_none_or(|text| text.contains('\0')) => ("a binary file", ""),
            None => return None,
        };
    let error = Error::model("the file is no network").got(what);
    Some(if help.is_empty() { error } else { error.help(help) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_network_are_called_what_they_are() {
        let cases: [(&[u8], &str); 11] = [
            (b"PK\x03\x04rest", "a zip archive"),
            (b"\x89HDF\r\n\x1a\nrest", "an HDF5 file"),
            (b"\n <!DOCTYPE html><html>", "an HTML or XML page"),
            (b"\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":1}", "weights (safetensors)"),
            (b"\x08\x07\x12\x00abc", "a binary file"),
            (b"\xff\xfeC\x00o\x00", "text in UTF-16"),
            (b"caf\xe9", "a binary file"),
            (b"", "an empty file"),
            (b"\x80\x02}q", "a pickle"),
            (b"{\"class_name\": ", "not JSON, though it begins as such"),
            (b"[{\"a\": 1}]", "not a JSON object"),
        ];
        for (bytes, expected) in cases {
            let message = Network::parse(bytes, "net").unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        assert!(Network::find("no-such-net").unwrap_err().to_string().contains("there is no network"));
    }

    #[test]
    fn text_with_a_byte_order_mark_is_read() {
        assert!(matches!(Network::parse("\u{feff}Flatten\nDense softmax".as_bytes(), "net"), Ok(Network::Short(_))));
        let json = format!("\u{feff}{}", PRESETS[0].1);
        assert!(matches!(Network::parse(json.as_bytes(), "net"), Ok(Network::Keras(_))));
    }
}
