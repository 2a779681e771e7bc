//! What is drawn for each training image of an epoch, once, and how a batch is changed by it.

use tch::{Device, Kind, Tensor};

use super::AugmentConfig;
use super::draws::{Draw, Draws};
use super::grid::Middles;
use crate::native;

/// The largest share of an image that is erased, and the smallest (Zhong et al., Random Erasing Data Augmentation, 2017).
const ERASED_AREA: [f64; 2] = [0.02, 0.33];
/// The largest ratio of an erased rectangle's sides.
const ERASED_ASPECT: f64 = 3.3;

/// How some training images are changed in an epoch: 13 words for each, and while they are drawn three times as many.
#[derive(Debug)]
pub struct Changes {
    config: AugmentConfig,
    /// What is drawn for each image, a [`Column`] each: `f32 [N, 13]`, on the images' device.
    drawn: Tensor,
    /// On the CPU, where pixels go to places of others, not between them: `i32 [N, 3]`, see [`native::flip_and_shift`].
    moves: Option<Tensor>,
    middles: Middles,
    /// Where the pixels' middles are, counted in pixels: `f32 [1, H]` and `f32 [1, W]`.
    places: [Tensor; 2],
}

/// Columns of [`Changes::drawn`]; the first six are where pixels come from, as [`super::affine_grid`] has it.
#[derive(Debug, Clone, Copy)]
enum Column {
    Contrast = 6,
    /// Of the range from 0 to 255.
    Brightness,
    /// Half the height of what is erased, in pixels; below 0 where nothing is.
    EraseHeight,
    EraseWidth,
    EraseMiddleY,
    EraseMiddleX,
    EraseGrey,
}

impl Changes {
    /// How `config` changes the images numbered `samples` (`i64 [N]`), of `[height, width]` pixels; none where it changes nothing.
    /// Random words begin at `key`: see `Draws::new`.
    pub fn new(config: &AugmentConfig, samples: &Tensor, key: u64, size: [i64; 2]) -> Option<Self> {
        if !config.changes_images() {
            return None;
        }
        let drawn = drawn(config, &Draws::new(samples, key), size);
        let are_whole = config.moves_pixels() && !config.turns_or_zooms();
        let moves = (are_whole && samples.device() == Device::Cpu && native::is_fused()).then(|| moves(&drawn, size));
        let places = size.map(|size| (Tensor::arange(size, (Kind::Float, samples.device())) + 0.5).unsqueeze(0));
        let middles = Middles::new(size, samples.device());
        Some(Changes { config: *config, drawn, moves, middles, places })
    }

    /// Changes `images` (`u8 [B, H, W, C]`), the `B` ones from number `first` on of those that were drawn for: `u8 [B, H, W, C]`,
    /// row-major. In order: mirror, rotation, zoom and shift as one bilinear resampling with zeros outside; contrast; brightness;
    /// erasing.
    pub fn apply(&self, images: &Tensor, first: i64) -> Tensor {
        let config = &self.config;
        let of_images = |all: &Tensor| all.narrow(0, first, images.size()[0]);
        let moved = self.moves.as_ref().map(|moves| {
            native::flip_and_shift(images, &of_images(moves)).unwrap_or_else(|error| native::throw(error))
        });
        let images = moved.as_ref().unwrap_or(images);
        if moved.is_some() && !config.changes_values() {
            return images.shallow_clone();
        }
        let drawn = of_images(&self.drawn);
        let column = |column: Column| drawn.select(1, column as i64).reshape([-1, 1, 1, 1]); // [B, 1, 1, 1]
        let mut pixels = images.permute([0, 3, 1, 2]).to_kind(Kind::Float); // [B, C, H, W]
        if config.moves_pixels() && moved.is_none() {
            const BILINEAR: i64 = 0;
            const ZEROS: i64 = 0;
            let grid = self.middles.moved(&drawn.narrow(1, 0, 6).view([-1, 2, 3]));
            pixels = pixels.grid_sampler(&grid, BILINEAR, ZEROS, false);
        }
        if config.contrast > 0.0 {
            let mean = pixels.mean_dim([2i64, 3].as_slice(), true, None);
            pixels = (&pixels - &mean) * column(Column::Contrast) + mean;
        }
        if config.brightness > 0.0 {
            pixels += column(Column::Brightness);
        }
        if config.erase > 0.0 {
            pixels = column(Column::EraseGrey).where_self(&self.erased(&drawn), &pixels);
        }
        let mut pixels = pixels.round();
        if config.contrast > 0.0 || config.brightness > 0.0 {
            pixels = pixels.clamp_(0.0, 255.0);
        }
        let mut changed = Tensor::empty(images.size(), (Kind::Uint8, images.device()));
        changed.copy_(&pixels.permute([0, 2, 3, 1])); // an image's channels stay last in memory
        changed
    }

    /// Which pixels are painted over: `bool [B, 1, H, W]`.
    fn erased(&self, drawn: &Tensor) -> Tensor {
        let covered = |places: &Tensor, half: Column, middle: Column| {
            let column = |column: Column| drawn.narrow(1, column as i64, 1); // [B, 1]
            (places - column(middle)).abs().le_tensor(&column(half)) // [B, size]
        };
        let rows = covered(&self.places[0], Column::EraseHeight, Column::EraseMiddleY); // [B, H]
        let columns = covered(&self.places[1], Column::EraseWidth, Column::EraseMiddleX); // [B, W]
        rows.unsqueeze(1).unsqueeze(3).logical_and(&columns.unsqueeze(1).unsqueeze(1))
    }
}

