use super::*;

#[test]
fn numbers_and_ranges_are_read() {
    let of = |text: &str| text.parse::<Indices>().unwrap().of(10).unwrap();
    assert_eq!(of("all"), (0..10).collect::<Vec<_>>());
    assert_eq!(of("5"), [5]);
    assert_eq!(of("1,5,7-9,0"), [1, 5, 7, 8, 9, 0]);
    assert_eq!(of("3-3"), [3]);
    let error = "8-10".parse::<Indices>().unwrap().of(10).unwrap_err();
    assert!(error.exit_code() == 3 && error.to_string().contains("0 to 9, got 10"), "{error}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for text in ["", "a", "-1", "9-7", "1,", "1-", "1-2-3", "0-18446744073709551616"] {
        assert!(text.parse::<Indices>().is_err(), "{text}");
    }
    for text in ["0..9", "0:9"] {
        assert!(text.parse::<Indices>().unwrap_err().contains("both ends included"), "{text}");
    }
}
