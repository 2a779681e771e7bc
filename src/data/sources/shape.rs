//! The shape that the images of a list have in common.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::image_list::{ImageList, Purpose};
use crate::data::{ImageShape, LoadOptions, size_text};
use crate::error::{Error, Result};
use crate::files::cache;

/// From so many images on it pays to keep what their headers said: 200,000 take seconds.
const MIN_INDEXED: usize = 10_000;

/// The shape of `images`' pixels: as `options` say, and where they do not, as all images have it. Images that cannot be read
/// are passed over: whoever decodes them says so.
pub(super) fn common_shape(images: &ImageList, options: &LoadOptions, purpose: Purpose) -> Result<ImageShape> {
    if let (Some(size), Some(channels)) = (options.image_size, options.channels.count()) {
        return Ok(ImageShape { height: size.height, width: size.width, channels });
    }
    let index = (images.images.len() >= MIN_INDEXED).then(|| images.index_path(options)).flatten();
    if let Some(shape) = index.as_deref().and_then(cache::read_json) {
        return Ok(shape);
    }
    let shape = find_shape(images, options, purpose)?;
    // a shape that not all images have is not for those who come next
    if let Some(path) = index.filter(|_| purpose != Purpose::Inspect) {
        cache::keep_json(&path, &shape);
    }
    Ok(shape)
}

/// As [`common_shape`], from every image's header.
fn find_shape(images: &ImageList, options: &LoadOptions, purpose: Purpose) -> Result<ImageShape> {
    let headers = images.headers()?;
    let shapes: Vec<(usize, ImageShape)> =
        headers.iter().enumerate().filter_map(|(at, header)| Some((at, header.as_ref().ok()?.shape))).collect();
    let own = match commonest_size(&shapes) {
        Some(own) => own,
        // none can be read: a check says so of each, whatever its shape
        None if purpose == Purpose::Inspect => (0, ImageShape { height: 1, width: 1, channels: 1 }),
        None => {
            let error = headers.into_iter().find_map(Result::err);
            return Err(
                error.unwrap_or_else(|| Error::data("there are no images").expected("at least one").got("none"))
            );
        }
    };
    let has_colour = shapes.iter().any(|(_, shape)| shape.channels == 3);
    let channels = options.channels.count().unwrap_or(if has_colour { 3 } else { 1 });
    if let Some(size) = options.image_size {
        return Ok(ImageShape { height: size.height, width: size.width, channels });
    }
    let other = shapes.iter().find(|(_, shape)| size_of(*shape) != size_of(own.1));
    match other.filter(|_| purpose != Purpose::Inspect) {
        None => Ok(ImageShape { channels, ..own.1 }),
        Some(other) => Err(sizes_differ(images, own, *other)),
    }
}

fn size_of(shape: ImageShape) -> (usize, usize) {
    (shape.height, shape.width)
}

/// The first image of the size that most have (of two, the one that comes first); `None` where there is none.
fn commonest_size(shapes: &[(usize, ImageShape)]) -> Option<(usize, ImageShape)> {
    let mut counts: HashMap<(usize, usize), (usize, Reverse<usize>)> = HashMap::new();
    for (place, (_, shape)) in shapes.iter().enumerate() {
        counts.entry(size_of(*shape)).or_insert((0, Reverse(place))).0 += 1;
    }
    let (_, Reverse(place)) = counts.into_values().max()?;
    Some(shapes[place])
}

fn sizes_differ(images: &ImageList, own: (usize, ImageShape), other: (usize, ImageShape)) -> Error {
    let tell = |(at, shape): (usize, ImageShape)| {
        format!("{} in {}", size_text(shape.width, shape.height), images.images[at].image)
    };
    Error::data("the images differ in size").expected(tell(own)).got(tell(other)).help(
        "choose one size for all with `image_size`, and with `resize` how they come to it; or leave out what convnet data \
         check lists with `exclude`",
    )
}
