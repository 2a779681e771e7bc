//! Files and folders that hold a data set, in the forms that people have.

mod archive;
mod cifar;
mod exclude;
mod folders;
mod labelled;
mod manifest;
mod npz;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::image::Preparation;
use super::options::Cache;
use super::registry;
use super::{Dataset, ImageShape, LoadOptions, Samples};
use crate::error::{Error, Result};
use crate::files::write_atomically;

pub(super) use cifar::{has_files as is_cifar, read_folder as read_cifar};
pub use labelled::{Labelled, LabelledImage};

/// From so many images on it pays to keep what their headers said: 200,000 take seconds.
const MIN_INDEXED: usize = 10_000;

/// What [`read`] reads, for messages.
pub const KINDS: &str = "a folder of IDX files, of class folders or of CIFAR's .bin files, a .csv or .jsonl manifest, \
                         a Keras .npz, or a .tar, .tar.gz or .zip of class folders";

/// Reads the data set at `path`, known by its content: [`KINDS`], but for IDX files. The images are prepared as `options` say; those of files
/// are still to be decoded ([`finish`]).
///
/// # Errors
/// A data error that names the file, for whatever cannot be used.
pub fn read(path: &Path, options: &LoadOptions) -> Result<Dataset> {
    if path.is_dir() {
        return match () {
            () if cifar::has_files(path)? => prepare(cifar::read_folder(path)?, options),
            () => folders::read_folder(path)?.into_dataset(options),
        };
    }
    let start = beginning(path)?;
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match extension.as_str() {
        "csv" => manifest::read_csv(path)?.into_dataset(options),
        "jsonl" => manifest::read_json_lines(path)?.into_dataset(options),
        "npz" => prepare(npz::read(path)?, options),
        _ if start.starts_with(b"PK\x03\x04") => archive::read_zip(path)?.into_dataset(options),
        _ if start.starts_with(&[0x1f, 0x8b]) => archive::read_tar_gz(path)?.into_dataset(options),
        _ if start.get(257..262) == Some(b"ustar") => archive::read_tar(path)?.into_dataset(options),
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

/// Images that are in memory get the shape that `options` ask for; their own where they ask for none.
pub(super) fn prepare(dataset: Dataset, options: &LoadOptions) -> Result<Dataset> {
    let own = dataset.train.shape();
    let (height, width) = options.image_size.map_or((own.height, own.width), |size| (size.height, size.width));
    let shape = ImageShape { height, width, channels: options.channels.count().unwrap_or(own.channels) };
    let preparation = Preparation { shape, resize: options.resize };
    preparation.check()?;
    dataset.map(|_, samples| samples.prepared(preparation))
}

/// Leaves out what `options` exclude, and decodes the images where they are to be kept.
///
/// # Errors
/// A data error where an image cannot be read, or where excluding leaves a split without images.
pub fn finish(dataset: Dataset, options: &LoadOptions) -> Result<Dataset> {
    let dataset = exclude(dataset, options)?;
    let sizes = dataset.splits().map(|(_, samples)| samples.num_bytes().unwrap_or(usize::MAX));
    let num_bytes = sizes.fold(0, usize::saturating_add);
    let is_kept = match options.cache {
        Cache::Auto => num_bytes <= Cache::MAX_AUTO_BYTES,
        Cache::Device | Cache::Ram => true,
        Cache::Disk | Cache::None => false,
    };
    let decoded = match options.cache {
        Cache::Disk => {
            let cache = registry::cache_folder().ok_or_else(no_cache_folder)?;
            dataset.map(|_, samples: Samples| samples.onto_disk(&cache.join("decoded")))
        }
        _ if is_kept => dataset.map(|_, samples: Samples| samples.into_memory()),
        _ => return Ok(dataset),
    };
    decoded.map_err(|error| error.help("convnet data check finds all such images; --exclude leaves them out"))
}

fn no_cache_folder() -> Error {
    Error::config("there is no folder for decoded images")
        .expected("the environment variable HOME or XDG_CACHE_HOME")
        .help("set one, or use another --cache")
}

/// Leaves out what `options` exclude.
///
/// # Errors
/// A data error where the list cannot be used, or leaves a split without images.
pub fn exclude(dataset: Dataset, options: &LoadOptions) -> Result<Dataset> {
    match &options.exclude {
        Some(path) => exclude::exclude(dataset, path),
        None => Ok(dataset),
    }
}

/// The shape of `images`' pixels: as `options` say, and where they do not, as all images have it. Images that cannot be read
/// are passed over: whoever decodes them says so.
fn common_shape(images: &Labelled, options: &LoadOptions) -> Result<ImageShape> {
    if let (Some(size), Some(channels)) = (options.image_size, options.channels.count()) {
        return Ok(ImageShape { height: size.height, width: size.width, channels });
    }
    let index = (images.images.len() >= MIN_INDEXED).then(|| images.index_path(options)).flatten();
    if let Some(shape) = index.as_deref().and_then(read_index) {
        return Ok(shape);
    }
    let shape = find_shape(images, options)?;
    if let Some(path) = index {
        // it is only a cache
        let _ = path.parent().map(std::fs::create_dir_all);
        let _ = write_atomically(&path, |writer| Ok(serde_json::to_writer(writer, &shape)?));
    }
    Ok(shape)
}

/// What an earlier look at the same files found.
fn read_index(path: &Path) -> Option<ImageShape> {
    let mut text = String::new();
    File::open(path).ok()?.take(1000).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// As [`common_shape`], from every image's header.
fn find_shape(images: &Labelled, options: &LoadOptions) -> Result<ImageShape> {
    let headers = images.headers();
    let mut shapes = headers.iter().enumerate().filter_map(|(at, header)| Some((at, header.as_ref().ok()?.shape)));
    let Some((first_at, first)) = shapes.next() else {
        let error = headers.into_iter().find_map(Result::err);
        return Err(error.unwrap_or_else(|| Error::data("there are no images").expected("at least one").got("none")));
    };
    let has_colour = first.channels == 3 || shapes.clone().any(|(_, shape)| shape.channels == 3);
    let channels = options.channels.count().unwrap_or(if has_colour { 3 } else { 1 });
    if let Some(size) = options.image_size {
        return Ok(ImageShape { height: size.height, width: size.width, channels });
    }
    match shapes.find(|(_, shape)| (shape.height, shape.width) != (first.height, first.width)) {
        None => Ok(ImageShape { channels, ..first }),
        Some((at, other)) => {
            let tell = |at: usize, shape: ImageShape| {
                format!("{}×{} in {}", shape.height, shape.width, images.images[at].image)
            };
            Err(Error::data("the images differ in size")
                .expected(tell(first_at, first))
                .got(tell(at, other))
                .help("choose one size for all with --image-size, and with --resize how they come to it"))
        }
    }
}