/// The rows of [`Changes::drawn`] for some images.
fn drawn(config: &AugmentConfig, draws: &Draws, size: [i64; 2]) -> Tensor {
    let contrast = draws.around_zero(Draw::Contrast, config.contrast) + 1.0;
    let brightness = draws.around_zero(Draw::Brightness, config.brightness * 255.0);
    let columns = origins(config, draws, size).into_iter().chain([contrast, brightness]);
    Tensor::stack(&columns.chain(erasing(config, draws, size)).collect::<Vec<_>>(), 1)
}

/// Where pixels come from: the inverse of mirror, rotation, zoom and shift.
fn origins(config: &AugmentConfig, draws: &Draws, size: [i64; 2]) -> [Tensor; 6] {
    let [height, width] = size.map(|size| size as f64);
    let mirror = 1.0 - draws.unit(Draw::Flip).lt(config.flip).to_kind(Kind::Float) * 2.0;
    let angle = draws.around_zero(Draw::Rotate, config.rotate.to_radians());
    let zoom = draws.around_zero(Draw::Zoom, config.zoom) + 1.0;
    let (cos, sin) = (angle.cos() / &zoom, angle.sin() / &zoom);
    let shift_x = (draws.around_zero(Draw::ShiftX, config.shift) * width).round() * (2.0 / width);
    let shift_y = (draws.around_zero(Draw::ShiftY, config.shift) * height).round() * (2.0 / height);
    // libtorch's coordinates go from -1 to 1 along both sides, so a turn of a rectangle has its ratio in it
    [&cos * &mirror, &sin * (-height / width), shift_x, sin * mirror * (width / height), cos, shift_y]
}

/// What [`native::flip_and_shift`] takes, of images for which `drawn` was drawn without rotation and zoom: `i32 [N, 3]`.
fn moves(drawn: &Tensor, [height, width]: [i64; 2]) -> Tensor {
    let is_mirrored = drawn.select(1, 0).lt(0.0).to_kind(Kind::Float);
    // from libtorch's coordinates back to pixels
    let [right, down] = [(2, width), (5, height)].map(|(column, size)| drawn.select(1, column) * (size as f64 / 2.0));
    Tensor::stack(&[is_mirrored, right, down], 1).round().to_kind(Kind::Int)
}

/// The rectangle of one grey that is painted over an image: area and ratio of the sides as in the paper, cut off where it reaches
/// over the border.
fn erasing(config: &AugmentConfig, draws: &Draws, size: [i64; 2]) -> [Tensor; 5] {
    let [height, width] = size.map(|size| size as f64);
    let [smallest, largest] = ERASED_AREA;
    let area = draws.unit(Draw::EraseArea) * (largest - smallest) + smallest; // a share of the image
    let aspect = draws.around_zero(Draw::EraseAspect, ERASED_ASPECT.ln()).exp();
    let is_erased = draws.unit(Draw::Erase).lt(config.erase);
    let half_height = (&area * &aspect).sqrt() * (height / 2.0);
    let none = half_height.full_like(-1.0);
    let half_width = (area / aspect).sqrt() * (width / 2.0);
    let [middle_y, middle_x] =
        [(Draw::EraseY, height), (Draw::EraseX, width)].map(|(draw, size)| draws.unit(draw) * size);
    let grey = (draws.unit(Draw::EraseValue) * 256.0).floor();
    [half_height.where_self(&is_erased, &none), half_width, middle_y, middle_x, grey]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_pixels_move_as_libtorch_samples_them() {
        let numbers = Tensor::arange(64, (Kind::Int64, Device::Cpu));
        for text in [
            "flip=0.5",
            "shift=0.4",
            "light",
            "flip=0.5,shift=1",
            "light,brightness=0.2,erase=0.7",
            "flip=1,contrast=0.4",
            "light,erase=0.7",
        ] {
            for [height, width, channels] in [[28_i64, 28, 1], [7, 30, 3], [224, 96, 3], [5, 1, 2], [1, 9, 4]] {
                let sizes = [64, height, width, channels];
                let values = Tensor::arange(sizes.iter().product::<i64>(), (Kind::Int64, Device::Cpu));
                let images = (&values * &values).remainder(251).to_kind(Kind::Uint8).view(sizes);
                let mut changes = Changes::new(&text.parse().unwrap(), &numbers, 9, [height, width]).unwrap();
                assert!(changes.moves.is_some());
                let moved = changes.apply(&images, 0);
                let of_some = changes.apply(&images.narrow(0, 10, 3), 10);
                assert!(of_some.equal(&moved.narrow(0, 10, 3)), "{text} {sizes:?}");
                changes.moves = None;
                let sampled = changes.apply(&images, 0);
                // sampled values are whole up to rounding, and then added to and rounded
                let differences = (moved.to_kind(Kind::Float) - sampled.to_kind(Kind::Float)).abs();
                let (largest, num_different) =
                    (differences.max().double_value(&[]), differences.gt(0.0).sum(Kind::Int64));
                let num_allowed =
                    if text.contains("bright") || text.contains("contrast") { values.numel() as i64 / 1000 } else { 0 };
                assert!(largest <= 1.0 && num_different.int64_value(&[]) <= num_allowed, "{text} {sizes:?} {largest}");
            }
        }
        for text in ["rotate=1", "zoom=0.1,flip=0.5", "erase=1"] {
            assert!(Changes::new(&text.parse().unwrap(), &numbers, 9, [3, 3]).unwrap().moves.is_none(), "{text}");
        }
    }
}
