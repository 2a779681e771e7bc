//! Files and folders that hold a data set, in the forms that people have.

mod archive;
mod cifar;
pub(super) mod class_names;
mod exclude;
mod folders;
mod labelled;
mod manifest;
mod npz;
mod table;
mod tree;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::image::Preprocessing;
use super::options::Cache;
use super::samples::UNREADABLE_HELP;
use super::{ImageShape, LoadOptions, Samples, Splits, size_text};
use crate::error::{Error, ErrorKind, Result};
use crate::files::cache::{self, CacheKind};

pub(super) use cifar::{has_files as is_cifar, read_folder as read_cifar};
pub use labelled::{ImageList, LabelledImage};

/// What images are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To train on: there are training images, no other split has classes of its own, and images of several sizes, where no size
    /// is asked for, are an error.
    Train,
    /// To look for faults: as many as can be are findings, no errors. Images of several sizes come to the commonest.
    Inspect,
    /// To measure a model on: one split is enough, with any classes. Images of several sizes are an error.
    Measure,
}

/// From so many images on it pays to keep what their headers said: 200,000 take seconds.
const MIN_INDEXED: usize = 10_000;

/// What [`read`] reads, for messages.
pub const KINDS: &str = "a folder of IDX files, of class folders or of CIFAR's .bin files, a .csv or .jsonl manifest, \
                         a Keras .npz, or a .tar, .tar.gz or .zip of class folders";

/// Reads the data set at `path`, known by its content: [`KINDS`], but for IDX files. The images are prepared as `options` say, and
/// without those that they exclude; those of files are still to be decoded ([`finish`]).
///
/// # Errors
/// A data error that names the file, for whatever cannot be used.
pub fn read(path: &Path, options: &LoadOptions, purpose: Purpose) -> Result<Splits> {
    if path.is_dir() {
        return match () {
            () if cifar::has_files(path)? => prepare(cifar::read_folder(path)?, options),
            () => folders::read_folder(path)?.into_splits(options, purpose),
        };
    }
    let start = beginning(path)?;
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match extension.as_str() {
        "csv" | "tsv" => manifest::read_csv(path)?.into_splits(options, purpose),
        "jsonl" => manifest::read_json_lines(path)?.into_splits(options, purpose),
        "npz" => prepare(npz::read(path)?, options),
        _ if start.starts_with(b"PK\x03\x04") => archive::read_zip(path)?.into_splits(options, purpose),
        _ if start.starts_with(&[0x1f, 0x8b]) => archive::read_tar_gz(path)?.into_splits(options, purpose),
        _ if start.get(257..262) == Some(b"ustar") => archive::read_tar(path)?.into_splits(options, purpose),
        _ => Err(Error::data("a file is no data set that can be read")
            .expected(KINDS)
            .got(super::image::describe_start(&start))
            .at_path(path)
            .help("for an IDX file, name the folder that holds it and its partners")),
    }
}

/// The first block of a file.
fn beginning(path: &Path) -> Result<Vec<u8>> {
    let cannot_read = |error: std::io::Error| Error::data("cannot read the file").at_path(path).because(error);
    if !path.metadata().map_err(cannot_read)?.is_file() {
        return Err(Error::data("a data set is a file or a folder").got("a device, pipe or socket").at_path(path));
    }
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(512).read_to_end(&mut start)).map_err(cannot_read)?;
    Ok(start)
}

/// Leaves out what `options` exclude of images that are in memory. The others get the shape that `options` ask for; their own
/// where they ask for none.
pub(super) fn prepare(splits: Splits, options: &LoadOptions) -> Result<Splits> {
    let splits = match &options.exclude {
        Some(list) => exclude::from_splits(splits, list)?,
        None => splits,
    };
    let Some(own) = splits.samples.values().next().map(Samples::shape) else { return Ok(splits) };
    let (height, width) = options.image_size.map_or((own.height, own.width), |size| (size.height, size.width));
    let shape = ImageShape { height, width, channels: options.channels.count().unwrap_or(own.channels) };
    let preparation = Preprocessing { shape, resize: options.resize };
    preparation.check()?;
    splits.map(|_, samples| samples.prepared(preparation))
}

/// Decodes the images where they are to be kept.
///
/// # Errors
/// A data error where an image cannot be read.
pub fn finish(splits: Splits, options: &LoadOptions) -> Result<Splits> {
    let sizes = splits.samples.values().map(|samples| samples.num_bytes().unwrap_or(usize::MAX));
    let num_bytes = sizes.fold(0, usize::saturating_add);
    let is_kept = match options.cache {
        Cache::Auto => num_bytes <= Cache::MAX_AUTO_BYTES,
        Cache::Device | Cache::Ram => true,
        Cache::Disk | Cache::None => false,
    };
    let decoded = match options.cache {
        Cache::Disk => {
            let folder = CacheKind::Pixels.folder().ok_or_else(no_cache_folder)?;
            splits.map(|_, samples: Samples| samples.onto_disk(&folder))
        }
        _ if is_kept => splits.map(|_, samples: Samples| samples.into_memory()),
        _ => return Ok(splits),
    };
    // a disk or a memory that is full is no fault of an image, and its error says what to do
    decoded.map_err(|error| match error.kind() {
        ErrorKind::Data => error.help(UNREADABLE_HELP),
        _ => error,
    })
}

fn no_cache_folder() -> Error {
    cache::no_folder("there is no folder for decoded images").help("set one, or use another --cache")
}

/// The shape of `images`' pixels: as `options` say, and where they do not, as all images have it. Images that cannot be read
/// are passed over: whoever decodes them says so.
fn common_shape(images: &ImageList, options: &LoadOptions, purpose: Purpose) -> Result<ImageShape> {
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
    let mut counts: HashMap<(usize, usize), (usize, std::cmp::Reverse<usize>)> = HashMap::new();
    for (place, (_, shape)) in shapes.iter().enumerate() {
        counts.entry(size_of(*shape)).or_insert((0, std::cmp::Reverse(place))).0 += 1;
    }
    let (_, std::cmp::Reverse(place)) = counts.into_values().max()?;
    Some(shapes[place])
}

fn sizes_differ(images: &ImageList, own: (usize, ImageShape), other: (usize, ImageShape)) -> Error {
    let tell = |(at, shape): (usize, ImageShape)| {
        format!("{} in {}", size_text(shape.width, shape.height), images.images[at].image)
    };
    Error::data("the images differ in size").expected(tell(own)).got(tell(other)).help(
        "choose one size for all with --image-size, and with --resize how they come to it; or leave out what convnet data \
         check lists with --exclude",
    )
}
