//! A pen that writes one digit: glyph, then a writer's hand, then ink on a grid of pixels.
//!
//! Every step is exact or correctly rounded by IEEE 754 (`+ - * /`, `sqrt`) or comes from the `libm` crate, whose results do
//! not depend on the machine: the same bytes everywhere.

use std::ops::{Add, Mul, Sub};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::glyphs::{Glyph, Node, Stroke, ways_of_writing};
use crate::rng::{below, uniform};

/// Height and width of every image, in pixels.
pub(super) const SIDE: usize = 28;
/// Bytes of one image.
pub(super) const IMAGE_BYTES: usize = SIDE * SIDE;
/// Straight pieces drawn for each curve from one node to the next: their bends are far below a pixel.
const PIECES_PER_CURVE: usize = 6;

/// What lies between a stroke's edge and the image's, in pixels: enough that no soft edge reaches the outermost pixels.
const MARGIN_PX: f32 = 1.5;

/// The least distance of two nodes that is taken for one, in grid units: nodes may meet by chance.
const LEAST_LENGTH: f32 = 1e-3;

#[derive(Debug, Clone, Copy)]
struct Point {
    x: f32,
    y: f32,
}

impl Add for Point {
    type Output = Point;

    fn add(self, other: Point) -> Point {
        Point { x: self.x + other.x, y: self.y + other.y }
    }
}

impl Sub for Point {
    type Output = Point;

    fn sub(self, other: Point) -> Point {
        Point { x: self.x - other.x, y: self.y - other.y }
    }
}

impl Mul<f32> for Point {
    type Output = Point;

    fn mul(self, factor: f32) -> Point {
        Point { x: self.x * factor, y: self.y * factor }
    }
}

impl Point {
    fn dot(self, other: Point) -> f32 {
        self.x * other.x + self.y * other.y
    }

    fn length(self) -> f32 {
        self.dot(self).sqrt()
    }
}

/// The points of each stroke, joined by straight pieces.
type Path = Vec<Vec<Point>>;

/// Draws `digit` (0 to 9) in a random hand: white ink on `pixels`, `u8 [28, 28]`, which must be 784 bytes.
pub(super) fn draw(digit: usize, rng: &mut ChaCha8Rng, pixels: &mut [u8]) {
    let ways = ways_of_writing(digit);
    let glyph = ways[below(rng, ways.len() as u64) as usize];
    let mut path = trace(glyph, rng);
    Warp::random(rng).apply(&mut path);
    let length_px = uniform(rng, 14.0, 21.0);
    let pen = Pen::random(length_px, rng);
    fit(&mut path, length_px, pen.radius_px, rng);
    pen.ink(&path, rng, pixels);
}

/// A random number with a bell-shaped distribution around 0: standard deviation `deviation`, never beyond three of them.
fn bell(rng: &mut ChaCha8Rng, deviation: f32) -> f32 {
    let sum: f32 = (0..3).map(|_| uniform(rng, -1.0, 1.0)).sum();
    sum * deviation
}

/// The glyph's curves with every node moved a little, in grid units.
fn trace(glyph: Glyph, rng: &mut ChaCha8Rng) -> Path {
    let jitter = uniform(rng, 1.5, 5.5);
    glyph.iter().map(|stroke| trace_stroke(stroke, jitter, rng)).collect()
}

fn trace_stroke(stroke: Stroke, jitter: f32, rng: &mut ChaCha8Rng) -> Vec<Point> {
    let mut moved = |node: &Node| Point { x: node.x + bell(rng, jitter), y: node.y + bell(rng, jitter) };
    let nodes: Vec<Point> = stroke.iter().map(&mut moved).collect();
    let mut points = vec![nodes[0]];
    let mut start = 0;
    for end in 1..nodes.len() {
        if stroke[end].is_corner || end + 1 == nodes.len() {
            trace_curve(&nodes[start..=end], &mut points);
            start = end;
        }
    }
    points
}

