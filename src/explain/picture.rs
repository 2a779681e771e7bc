//! A heat map laid over its picture.

use super::HeatMap;
use crate::data::ImageShape;

/// Colours from nothing to most: matplotlib's inferno, which is read the same without telling red from green.
const COLOURS: [[f32; 3]; 5] =
    [[0.0, 0.0, 4.0], [87.0, 16.0, 110.0], [188.0, 55.0, 84.0], [249.0, 142.0, 9.0], [252.0, 255.0, 164.0]];
/// How much of the picture its hottest place hides.
const OPACITY: f32 = 0.75;

/// An image `u8 [H, W, C]` of 1 or 3 channels as `u8 [H, W, 3]`.
pub fn to_rgb(pixels: &[u8], shape: ImageShape) -> Vec<u8> {
    match shape.channels {
        1 => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        _ => pixels.to_vec(),
    }
}

/// The image `u8 [H, W, C]` with the heat map over it, as `u8 [H, W, 3]`. The hottest place has the last colour; a map of nothing but
/// zeros leaves the picture as it is.
pub fn overlay(pixels: &[u8], shape: ImageShape, map: &HeatMap) -> Vec<u8> {
    let largest = map.values.iter().copied().fold(0.0, f32::max);
    let mut rgb = to_rgb(pixels, shape);
    let places = (0..shape.height).flat_map(|y| (0..shape.width).map(move |x| (y, x)));
    for ((y, x), pixel) in places.zip(rgb.chunks_exact_mut(3)) {
        let heat = if largest > 0.0 { at(map, y, x, shape) / largest } else { 0.0 };
        for (value, colour) in pixel.iter_mut().zip(colour_of(heat)) {
            let opacity = OPACITY * heat;
            *value = (f32::from(*value) * (1.0 - opacity) + colour * opacity).round() as u8;
        }
    }
    rgb
}

/// The map at a pixel of the picture, between its places linearly (pixel centres, as PyTorch's `align_corners=False`).
fn at(map: &HeatMap, y: usize, x: usize, shape: ImageShape) -> f32 {
    let axis = |place: usize, size: usize, places: usize| {
        let place = ((place as f32 + 0.5) * places as f32 / size as f32 - 0.5).clamp(0.0, (places - 1) as f32);
        let first = place.floor() as usize;
        (first, (first + 1).min(places - 1), place - first as f32)
    };
    let (top, bottom, down) = axis(y, shape.height, map.height);
    let (left, right, across) = axis(x, shape.width, map.width);
    let row = |y: usize| {
        let value = |x: usize| map.values[y * map.width + x];
        value(left) * (1.0 - across) + value(right) * across
    };
    row(top) * (1.0 - down) + row(bottom) * down
}

/// The colour of a heat from 0 to 1.
fn colour_of(heat: f32) -> [f32; 3] {
    let place = heat.clamp(0.0, 1.0) * (COLOURS.len() - 1) as f32;
    let first = (place.floor() as usize).min(COLOURS.len() - 2);
    let part = place - first as f32;
    [0, 1, 2].map(|channel| COLOURS[first][channel] * (1.0 - part) + COLOURS[first + 1][channel] * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape { height: 2, width: 4, channels: 1 };

    #[test]
    fn the_hottest_place_is_the_brightest() {
        let map = HeatMap { height: 1, width: 2, values: vec![0.0, 3.0] };
        let picture = overlay(&[100; 8], SHAPE, &map);
        assert_eq!(&picture[..3], [100; 3], "nothing lies over what is cold");
        let hot: Vec<u8> = [252.0f32, 255.0, 164.0].iter().map(|c| (25.0 + c * 0.75).round() as u8).collect();
        assert_eq!(&picture[9..12], &hot[..]);
        // a quarter and three quarters of the way between the places' centres
        let values: Vec<f32> = (0..4).map(|x| at(&map, 0, x, SHAPE)).collect();
        assert_eq!(values, [0.0, 0.75, 2.25, 3.0]);
    }

    #[test]
    fn a_map_of_zeros_leaves_the_picture() {
        let map = HeatMap { height: 2, width: 2, values: vec![0.0; 4] };
        assert_eq!(overlay(&[7; 8], SHAPE, &map), [7; 24]);
    }
}
