use std::path::Path;

use super::*;
use crate::data::{ImageShape, image};

/// Pillow 13.0.0 gives the same pixels.
#[test]
fn around_a_smaller_first_frame_is_the_first_colour() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/images"));
    let mut bytes = std::fs::read(folder.join("palette.gif")).unwrap();
    let [small, large] = [(9, 13), (12, 15)].map(|(height, width)| ImageShape { height, width, channels: 3 });
    let frame = image::decode_bytes(&bytes, small).unwrap();
    let whole = margin(&bytes).unwrap();
    assert_eq!(whole.frame, [0, 0, 13, 9]);
    bytes[6..10].copy_from_slice(&[15, 0, 12, 0]);
    let descriptor = bytes.windows(9).position(|window| window == [0x2c, 0, 0, 0, 0, 13, 0, 9, 0]).unwrap();
    bytes[descriptor + 1..descriptor + 5].copy_from_slice(&[1, 0, 2, 0]);
    let pixels = image::decode_bytes(&bytes, large).unwrap();
    for (at, pixel) in pixels.as_chunks::<3>().0.iter().enumerate() {
        let (x, y) = (at % 15, at / 15);
        let expected = match (1..14).contains(&x) && (2..11).contains(&y) {
            true => &frame[((y - 2) * 13 + x - 1) * 3..][..3],
            false => &whole.colour[..],
        };
        assert_eq!(pixel, expected, "{x} {y}");
    }
    for length in 0..bytes.len() {
        margin(&bytes[..length]);
    }
}
