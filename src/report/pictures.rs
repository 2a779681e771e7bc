//! Images of a data set within a page.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;
use image::imageops::{self, FilterType};

use super::split_scores::SplitScores;
use crate::data::grid::png_bytes;
use crate::data::{ImageShape, Samples};
use crate::drawing::escaped;
use crate::error::{Error, Result};
use crate::run::suspects::Suspects;

/// Mistakes on a page.
const SHOWN: usize = 24;
/// The longest side of an image on a page, in pixels; smaller ones stay as they are, and the page enlarges them.
const MAX_SIDE_PX: usize = 160;

/// The mistakes that the model is surest of, as a list of pictures with words; `labels` are the K names.
///
/// # Errors
/// A data error where an image cannot be read or shown.
pub fn mistakes(scores: &SplitScores, samples: &Samples, labels: &[String]) -> Result<String> {
    let predictions = &scores.predictions;
    let mut list = "<ul class=\"pictures\">\n".to_owned();
    for &index in predictions.mistakes().iter().take(SHOWN) {
        let [said, truth] =
            [predictions.classes[index], predictions.labels[index]].map(|class| escaped(&labels[class]));
        let sure = match predictions.has_probabilities() {
            true => format!("{:.1} % sure", 100.0 * predictions.confidence(index)),
            false => String::new(),
        };
        let _ = writeln!(
            list,
            "<li><img src=\"{}\" alt=\"{} image {index}: {truth}, taken for {said}\"><b>{said}</b><br>is {truth}<br>\
             <small>{sure} · {index}</small></li>",
            data_uri(samples.shape(), &samples.image(index)?)?,
            scores.split,
        );
    }
    Ok(list + "</ul>\n")
}

/// The training images whose labels are most suspicious, as a list of pictures with words.
///
/// # Errors
/// A data error where an image cannot be read or shown.
pub fn suspects(suspects: &Suspects) -> Result<String> {
    let samples = &suspects.samples;
    let mut list = "<ul class=\"pictures\">\n".to_owned();
    for suspect in suspects.first(SHOWN) {
        let [label, suggested] = [&suspect.label, &suspect.suggested].map(|text| escaped(text));
        let index = suspect.index;
        let _ = writeln!(
            list,
            "<li><img src=\"{}\" alt=\"training image {index}: labelled {label}, perhaps {suggested}\"><b>{label}</b><br>\
             perhaps {suggested}<br><small>{:.1} · {index}</small></li>",
            data_uri(samples.shape(), &samples.image(suspect.place)?)?,
            suspect.score,
        );
    }
    Ok(list + "</ul>\n")
}

/// An image, `u8 [H, W, C]`, as a page holds it.
fn data_uri(shape: ImageShape, pixels: &[u8]) -> Result<String> {
    let rgb = match shape.channels {
        1 => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        3 => pixels.to_vec(),
        _ => return Err(Error::data("images of 1 or 3 channels can be shown").got(shape)),
    };
    let image = RgbImage::from_raw(shape.width as u32, shape.height as u32, rgb);
    let mut image = image.ok_or_else(|| Error::data("an image has another size than the others").expected(shape))?;
    let longer = shape.width.max(shape.height);
    if longer > MAX_SIDE_PX {
        let side = |length: usize| ((length * MAX_SIDE_PX / longer) as u32).max(1);
        image = imageops::resize(&image, side(shape.width), side(shape.height), FilterType::Triangle);
    }
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(png_bytes(&image)?)))
}
