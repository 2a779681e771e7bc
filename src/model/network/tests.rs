use super::*;
use crate::model::presets::Network;

#[test]
fn files_that_are_no_network_are_called_what_they_are() {
    let cases: [(&[u8], &str); 10] = [
        (b"PK\x03\x04rest", "a zip archive"),
        (b"\x89HDF\r\n\x1a\nrest", "an HDF5 file"),
        (b"\n <!DOCTYPE html><html>", "an HTML or XML page"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":1}", "weights (safetensors)"),
        (b"\x08\x07\x12\x00abc", "a binary file"),
        (b"caf\xe9", "a binary file"),
        (b"", "an empty file"),
        (b"\x80\x02}q", "a pickle"),
        (b"{\"class_name\": ", "not JSON, though it begins as such"),
        (b"[{\"a\": 1}]", "not a JSON object"),
    ];
    for (bytes, expected) in cases {
        let message = Architecture::parse(bytes, "net").unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    assert!(Architecture::find("no-such-net").unwrap_err().to_string().contains("there is no network"));
}

/// The default's text.
fn json_of_the_first() -> &'static str {
    match PRESETS[0].network {
        Network::Json(text) => text,
        Network::Built(_) => panic!("the default is a file"),
    }
}

#[test]
fn text_with_a_byte_order_mark_is_read() {
    assert!(matches!(
        Architecture::parse("\u{feff}Flatten\nDense softmax".as_bytes(), "net"),
        Ok(Architecture::Short(_))
    ));
    let json = format!("\u{feff}{}", json_of_the_first());
    assert!(matches!(Architecture::parse(json.as_bytes(), "net"), Ok(Architecture::Keras(_))));
    let utf16: Vec<u8> = json.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(matches!(Architecture::parse(&utf16, "net"), Ok(Architecture::Keras(_))));
    let twice = serde_json::to_string(json_of_the_first()).unwrap();
    assert!(matches!(Architecture::parse(twice.as_bytes(), "net"), Ok(Architecture::Keras(_))));
}
