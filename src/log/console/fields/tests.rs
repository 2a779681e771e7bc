use super::*;

#[test]
fn quantities_keep_their_width() {
    let rates = [
        (3.11, " 3.1"),
        (9.96, "  10"),
        (912.3, " 912"),
        (9_100.0, "9.1k"),
        (999_400.0, "999k"),
        (1.25e6, "1.2M"),
        (0.0, " 0.0"),
    ];
    for (value, text) in rates {
        assert_eq!(rate(value), text);
    }
    let times = [(7.06, " 7.1 s"), (59.96, "  1:00"), (3723.0, "1:02:03")];
    for (seconds, text) in times {
        assert_eq!(duration(seconds), text);
    }
    assert_eq!([clock(f64::INFINITY), clock(6.6)], ["-", "0:07"]);
    let steps = [(0.0141, " 14 ms/step"), (0.0091, "9.1 ms/step"), (2.0, " 2.0 s/step"), (0.0005, "500 µs/step")];
    for (seconds, text) in steps {
        assert_eq!(step_time(seconds), text);
    }
    assert_eq!(step_time(f64::NAN), "  - ms/step");
    assert_eq!([bytes(320_000_000), bytes(999_600_000)], ["320 MB", "1.0 GB"]);
    assert_eq!([percent(0, 0), percent(1, 3), percent(999, 1000), percent(3, 3)], ["  0 %", " 33 %", " 99 %", "100 %"]);
}

#[test]
fn what_does_not_fit_goes_by_its_rank() {
    let fields = |columns| {
        let mut fields = Fields::new("head".to_owned(), columns);
        fields.push(2, "second".to_owned());
        fields.push_bar(3);
        fields.paint(1, "first".to_owned(), Paint::Good);
        fields
    };
    let line = fields(27).fit(false);
    assert_eq!((line.before.as_str(), line.has_bar, line.after.as_str()), ("head  second  ", true, "  first"));
    assert_eq!(fields(26).fit(false).before, "head  second  first");
    assert_eq!(fields(18).fit(false).before, "head  first");
    assert_eq!(fields(3).fit(false).before, "hea");
    assert_eq!(fields(18).fit(true).before, "head  \x1b[1;32mfirst\x1b[0m");
}
