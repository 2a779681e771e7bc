//! The shape that the images of a list have in common.

use std::cmp::Reverse;
use std::collections::HashMap;

use rayon::prelude::*;

use super::image_list::{ImageList, Purpose};
use crate::data::image::ImageHeader;
use crate::data::stored::ImageSources;
use crate::data::{ImageShape, LoadOptions, size_text};
use crate::device::threads;
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
    let seen = headers_of(images.images.sources())?;
    let (own_size, own) = match seen.commonest_size() {
        Some(own) => own,
        // none can be read: a check says so of each, whatever its shape
        None if purpose == Purpose::Inspect => ((1, 1), 0),
        None => {
            let error = seen.unreadable.map(|(_, error)| error);
            return Err(
                error.unwrap_or_else(|| Error::data("there are no images").expected("at least one").got("none"))
            );
        }
    };
    let channels = options.channels.count().unwrap_or(if seen.has_colour { 3 } else { 1 });
    if let Some(size) = options.image_size {
        return Ok(ImageShape { height: size.height, width: size.width, channels });
    }
    match seen.first_of_another_size(own_size).filter(|_| purpose != Purpose::Inspect) {
        None => Ok(ImageShape { height: own_size.0, width: own_size.1, channels }),
        Some(other) => Err(sizes_differ(images, (own_size, own), other)),
    }
}

/// Height and width.
type Size = (usize, usize);

/// What the headers of some images say.
#[derive(Default)]
struct Headers {
    /// How many images have each size, and which is the first of them.
    sizes: HashMap<Size, (usize, usize)>,
    has_colour: bool,
    /// The first image that cannot be read, and why.
    unreadable: Option<(usize, Error)>,
}

impl Headers {
    fn add(mut self, index: usize, header: Result<ImageHeader>) -> Self {
        match header {
            Ok(ImageHeader { shape, .. }) => {
                self.has_colour |= shape.channels == 3;
                self.count((shape.height, shape.width), (1, index));
            }
            Err(error) => self.unreadable = earlier(self.unreadable, Some((index, error))),
        }
        self
    }

    fn and(mut self, other: Headers) -> Self {
        other.sizes.into_iter().for_each(|(size, counted)| self.count(size, counted));
        self.has_colour |= other.has_colour;
        self.unreadable = earlier(self.unreadable, other.unreadable);
        self
    }

    fn count(&mut self, size: Size, (count, first): (usize, usize)) {
        let all = self.sizes.entry(size).or_insert((0, first));
        *all = (all.0 + count, all.1.min(first));
    }

    /// The size that most have (of two, the one that comes first) and its first image; `None` where there is none.
    fn commonest_size(&self) -> Option<(Size, usize)> {
        let (size, (_, first)) = self.sizes.iter().max_by_key(|(_, (count, first))| (*count, Reverse(*first)))?;
        Some((*size, *first))
    }

    /// The first image that has another size than `own`, behind that.
    fn first_of_another_size(&self, own: Size) -> Option<(Size, usize)> {
        let others = self.sizes.iter().filter(|(size, _)| **size != own);
        others.map(|(size, (_, first))| (*size, *first)).min_by_key(|(_, first)| *first)
    }
}

fn earlier(a: Option<(usize, Error)>, b: Option<(usize, Error)>) -> Option<(usize, Error)> {
    a.into_iter().chain(b).min_by_key(|(index, _)| *index)
}

/// What the headers of `images` say, read by the pool's threads.
fn headers_of(images: &ImageSources) -> Result<Headers> {
    let add = |seen: Headers, index: usize| match images.get(index) {
        Some(image) => seen.add(index, image.header()),
        None => seen,
    };
    threads::install(|| {
        (0..images.len()).into_par_iter().fold(Headers::default, add).reduce(Headers::default, Headers::and)
    })
}

fn sizes_differ(images: &ImageList, own: (Size, usize), other: (Size, usize)) -> Error {
    let tell = |((height, width), index): (Size, usize)| {
        let name = images.images.sources().get(index).map(|image| image.to_string()).unwrap_or_default();
        format!("{} in {name}", size_text(width, height))
    };
    Error::data("the images differ in size").expected(tell(own)).got(tell(other)).help(
        "choose one size for all with `image_size`, and with `resize` how they come to it; or leave out what convnet data \
         check lists with `exclude`",
    )
}