/// Appends a smooth curve through `nodes` (two or more): cubic Hermite pieces. The direction at an inner node is that of the
/// line between its neighbours; at the ends it is mirrored, so that the piece resembles an arc.
fn trace_curve(nodes: &[Point], points: &mut Vec<Point>) {
    let last = nodes.len() - 1;
    let chord = |from: usize| nodes[from + 1] - nodes[from];
    let inner = |node: usize| {
        let around = chord(node - 1).length() + chord(node).length();
        (nodes[node + 1] - nodes[node - 1]) * (1.0 / around.max(LEAST_LENGTH))
    };
    for piece in 0..last {
        let length = chord(piece).length();
        let straight = chord(piece) * (1.0 / length.max(LEAST_LENGTH));
        let before = (piece > 0).then(|| inner(piece));
        let after = (piece + 1 < last).then(|| inner(piece + 1));
        let mirrored = |other: Option<Point>| other.map_or(straight, |other| straight * 2.0 - other);
        let leave = before.unwrap_or_else(|| mirrored(after)) * length;
        let arrive = after.unwrap_or_else(|| mirrored(before)) * length;
        for step in 1..=PIECES_PER_CURVE {
            let t = step as f32 / PIECES_PER_CURVE as f32;
            let (t2, t3) = (t * t, t * t * t);
            let ends = nodes[piece] * (2.0 * t3 - 3.0 * t2 + 1.0) + nodes[piece + 1] * (3.0 * t2 - 2.0 * t3);
            let bends = leave * (t3 - 2.0 * t2 + t) + arrive * (t3 - t2);
            points.push(ends + bends);
        }
    }
}

/// How a hand deforms the shape it means to write: waves (the elastic part), then a linear map.
struct Warp {
    waves: [Wave; 3],
    /// The matrix's rows: each gives one new coordinate from the old x and y. Width, then shear, then rotation.
    rows: [Point; 2],
}

/// A displacement that varies over the grid as a sine does.
struct Wave {
    /// Radians for each grid unit.
    frequency: Point,
    /// Radians.
    phase: f32,
    /// The largest displacement, in grid units.
    shift: Point,
}

impl Warp {
    fn random(rng: &mut ChaCha8Rng) -> Self {
        let mut wave = || Wave {
            frequency: Point { x: uniform(rng, -0.06, 0.06), y: uniform(rng, -0.06, 0.06) },
            phase: uniform(rng, 0.0, std::f32::consts::TAU),
            shift: Point { x: bell(rng, 2.6), y: bell(rng, 2.6) },
        };
        let waves = [wave(), wave(), wave()];
        let angle = bell(rng, 0.13);
        let shear = bell(rng, 0.2) - 0.08;
        let width = uniform(rng, 0.6, 1.05);
        let (sin, cos) = (libm::sinf(angle), libm::cosf(angle));
        let rows = [Point { x: cos * width, y: cos * shear - sin }, Point { x: sin * width, y: sin * shear + cos }];
        Warp { waves, rows }
    }

    fn apply(&self, path: &mut Path) {
        for point in path.iter_mut().flatten() {
            let bent = self
                .waves
                .iter()
                .fold(*point, |sum, wave| sum + wave.shift * libm::sinf(wave.frequency.dot(*point) + wave.phase));
            *point = Point { x: self.rows[0].dot(bent), y: self.rows[1].dot(bent) };
        }
    }
}

/// Scales the path to pixels, its longer side to `length_px`, and puts it near the middle. `length_px`, the pen and the
/// margin together must fit the image.
fn fit(path: &mut Path, length_px: f32, radius_px: f32, rng: &mut ChaCha8Rng) {
    let start = Point { x: f32::MAX, y: f32::MAX };
    let (mut low, mut high) = (start, start * -1.0);
    for point in path.iter().flatten() {
        low = Point { x: low.x.min(point.x), y: low.y.min(point.y) };
        high = Point { x: high.x.max(point.x), y: high.y.max(point.y) };
    }
    let extent = high - low;
    let border_px = radius_px + MARGIN_PX;
    let room_px = SIDE as f32 - 2.0 * border_px;
    let scale = length_px / extent.x.max(extent.y);
    let mut place = |extent: f32| {
        let free_px = room_px - extent * scale;
        border_px + (0.5 * free_px + bell(rng, 1.4)).clamp(0.0, free_px)
    };
    let offset = Point { x: place(extent.x), y: place(extent.y) };
    for point in path.iter_mut().flatten() {
        *point = (*point - low) * scale + offset;
    }
}

