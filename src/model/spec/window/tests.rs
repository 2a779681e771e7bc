use super::*;

#[test]
fn same_padding_puts_the_odd_pixel_after() {
    assert_eq!(same_padding(28, 3, 1, 1), (1, 1));
    assert_eq!(same_padding(28, 2, 1, 1), (0, 1));
    assert_eq!(same_padding(28, 3, 2, 1), (0, 1));
    assert_eq!(same_padding(5, 3, 2, 1), (1, 1));
    assert_eq!(same_padding(4, 1, 2, 1), (0, 0));
}

#[test]
fn windows_follow_keras() {
    use Padding::{Same, Valid};
    assert_eq!(axis_output("height", 28, 3, 1, 1, Valid).unwrap(), 26);
    assert_eq!(axis_output("height", 11, 2, 2, 1, Valid).unwrap(), 5);
    assert_eq!(axis_output("height", 11, 2, 2, 1, Same).unwrap(), 6);
    assert_eq!(axis_output("height", 12, 3, 1, 2, Valid).unwrap(), 8);
    assert!(axis_output("height", 2, 3, 1, 1, Valid).is_err());
    assert!(axis_output("height", 2, 0, 1, 1, Valid).is_err());
    assert!(axis_output("height", 2, 1, 1, usize::MAX, Valid).is_err());
}

#[test]
fn transposed_windows_follow_keras() {
    use Padding::{Same, Valid};
    // shapes of keras.layers.Conv2DTranspose in Keras 3.15.1
    for (n, k, s, padding, added, out) in [
        (5, 3, 2, Same, None, 10),
        (5, 3, 2, Valid, None, 11),
        (5, 2, 3, Valid, None, 15),
        (5, 3, 2, Same, Some(1), 10),
        (5, 3, 2, Same, Some(0), 9),
        (5, 4, 2, Valid, Some(1), 13),
    ] {
        assert_eq!(transposed_output("height", n, k, s, padding, added).unwrap(), out, "{n} {k} {s} {padding:?}");
    }
    assert!(transposed_output("height", 5, 3, 2, Same, Some(2)).is_err());
    assert!(transposed_output("height", usize::MAX, 3, 2, Same, None).is_err());
}
