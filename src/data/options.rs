//! How a data set is loaded: the shape its images get, which are left out, where they are kept.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strum::{Display, EnumMessage, EnumString, VariantArray};

use super::image::{Decode, Preprocessing, Resize};
use crate::error::{Error, Result};
use crate::settings::Absent;

/// How a data set is loaded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoadOptions {
    /// The images' size; their own, which then has to be the same for all, where it is `None`.
    pub image_size: Option<ImageSize>,
    /// The images' channels.
    pub channels: Channels,
    /// What becomes of images of another size.
    pub resize: Resize,
    /// How JPEG files are decoded that are much larger than that.
    pub decode: Decode,
    /// A CSV of images to leave out, as `convnet data check` writes it.
    pub exclude: Option<PathBuf>,
    /// Where the images are kept.
    pub cache: Cache,
}

impl LoadOptions {
    /// What absent settings stand for.
    pub const ABSENT: &[Absent] = &[("image_size", "the images' own size, if all have the same"), ("exclude", "none")];

    /// As a model needs its images.
    pub fn of_model(preparation: Preprocessing) -> Self {
        let Preprocessing { shape, resize, decode } = preparation;
        let channels = if shape.channels == 1 { Channels::Grayscale } else { Channels::Rgb };
        let image_size = Some(ImageSize { height: shape.height, width: shape.width });
        LoadOptions { image_size, channels, resize, decode, ..LoadOptions::default() }
    }
}

/// Height and width, written `HxW`, or one number for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSize {
    /// H, in pixels.
    pub height: usize,
    /// W, in pixels.
    pub width: usize,
}

impl FromStr for ImageSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (height, width) = text.split_once(['x', 'X', '×']).unwrap_or((text, text));
        match (height.parse(), width.parse()) {
            (Ok(height @ 1..), Ok(width @ 1..)) => Ok(ImageSize { height, width }),
            _ => Err(Error::config("that is no size of an image")
                .expected("pixels, as 32, or height and width, as 28x32")
                .got(format!("\"{text}\""))),
        }
    }
}

impl fmt::Display for ImageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.height == self.width {
            true => write!(f, "{}", self.height),
            false => write!(f, "{}x{}", self.height, self.width),
        }
    }
}

/// How many channels the images get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Channels {
    /// 3 where an image has colours, else 1.
    #[default]
    Auto,
    /// 1.
    Grayscale,
    /// 3: red, green and blue.
    Rgb,
}

impl Channels {
    /// The number, where it does not depend on the images.
    pub fn count(self) -> Option<usize> {
        match self {
            Channels::Auto => None,
            Channels::Grayscale => Some(1),
            Channels::Rgb => Some(3),
        }
    }
}

impl FromStr for Channels {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Channels::Auto),
            "1" => Ok(Channels::Grayscale),
            "3" => Ok(Channels::Rgb),
            _ => {
                let got = format!("\"{text}\"");
                Err(Error::config("images cannot get so many channels").expected("1, 3 or auto").got(got))
            }
        }
    }
}

impl fmt::Display for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Channels::Auto => "auto",
            Channels::Grayscale => "1",
            Channels::Rgb => "3",
        })
    }
}

/// Where the images of a data set are kept while it is used.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Display, EnumMessage, EnumString, VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Cache {
    /// On the device up to 4 GiB of pixels, else decoded anew in each epoch.
    #[default]
    Auto,
    /// Decoded once, on the device.
    Device,
    /// Decoded once, in memory.
    Ram,
    /// Decoded once, into a file of the cache folder.
    Disk,
    /// Decoded anew in each epoch, from their files.
    None,
}

impl Cache {
    /// The most bytes of pixels, over all splits, that [`Cache::Auto`] keeps.
    pub const MAX_AUTO_BYTES: usize = 4 << 30;
}

/// Text or a whole number, as a configuration file may have it.
#[derive(Deserialize)]
#[serde(untagged)]
enum SizeValue {
    Number(u64),
    Text(String),
}

impl SizeValue {
    fn parse<T: FromStr<Err = Error>, E: serde::de::Error>(self) -> Result<T, E> {
        match self {
            SizeValue::Number(number) => number.to_string().parse(),
            SizeValue::Text(text) => text.parse(),
        }
        .map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for ImageSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SizeValue::deserialize(deserializer)?.parse()
    }
}

impl Serialize for ImageSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Channels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SizeValue::deserialize(deserializer)?.parse()
    }
}

impl Serialize for Channels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
