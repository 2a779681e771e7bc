//! What augmentation does, as users say it: a preset, single amounts, or both.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, nearest};

/// How much training images are changed; 0 leaves an effect out.
///
/// As text: `none`, `light`, `strong`, or amounts such as `flip=0.5,shift=0.1`; after a preset, amounts replace its own:
/// `light,flip=0`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AugmentConfig {
    /// The probability of a mirror image, left for right.
    pub flip: f64,
    /// The largest shift each way, as a share of height and of width. Shifts are by whole pixels.
    pub shift: f64,
    /// The largest angle each way, in degrees.
    pub rotate: f64,
    /// The largest change of size: a factor from 1 - zoom to 1 + zoom.
    pub zoom: f64,
    /// The largest change of all pixels alike, as a share of the range from 0 to 255.
    pub brightness: f64,
    /// The largest change of contrast: differences from a channel's mean are multiplied by 1 - contrast to 1 + contrast.
    pub contrast: f64,
    /// The probability that a rectangle is painted over.
    pub erase: f64,
    /// The α of mixup's Beta distribution.
    pub mixup: f64,
    /// The α of cutmix's Beta distribution.
    pub cutmix: f64,
}

const NONE: AugmentConfig = AugmentConfig {
    flip: 0.0,
    shift: 0.0,
    rotate: 0.0,
    zoom: 0.0,
    brightness: 0.0,
    contrast: 0.0,
    erase: 0.0,
    mixup: 0.0,
    cutmix: 0.0,
};
const LIGHT: AugmentConfig = AugmentConfig { flip: 0.5, shift: 0.04, ..NONE };
const STRONG: AugmentConfig =
    AugmentConfig { shift: 0.1, rotate: 10.0, zoom: 0.1, brightness: 0.1, contrast: 0.2, erase: 0.25, ..LIGHT };
const PRESETS: [(&str, AugmentConfig); 3] = [("none", NONE), ("light", LIGHT), ("strong", STRONG)];
const KEYS: [&str; 9] = ["flip", "shift", "rotate", "zoom", "brightness", "contrast", "erase", "mixup", "cutmix"];

impl AugmentConfig {
    /// Whether nothing is changed.
    pub fn is_none(&self) -> bool {
        *self == NONE
    }

    /// Whether the places of pixels change.
    pub(super) fn moves_pixels(&self) -> bool {
        self.flip > 0.0 || self.shift > 0.0 || self.turns_or_zooms()
    }

    /// Whether pixels come from between others.
    pub(super) fn turns_or_zooms(&self) -> bool {
        self.rotate > 0.0 || self.zoom > 0.0
    }

    /// Whether single images change; mixing changes pairs.
    pub(super) fn changes_images(&self) -> bool {
        self.moves_pixels() || self.changes_values()
    }

    /// Whether the values of pixels change, wherever they go.
    pub(super) fn changes_values(&self) -> bool {
        self.brightness > 0.0 || self.contrast > 0.0 || self.erase > 0.0
    }

    fn amount(&mut self, key: &str) -> Option<&mut f64> {
        Some(match key {
            "flip" => &mut self.flip,
            "shift" => &mut self.shift,
            "rotate" => &mut self.rotate,
            "zoom" => &mut self.zoom,
            "brightness" => &mut self.brightness,
            "contrast" => &mut self.contrast,
            "erase" => &mut self.erase,
            "mixup" => &mut self.mixup,
            "cutmix" => &mut self.cutmix,
            _ => return None,
        })
    }

    fn set(&mut self, word: &str) -> Result<()> {
        let refused = |expected: &str| Error::config("the augmentation cannot be used").expected(expected).got(word);
        let (key, value) = word.split_once('=').ok_or_else(|| {
            let names: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).chain(KEYS).collect();
            refused(&format!("none, light, strong, or amounts such as flip=0.5{}", nearest(word, &names)))
        })?;
        let (key, value) = (key.trim(), value.trim());
        let largest = match key {
            "rotate" => 180.0,
            "mixup" | "cutmix" => 100.0,
            "zoom" => 0.9,
            _ => 1.0,
        };
        let amount =
            self.amount(key).ok_or_else(|| refused(&format!("one of {}{}", KEYS.join(", "), nearest(key, &KEYS))))?;
        *amount = value
            .parse()
            .ok()
            .filter(|value| (0.0..=largest).contains(value))
            .ok_or_else(|| refused(&format!("{key} from 0 to {largest}")))?;
        Ok(())
    }
}

impl FromStr for AugmentConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut words = text.split(',').map(str::trim).peekable();
        let preset = words.peek().and_then(|word| PRESETS.iter().find(|(name, _)| name == word));
        let mut config = match preset {
            Some((_, preset)) => {
                words.next();
                *preset
            }
            None => NONE,
        };
        words.try_for_each(|word| config.set(word))?;
        Ok(config)
    }
}

impl fmt::Display for AugmentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = PRESETS.iter().find(|(_, preset)| preset == self) {
            return f.write_str(name);
        }
        let mut amounts = *self;
        let words = KEYS.iter().filter_map(|key| {
            let amount = *amounts.amount(key).expect("every key has an amount");
            (amount != 0.0).then(|| format!("{key}={amount}"))
        });
        f.write_str(&words.collect::<Vec<_>>().join(","))
    }
}

impl TryFrom<String> for AugmentConfig {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<AugmentConfig> for String {
    fn from(config: AugmentConfig) -> String {
        config.to_string()
    }
}

#[cfg(test)]
mod tests;
