use super::*;
use crate::data::npy::read_images;

/// What is said of a file of version 1 with this header and this many bytes of numbers.
fn message_for(header: &str, data_bytes: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("array.npy");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    std::fs::write(&path, [MAGIC, &[1, 0], &length, header.as_bytes(), &vec![0; data_bytes]].concat()).unwrap();
    read_images(&path).unwrap_err().to_string()
}

#[test]
fn every_lie_of_a_header_is_told() {
    let u8_of = |shape: &str| format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
    for data_bytes in [0, 23, 25] {
        assert!(message_for(&u8_of("(1, 2, 4, 3)"), data_bytes).contains("expected 24 bytes of numbers, got"));
    }
    assert!(message_for(&u8_of("(4294967296, 4294967296, 4, 3)"), 0).contains("too large"));
    assert!(message_for(&u8_of("(999999999, 999999999, 1, 1)"), 0).contains("too large"));
    let unreadable = [
        u8_of("(1, 2, 4, 99999999999999999999999)"),
        u8_of("(1, 2, -4, 3)"),
        u8_of("(1, 2, 4, 3"),
        u8_of("(1, 2, 4, 3), 'more': 1"),
        u8_of("(1 2 4 3)"),
        u8_of("((((((((((((((((((((((((((((((((1,),),"),
        "{".repeat(9_000),
        "{'descr': '|u1', 'shape': (1, 2, 4, 3)}".to_owned(),
        "{'descr': |u1, 'fortran_order': False, 'shape': (1, 2, 4, 3)}".to_owned(),
        "{'descr': '|u1', 'fortran_order': 0, 'shape': (1, 2, 4, 3)}".to_owned(),
        u8_of("(1, 2, 4, 3)") + "}",
        String::new(),
    ];
    for header in unreadable {
        assert!(message_for(&header, 24).contains("header cannot be read"), "{header}");
    }
    assert!(message_for(&" ".repeat(MAX_HEADER_BYTES + 1), 0).contains("header is too long"));
}
