use serde_json::json;

use super::*;

#[test]
fn json_is_read_in_every_form_that_programs_write() {
    let text = r#"{"name": "ä"}"#;
    let utf16 = |unit: fn(u16) -> [u8; 2]| [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(unit).collect();
    let twice = serde_json::to_string(text).unwrap();
    let forms: [Vec<u8>; 6] = [
        text.into(),
        format!("\u{feff}{text}\r\n").into(),
        format!("\n {text} \n\n").into(),
        utf16(u16::to_le_bytes),
        utf16(u16::to_be_bytes),
        twice.clone().into(),
    ];
    for form in forms {
        assert_eq!(parse_json(&form).unwrap(), json!({ "name": "ä" }), "{form:?}");
    }
    // once more is no form that a program writes: it stays a string, which is no model
    let thrice = serde_json::to_string(&twice).unwrap();
    assert_eq!(parse_json(thrice.as_bytes()).unwrap(), json!(text));
    for broken in ["", "\"text\"", "{", "\u{feff}"] {
        assert!(parse_json(broken.as_bytes()).is_err(), "{broken:?}");
    }
}
