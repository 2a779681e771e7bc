//! How numbers are distributed, in buckets of equal width.

/// How the numbers of a weight, or of its gradient, are distributed.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// What TensorBoard calls it: `<layer>/<weight>/histogram`, with Keras's names.
    pub tag: String,
    /// The lower border of the first bucket.
    pub min: f64,
    /// The upper border of the last bucket.
    pub max: f64,
    /// Of all numbers.
    pub sum: f64,
    /// Of all numbers' squares.
    pub sum_squares: f64,
    /// How many numbers each bucket has; all are equally wide.
    pub counts: Vec<f64>,
}
