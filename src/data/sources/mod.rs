//! Files and folders that hold a data set, in the forms that people have.

mod archive;
mod cifar;
pub(super) mod class_names;
mod exclude;
mod folders;
pub mod formats;
mod image_folder;
mod image_list;
mod labelled;
mod manifest;
mod npz;
mod parquet;
mod shape;
mod shards;
mod table;
mod tree;
mod web_dataset;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::image::Preprocessing;
use super::numbers::Numbers;
use super::options::Cache;
use super::samples::UNREADABLE_HELP;
use super::{Dataset, ImageShape, LoadOptions, Samples, Split, Splits};
use crate::error::{Error, ErrorKind, Result};
use crate::files::cache::{self, CacheKind};
use formats::FormatReader;

pub use formats::FORMATS;
pub use image_list::{ImageList, Purpose};
pub use labelled::{LabelledImage, LabelledImages};

/// Reads the file or the folder at `path`, known by its content: one of [`FORMATS`], without the images that `options` exclude. Those that
/// are in memory are as they are ([`shaped`]), those of files still to be decoded, prepared as `options` say ([`finish`]).
///
/// # Errors
/// A data error that names the file, for whatever cannot be used.
pub fn read(path: &Path, options: &LoadOptions, purpose: Purpose) -> Result<Splits> {
    match formats::of(path)?.read {
        FormatReader::Arrays(read) => without_excluded(read(path)?, options),
        FormatReader::Images(read) => splits_of(read(path)?, options, purpose),
    }
}

/// Leaves out what `options` exclude, matches the classes by name between the splits, finds the images' common shape, and makes
/// samples that read the images as they are needed.
///
/// # Errors
/// A data error where there are no images; for training, where a class is in another split but not in the training images;
/// where the images differ in size and neither `options` nor `purpose` say what becomes of them; and where the list of images to
/// exclude cannot be used.
pub fn splits_of(images: ImageList, options: &LoadOptions, purpose: Purpose) -> Result<Splits> {
    let mut list = match &options.exclude {
        Some(excluded) => exclude::from_images(images, excluded)?,
        None => images,
    };
    let classes = list.classes(purpose)?;
    let shape = shape::common_shape(&list, options, purpose)?;
    let preparation = Preprocessing { shape, resize: options.resize, decode: options.decode };
    let labels: HashMap<&str, i64> = classes.iter().map(String::as_str).zip(0..).collect();
    let labels: Vec<i64> = list.images.classes().iter().map(|class| labels[class.as_str()]).collect();
    let (files, splits, class_numbers) = list.images.into_parts()?;
    let mut found: BTreeMap<Split, (Vec<u32>, Vec<i64>)> = BTreeMap::new();
    for ((row, split), class) in (0..).zip(splits).zip(class_numbers) {
        let (rows, of_images) = found.entry(split).or_default();
        rows.push(row);
        of_images.push(labels[class as usize]);
    }
    let files = Arc::new(files);
    let samples = found.into_iter().map(|(split, (rows, labels))| {
        let samples = Samples::stored_rows(files.clone(), Numbers::listed(rows), preparation, labels, classes.len());
        let samples = samples.and_then(|samples| match list.kept.get(&split) {
            Some(kept) => samples.numbered(Numbers::of(kept.iter().copied())?),
            None => Ok(samples),
        });
        Ok((split, samples.map_err(|error| error.at(split))?))
    });
    let samples = samples.collect::<Result<_>>()?;
    Ok(Splits { name: list.name, samples, classes, notes: list.notes })
}

/// Leaves out what `options` exclude of images that are in memory.
pub(super) fn without_excluded(splits: Splits, options: &LoadOptions) -> Result<Splits> {
    match &options.exclude {
        Some(list) => exclude::from_splits(splits, list),
        None => Ok(splits),
    }
}

/// Gives images that are in memory the shape that `options` ask for; their own where they ask for none.
///
/// # Errors
/// A data error where no image can have that shape.
pub fn shaped(splits: Splits, options: &LoadOptions) -> Result<Splits> {
    let Some(preparation) = splits.samples.values().next().map(|samples| preparation(samples.shape(), options)) else {
        return Ok(splits);
    };
    preparation.check()?;
    splits.map(|_, samples| samples.prepared(preparation))
}

/// As [`shaped`], of a data set that was taken apart for training: images that are in two of its splits are shaped once.
///
/// # Errors
/// As [`shaped`].
pub fn shaped_for_training(dataset: Dataset, options: &LoadOptions) -> Result<Dataset> {
    let preparation = preparation(dataset.train.shape(), options);
    let Dataset { train, validation, test, .. } = dataset;
    let is_tested_on = validation.is_some() && validation == test;
    let test = test.map(|samples| samples.prepared(preparation)).transpose()?;
    let validation = match is_tested_on {
        true => test.clone(),
        false => validation.map(|samples| samples.prepared(preparation)).transpose()?,
    };
    Ok(Dataset { train: train.prepared(preparation)?, validation, test, ..dataset })
}

/// What brings images of the shape `own` to the one that `options` ask for.
pub fn preparation(own: ImageShape, options: &LoadOptions) -> Preprocessing {
    let (height, width) = options.image_size.map_or((own.height, own.width), |size| (size.height, size.width));
    let shape = ImageShape { height, width, channels: options.channels.count().unwrap_or(own.channels) };
    Preprocessing { shape, resize: options.resize, decode: options.decode }
}

/// Decodes the images where they are to be kept: the one place that decides it, for a
/// [`DataLoader`](crate::data::batches::DataLoader) too.
///
/// # Errors
/// A data error where an image cannot be read.
pub fn finish(splits: Splits, options: &LoadOptions) -> Result<Splits> {
    let sizes = splits.samples.values().map(|samples| samples.num_bytes().unwrap_or(usize::MAX));
    let num_bytes = sizes.fold(0, usize::saturating_add);
    let kept = match options.cache {
        Cache::Auto if num_bytes > Cache::MAX_AUTO_BYTES => return Ok(splits),
        Cache::Auto | Cache::Device => splits.map(|_, samples| samples.into_memory()),
        Cache::Ram => splits.map(|_, samples| Ok(samples.into_memory()?.streamed())),
        Cache::Disk => {
            let folder = CacheKind::Pixels.folder().ok_or_else(no_cache_folder)?;
            splits.map(|_, samples| Ok(samples.onto_disk(&folder)?.streamed()))
        }
        Cache::None => splits.map(|_, samples| Ok(samples.streamed())),
    };
    // a disk or a memory that is full is no fault of an image, and its error says what to do
    kept.map_err(|error| match error.kind() {
        ErrorKind::Data => error.help(UNREADABLE_HELP),
        _ => error,
    })
}

fn no_cache_folder() -> Error {
    cache::no_folder("there is no folder for decoded images").help("set one, or use another `cache`")
}
