use serde_json::json;

use super::*;

fn document() -> Value {
    json!({
        "class_name": "Sequential",
        "config": { "epsilon": 1e-7, "text": "a \u{1b} b" },
        "convnet": { "version": 2, "labels": ["\"json_sha256\": \"0\"", "b"], "json_sha256": "old" },
    })
}

fn is_found(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else { return true };
    // what has lost its key is no saved model any more, and other readers say so
    let Ok(document) = serde_json::from_str::<Value>(text) else { return true };
    document.get("convnet").is_none_or(|key| key.get("version").is_none()) || check(text, &document).is_err()
}

#[test]
fn a_changed_bit_is_found_wherever_it_is() {
    let text = to_text(document());
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(check(&text, &read).unwrap(), read["convnet"]["json_sha256"].as_str());
    for byte in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[byte] ^= 1 << bit;
            assert!(is_found(&bytes), "bit {bit} of byte {byte}, in {:?}", &text[byte.saturating_sub(9)..=byte]);
        }
    }
    for length in 0..text.len() - 1 {
        assert!(is_found(&text.as_bytes()[..length]), "{length} bytes");
    }
}

#[test]
fn other_forms_of_the_same_text_are_changes() {
    let text = to_text(document());
    let found = |text: &str| is_found(text.as_bytes());
    assert!(!found(&text));
    assert!(found(&text.replace("1e-7", "1E-7")) && found(&text.replace("\\u001b", "\\u001B")));
    assert!(found(&text.replace('\n', "\r\n")) && found(&format!("{text} ")) && found(text.trim_end()));
    assert!(found(&serde_json::from_str::<Value>(&text).unwrap().to_string()));
    // the checksum itself: upper case, gone, twice
    let digits = serde_json::from_str::<Value>(&text).unwrap()["convnet"][KEY].as_str().unwrap().to_owned();
    assert!(found(&text.replace(&digits, &digits.to_uppercase())));
    let mut without: Value = serde_json::from_str(&text).unwrap();
    without["convnet"].as_object_mut().unwrap().remove(KEY);
    assert!(found(&serde_json::to_string_pretty(&without).unwrap()));
    assert!(found(&text.replacen(&pair(&digits), &format!("{}, {}", pair(&digits), pair(&digits)), 1)));
}

#[test]
fn older_models_and_keras_s_have_none() {
    for document in [json!({ "class_name": "Sequential" }), json!({ "convnet": { "version": 1 } }), json!([]), json!(1)]
    {
        let text = serde_json::to_string_pretty(&document).unwrap();
        assert_eq!(check(&text, &document).unwrap(), None);
        if document.is_object() {
            assert_eq!(to_text(document), text + "\n");
        }
    }
}
