use super::*;

#[test]
fn times_and_numbers_read_back() {
    for (text, seconds) in [("90s", 90.0), ("10m", 600.0), ("1.5h", 5400.0), ("0.5s", 0.5)] {
        let span: Span = text.parse().unwrap();
        assert_eq!(span.seconds, seconds);
        assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
    }
    let every = |json: &str| serde_json::from_str::<SaveEvery>(json);
    assert_eq!(every("500").unwrap(), SaveEvery::Batches(500));
    assert_eq!(every("\"500\"").unwrap(), SaveEvery::Batches(500));
    assert_eq!(every("\"5m\"").unwrap(), SaveEvery::Time(Span { seconds: 300.0 }));
    for wrong in ["0", "-1", "\"5 minutes\"", "\"0m\"", "\"infs\"", "\"m\""] {
        assert!(every(wrong).is_err(), "{wrong}");
    }
}