/// What the pen leaves on the paper.
struct Pen {
    /// Half the widest width of a stroke.
    radius_px: f32,
    /// The part of the width that a stroke lacks at its end; where negative, at its beginning.
    taper: f32,
    /// Width of the soft edge, from full ink to none.
    edge_px: f32,
    /// Full ink, 255 being white.
    ink: f32,
    /// How uneven the ink is: standard deviation, 255 being white.
    grain: f32,
    /// Noise everywhere: standard deviation, 255 being white. Half of it is lost on black.
    noise: f32,
}

impl Pen {
    /// A pen that suits digits of `length_px`: loops should stay open.
    fn random(length_px: f32, rng: &mut ChaCha8Rng) -> Self {
        Pen {
            radius_px: length_px * uniform(rng, 0.05, 0.09),
            taper: uniform(rng, -0.4, 0.4),
            edge_px: uniform(rng, 0.9, 2.0),
            ink: uniform(rng, 170.0, 270.0),
            grain: uniform(rng, 0.0, 20.0),
            noise: uniform(rng, 0.0, 8.0),
        }
    }

    /// Draws `path` (in pixels) on black.
    fn ink(&self, path: &Path, rng: &mut ChaCha8Rng, pixels: &mut [u8]) {
        let mut depths = [f32::MIN; IMAGE_BYTES];
        for stroke in path {
            let num_pieces = stroke.len() as f32;
            for (number, piece) in stroke.windows(2).enumerate() {
                let progress = number as f32 / num_pieces;
                let lost = if self.taper < 0.0 { -self.taper * (1.0 - progress) } else { self.taper * progress };
                self.deepen(&mut depths, piece[0], piece[1], self.radius_px * (1.0 - lost));
            }
        }
        for (pixel, depth) in pixels.iter_mut().zip(depths) {
            let edge = (depth / self.edge_px + 0.5).clamp(0.0, 1.0);
            let cover = edge * edge * (3.0 - 2.0 * edge);
            let grey = cover * (self.ink + self.grain * pixel_bell(rng)) + self.noise * pixel_bell(rng);
            *pixel = grey.clamp(0.0, 255.0) as u8;
        }
    }

    /// Raises each pixel's depth (how far inside the ink its centre lies, in pixels; negative outside) to that in one
    /// straight piece of a stroke. Pixels beyond its soft edge are left alone.
    fn deepen(&self, depths: &mut [f32; IMAGE_BYTES], from: Point, to: Point, radius_px: f32) {
        let reach = radius_px + self.edge_px;
        let along = to - from;
        let per_length = 1.0 / along.dot(along).max(1e-6);
        let range = |a: f32, b: f32| {
            let first = (a.min(b) - reach).max(0.0) as usize;
            first..((a.max(b) + reach).max(0.0) as usize + 1).min(SIDE)
        };
        for row in range(from.y, to.y) {
            for column in range(from.x, to.x) {
                let centre = Point { x: column as f32 + 0.5, y: row as f32 + 0.5 };
                let offset = centre - from;
                let t = (offset.dot(along) * per_length).clamp(0.0, 1.0);
                let depth = radius_px - (offset - along * t).length();
                let old = &mut depths[row * SIDE + column];
                *old = old.max(depth);
            }
        }
    }
}

/// As [`bell`] with deviation 1, but fast and coarse: the number of ones among 32 random bits.
fn pixel_bell(rng: &mut ChaCha8Rng) -> f32 {
    // 32 fair bits: mean 16, standard deviation sqrt(8)
    (rng.next_u32().count_ones() as f32 - 16.0) * 0.353_553_4
}

#[cfg(test)]
mod tests;
