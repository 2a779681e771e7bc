//! Keras's `.npz`: `x_train`, `y_train` and, perhaps, `x_test`, `y_test` (`x_val`, `y_val`), as `keras.datasets` stores
//! them. MedMNIST's names (`train_images`, `train_labels`, …) are known too.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use crate::data::npy::{self, NpyImages};
use crate::data::{ImageShape, Samples, Split, Splits};
use crate::error::{Error, Result};
use crate::files::bounded;

type Zip = ZipArchive<BufReader<File>>;
/// Images `u8 [N, H, W, C]`, and a label each.
type Arrays = (ImageShape, Vec<u8>, Vec<i64>);

/// Reads a `.npz` of uint8 images and whole-number labels. The classes are named by their numbers.
///
/// # Errors
/// A data error that names the array, where it cannot be used.
pub(super) fn read(path: &Path) -> Result<Splits> {
    read_arrays(path).map_err(|error| error.at_path(path))
}

fn read_arrays(path: &Path) -> Result<Splits> {
    let damaged = |error: zip::result::ZipError| Error::data("the file is no .npz, or it is damaged").because(error);
    let file = File::open(path).map_err(|error| Error::data("cannot read the file").because(error))?;
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    let mut found: Vec<(Split, Arrays)> = Vec::new();
    for split in Split::ALL {
        found.extend(read_split(&mut zip, split)?.map(|arrays| (split, arrays)));
    }
    let Some((first, (shape, ..))) = found.first() else {
        let names: Vec<&str> = zip.file_names().take(20).collect();
        let error = Error::data("the training images are missing").expected("arrays x_train and y_train");
        return Err(error.got(names.join(", ")));
    };
    if let Some((split, (other, ..))) = found.iter().find(|(_, (other, ..))| other != shape) {
        let error = Error::data(format!("the images of {first} and {split} differ in shape"));
        return Err(error.expected(shape).got(other));
    }
    let largest = found.iter().flat_map(|(_, (_, _, labels))| labels).max().copied().unwrap_or(0);
    if !(0..1 << 20).contains(&largest) {
        return Err(Error::data("a label is out of range").expected("0 to 1048575").got(largest));
    }
    let num_classes = largest as usize + 1;
    let samples = found
        .into_iter()
        .map(|(split, (shape, pixels, labels))| Ok((split, Samples::new(shape, pixels, labels, num_classes)?)));
    let samples = samples.collect::<Result<_>>()?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let classes = (0..num_classes).map(|class| class.to_string()).collect();
    Ok(Splits { name, classes, samples, notes: Vec::new() })
}

fn read_split(zip: &mut Zip, split: Split) -> Result<Option<Arrays>> {
    let names: [[&str; 2]; 2] = match split {
        Split::Train => [["x_train", "y_train"], ["train_images", "train_labels"]],
        Split::Validation => [["x_val", "y_val"], ["val_images", "val_labels"]],
        Split::Test => [["x_test", "y_test"], ["test_images", "test_labels"]],
    };
    let has = |zip: &Zip, name: &str| zip.index_for_name(&format!("{name}.npy")).is_some();
    let Some([images, labels]) = names.into_iter().find(|[images, labels]| has(zip, images) || has(zip, labels)) else {
        return Ok(None);
    };
    let (shape, count, pixels) =
        read_array(zip, images, |reader, length| match npy::read_images_from(reader, length)? {
            NpyImages::U8 { shape, count, pixels } => Ok((shape, count, pixels)),
            NpyImages::F32 { values, .. } => Err(Error::data("the images are not whole numbers")
                .expected("uint8, 0 to 255")
                .got("floating point")
                .help(match values.iter().all(|value| (0.0..=1.0).contains(value)) {
                    true => "save them with (array * 255).round().astype('uint8')",
                    false => "save them with array.astype('uint8'), from 0 to 255",
                })),
        })?;
    if ![1, 3].contains(&shape.channels) {
        return Err(wrong_channels(shape).at(images));
    }
    let labels_read = read_array(zip, labels, npy::read_labels_from)?;
    if labels_read.len() != count {
        return Err(Error::data("as many labels as images are needed")
            .expected(format!("{count} in {labels}"))
            .got(labels_read.len()));
    }
    Ok(Some((shape, pixels, labels_read)))
}

fn wrong_channels(shape: ImageShape) -> Error {
    let help = match shape {
        ImageShape { channels: 4, .. } => "save the colours without alpha: array[..., :3]",
        ImageShape { channels: 2, .. } => "save the grey values without alpha: array[..., :1]",
        // PyTorch's order
        ImageShape { height: 1 | 3, .. } => "save the channels last: array.transpose(0, 2, 3, 1)",
        _ => "save grey images or red, green and blue",
    };
    Error::data("the images have a number of channels that cannot be used")
        .expected("[N, H, W], or [N, H, W, C] with C 1 or 3")
        .got(format!("images of {shape}"))
        .help(help)
}

fn read_array<T>(zip: &mut Zip, name: &str, read: impl FnOnce(&mut dyn Read, u64) -> Result<T>) -> Result<T> {
    let mut entry = zip
        .by_name(&format!("{name}.npy"))
        .map_err(|error| Error::data("an array is missing or cannot be read").at(name).because(error))?;
    let (size, packed) = (entry.size(), entry.compressed_size());
    if size > bounded::max_unpacked(packed) {
        return Err(Error::data("the array is packed too tightly to be images")
            .expected(format!("at most {} times its packed size", bounded::MAX_RATIO))
            .got(format!("{size} of {packed} bytes"))
            .at(name));
    }
    read(&mut entry, size).map_err(|error| error.at(name))
}
