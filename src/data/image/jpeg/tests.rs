use super::*;

fn message(bytes: &[u8]) -> String {
    head(bytes).unwrap_err().to_string()
}

#[test]
fn a_head_is_found_behind_what_does_not_belong_there() {
    let frame = b"\xff\xc0\0\x0b\x08\0\x05\0\x07\x01\x01\x11\0";
    let bytes = [b"\xff\xd8\0\0\xff\xff\xe0\0\x03\xff\xff\xd0", &frame[..]].concat();
    let frame = Frame { width: 7, height: 5, channels: 1 };
    assert_eq!(head(&bytes).unwrap(), JpegHeader { frame, orientation: Orientation::NoTransforms });
    for length in 0..bytes.len() {
        assert!(head(&bytes[..length]).is_err());
    }
}

#[test]
fn kinds_that_are_not_read_are_named() {
    assert!(message(b"\xff\xd8\xff\xc3\0\x08\x08\0\x05\0\x07\x01").contains("got a lossless"));
    assert!(message(b"\xff\xd8\xff\xc1\0\x08\x0c\0\x05\0\x07\x01").contains("8 bits for each sample, got 12"));
    assert!(message(b"\xff\xd8\xff\xc0\0\x08\x08\0\x05\0\x07\x02").contains("components, got 2"));
    assert!(message(b"\xff\xd8\xff\xc0\0\x08\x08\0\0\0\x07\x03").contains("got 7×0 pixels"));
    assert!(message(b"\xff\xd8\xff\xc0\0\x03\x08").contains("too short"));
    assert!(message(b"\xff\xd8\xff\xda\0\x03\x08").contains("no frame header"));
    assert!(message(b"\xff\xd8\xff\xc0\0\0\x08").contains("too short"));
}
