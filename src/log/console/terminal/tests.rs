use super::*;

#[test]
fn blanks_at_the_end_are_not_written() {
    let mut drawing = Drawing::default();
    drawing.clear(80, true);
    drawing.add("Epoch \x1b[2m1/3\x1b[0m");
    drawing.add("                    ");
    assert_eq!((drawing.text.as_str(), drawing.width), ("\r\x1b[KEpoch \x1b[2m1/3\x1b[0m", 9));
}

#[test]
fn a_line_that_was_broken_anew_goes_whole() {
    for (shown, columns, reflows, expected) in [
        (78, 80, true, "\r\x1b[K"),
        (78, 40, true, "\x1b[1A\r\x1b[J"),
        (40, 40, true, "\r\x1b[K"),
        (41, 20, true, "\x1b[2A\r\x1b[J"),
        (78, 40, false, "\r\x1b[K"),
        (0, 40, true, "\r\x1b[K"),
    ] {
        let mut drawing = Drawing { shown, ..Drawing::default() };
        drawing.clear(columns, reflows);
        assert_eq!(drawing.text, expected, "{shown} {columns}");
    }
}
