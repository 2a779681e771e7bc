//! What an image looks like in a few numbers, cheap enough for every prediction: how bright, how varied, how smooth.

/// The names of the numbers that do not depend on the channels.
const NAMES: [&str; 8] = ["edges", "bend", "border", "highest", "lowest", "dark", "bright", "flat"];
/// A step of brightness that nobody sees: a level and a half of 256.
const STEP: f32 = 1.5 / 255.0;
/// How far below the brightest pixel counts as bright.
const BRIGHT: f32 = 8.0 / 255.0;

/// The names of what [`look`] gives for images of `channels`, in its order:
/// - `mean_<c>`, `deviation_<c>`: of the pixels of channel c
/// - `edges`: the mean difference between neighbours, across plus down
/// - `bend`: the mean second difference across, which noise has most of
/// - `border`: the mean of the outermost pixels
/// - `highest`, `lowest`: the brightest and the darkest value
/// - `dark`: the share of values within a step of 0; `bright`: that within eight of the brightest; `flat`: that of neighbours across
///   that differ by no more than a step
pub fn names(channels: usize) -> Vec<String> {
    let of_channels =
        ["mean", "deviation"].into_iter().flat_map(|name| (0..channels).map(move |c| format!("{name}_{c}")));
    of_channels.chain(NAMES.map(str::to_owned)).collect()
}

/// The numbers of an image `[H, W, C]`, row-major, of values from 0 to 1 (others are taken as they are). `shape` is H, W, C, none of
/// them 0.
pub fn look(values: &[f32], [height, width, channels]: [usize; 3]) -> Vec<f32> {
    let count = values.len().max(1) as f32;
    let at = |y: usize, x: usize, c: usize| values[(y * width + x) * channels + c];
    let mut numbers = Vec::with_capacity(2 * channels + NAMES.len());
    let of_channel = |c: usize| values.iter().skip(c).step_by(channels);
    let means: Vec<f32> = (0..channels).map(|c| of_channel(c).sum::<f32>() / (count / channels as f32)).collect();
    let deviation = |c: usize| {
        let squares: f32 = of_channel(c).map(|value| (value - means[c]).powi(2)).sum();
        (squares / (count / channels as f32)).sqrt()
    };
    numbers.extend(&means);
    numbers.extend((0..channels).map(deviation));
    let (mut across, mut down, mut bend, mut border) =
        (Mean::default(), Mean::default(), Mean::default(), Mean::default());
    let mut flat = Mean::default();
    for (y, x, c) in places([height, width, channels]) {
        let value = at(y, x, c);
        if x + 1 < width {
            let difference = (at(y, x + 1, c) - value).abs();
            across.add(difference);
            flat.add(f32::from(difference <= STEP));
        }
        if y + 1 < height {
            down.add((at(y + 1, x, c) - value).abs());
        }
        if x + 2 < width {
            bend.add((at(y, x + 2, c) - 2.0 * at(y, x + 1, c) + value).abs());
        }
        if y == 0 || x == 0 || y + 1 == height || x + 1 == width {
            border.add(value);
        }
    }
    let highest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let lowest = values.iter().copied().fold(f32::INFINITY, f32::min);
    let share =
        |is_counted: &dyn Fn(f32) -> bool| values.iter().filter(|value| is_counted(**value)).count() as f32 / count;
    let (dark, bright) = (share(&|value| value <= STEP), share(&|value| value >= highest - BRIGHT));
    numbers.extend([
        across.value() + down.value(),
        bend.value(),
        border.value(),
        highest,
        lowest,
        dark,
        bright,
        flat.value(),
    ]);
    numbers
}

/// Row, column and channel of every value.
fn places([height, width, channels]: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..height).flat_map(move |y| (0..width).flat_map(move |x| (0..channels).map(move |c| (y, x, c))))
}

/// A mean under way; 0 of nothing.
#[derive(Default)]
struct Mean {
    sum: f32,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: f32) {
        self.sum += value;
        self.count += 1;
    }

    fn value(&self) -> f32 {
        self.sum / self.count.max(1) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f32], shape: [usize; 3]) -> std::collections::HashMap<String, f32> {
        names(shape[2]).into_iter().zip(look(values, shape)).collect()
    }

    #[test]
    fn the_numbers_are_what_they_are_called() {
        // 2 x 3 grey: 0 0.5 1 / 0 0 1
        let look = of(&[0.0, 0.5, 1.0, 0.0, 0.0, 1.0], [2, 3, 1]);
        let expected = [
            ("mean_0", 2.5 / 6.0),
            ("deviation_0", (2.25f32 / 6.0 - (2.5f32 / 6.0).powi(2)).sqrt()),
            ("edges", (0.5 + 0.5 + 0.0 + 1.0) / 4.0 + 0.5 / 3.0),
            ("bend", (0.0 + 1.0) / 2.0),
            ("border", 2.5 / 6.0),
            ("highest", 1.0),
            ("lowest", 0.0),
            ("dark", 0.5),
            ("bright", 2.0 / 6.0),
            ("flat", 0.25),
        ];
        assert_eq!(look.len(), expected.len());
        for (name, value) in expected {
            assert!((look[name] - value).abs() < 1e-6, "{name}: {} and not {value}", look[name]);
        }
    }

    #[test]
    fn each_channel_has_its_own_mean() {
        let look = of(&[0.0, 0.2, 1.0, 1.0, 0.4, 1.0], [1, 2, 3]);
        assert!((look["mean_0"] - 0.5).abs() < 1e-6 && (look["mean_1"] - 0.3).abs() < 1e-6);
        assert!((look["deviation_0"] - 0.5).abs() < 1e-6 && look["deviation_2"] == 0.0);
        assert!(of(&[0.3], [1, 1, 1]).values().all(|value| value.is_finite()), "one pixel has no neighbours");
    }
}
