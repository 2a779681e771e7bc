//! How sure a share is that was counted.

/// The 97.5 % point of the standard normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;

/// Wilson's 95 % score interval for `correct` of `count` (Wilson, JASA 1927).
pub fn wilson_interval(correct: u64, count: u64) -> [f64; 2] {
    let n = count as f64;
    let p = correct as f64 / n;
    let z2 = Z_95 * Z_95;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z_95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    [(centre - half).max(0.0), (centre + half).min(1.0)]
}
