//! Writes a data set in forms that other programs read: IDX files, PNG images in class folders, NumPy's `.npz`, shards of
//! WebDataset, Parquet files.

mod files;
mod parquet;

use std::fs;
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use strum::{Display, EnumMessage, EnumString, VariantArray};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::names::are_numbers;
use super::npy::array_header;
use super::sources::class_names::{self, ClassNames};
use super::{Dataset, ImageShape, Samples, Split};
use crate::error::{Error, Result};
use crate::files::walk::is_hidden;
use crate::files::{write_atomically, write_output};
use files::{cannot_write, check_no_images_there, check_none_there, encode_png, make_folder};

/// The forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumMessage, EnumString, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum DatasetFormat {
    /// A folder of IDX files, as MNIST's.
    Idx,
    /// A folder of class folders of PNG files.
    Png,
    /// A `.npz` with `x_train`, `y_train` and so on, as Keras's.
    Npz,
    /// A folder of WebDataset's `.tar` shards, of 10,000 PNG files each.
    WebDataset,
    /// A folder `data` of Parquet files, as Hugging Face's `datasets` writes them.
    Parquet,
}

/// How many images a shard holds.
const SHARD_IMAGES: usize = 10_000;

/// Writes `dataset` to `out`, a folder or, for a `.npz`, a file.
///
/// # Errors
/// A configuration error where the form cannot hold the data set or a file cannot be written; a data error where an image
/// cannot be read.
pub fn export(dataset: &Dataset, format: DatasetFormat, out: &Path) -> Result<()> {
    match format {
        DatasetFormat::Idx => write_idx(dataset, out),
        DatasetFormat::Png => write_folders(dataset, out),
        DatasetFormat::Npz => write_npz(dataset, out),
        DatasetFormat::WebDataset => write_shards(dataset, out),
        DatasetFormat::Parquet => parquet::write(dataset, out),
    }
}

fn write_idx(dataset: &Dataset, folder: &Path) -> Result<()> {
    if dataset.validation.is_some() {
        return Err(Error::config("IDX files hold training and test images, but no validation images")
            .help("export as png or npz"));
    }
    make_folder(folder)?;
    if !are_numbers(&dataset.classes) {
        write_class_names(&numbered(&dataset.classes), folder)?;
    }
    for (split, samples) in dataset.splits() {
        let prefix = if split == Split::Train { "train" } else { "t10k" };
        let labels = small_labels(samples).ok_or_else(|| {
            Error::config("IDX files hold labels up to 255").got(dataset.classes.len() - 1).help("export as png or npz")
        })?;
        let ImageShape { height, width, channels } = samples.shape();
        let mut header = vec![if channels == 1 { 0x0803 } else { 0x0804 }, samples.len(), height, width];
        header.extend((channels != 1).then_some(channels));
        let dimensions = header.len() - 1;
        let path = folder.join(format!("{prefix}-images-idx{dimensions}-ubyte"));
        write_pixels(&path, &words(&header), samples)?;
        let path = folder.join(format!("{prefix}-labels-idx1-ubyte"));
        let content = [words(&[0x0801, labels.len()]), labels].concat();
        write_atomically(&path, |writer| writer.write_all(&content)).map_err(cannot_write(&path))?;
    }
    Ok(())
}

/// The classes' true names and their order, which [`super::registry::load`] reads again.
fn write_class_names(names: &ClassNames, folder: &Path) -> Result<()> {
    let path = folder.join(class_names::FILE);
    write_atomically(&path, |writer| names.write(writer)).map_err(cannot_write(&path))
}

/// Names of classes that are 0, 1, 2 and so on in the files.
fn numbered(classes: &[String]) -> ClassNames {
    let numbers: Vec<String> = (0..classes.len()).map(|class| class.to_string()).collect();
    ClassNames::new(&numbers, classes)
}

fn words(words: &[usize]) -> Vec<u8> {
    words.iter().flat_map(|&word| (word as u32).to_be_bytes()).collect()
}

/// The labels as bytes, where they are all small.
fn small_labels(samples: &Samples) -> Option<Vec<u8>> {
    samples.labels().iter().map(|&label| u8::try_from(label).ok()).collect()
}

/// A file of `header` and all pixels.
fn write_pixels(path: &Path, header: &[u8], samples: &Samples) -> Result<()> {
    let mut failed = None;
    let written = write_atomically(path, |writer| {
        writer.write_all(header)?;
        write_all_pixels(writer, samples, &mut failed)
    });
    failed.map_or(Ok(()), Err)?;
    written.map_err(cannot_write(path))
}

/// An image that cannot be read goes to `failed`.
fn write_all_pixels(writer: &mut dyn Write, samples: &Samples, failed: &mut Option<Error>) -> io::Result<()> {
    let mut written = Ok(());
    let visited = samples.visit(|pixels| {
        if written.is_ok() {
            written = writer.write_all(pixels);
        }
    });
    match visited {
        Ok(()) => written,
        Err(error) => {
            *failed = Some(error);
            Err(io::Error::other("an image cannot be read"))
        }
    }
}

fn write_folders(dataset: &Dataset, folder: &Path) -> Result<()> {
    // a class's name may be no folder's name
    let classes: Vec<String> = dataset.classes.iter().map(|class| class.replace(['/', '\\', ':', '\0'], "-")).collect();
    let bad = classes
        .iter()
        .enumerate()
        .find(|(at, class)| class.is_empty() || is_hidden(class) || classes[..*at].contains(class));
    if let Some((at, _)) = bad {
        return Err(Error::config("a class's name cannot be a folder's name").got(format!("'{}'", dataset.classes[at])));
    }
    check_no_images_there(folder)?;
    make_folder(folder)?;
    write_class_names(&ClassNames::new(&classes, &dataset.classes), folder)?;
    for (split, samples) in dataset.splits() {
        for class in &classes {
            make_folder(&folder.join(split.to_string()).join(class))?;
        }
        for (index, &label) in samples.labels().iter().enumerate() {
            let name = format!("{index:07}.png");
            let path = folder.join(split.to_string()).join(&classes[label as usize]).join(name);
            let png = encode_png(&samples.image(index)?, samples.shape())?;
            fs::write(&path, png).map_err(cannot_write(&path))?;
        }
    }
    Ok(())
}

/// `<split>-000000.tar` and so on: of each image `<number>.png` and `<number>.cls`, its label. The same data set gives the same
/// bytes.
fn write_shards(dataset: &Dataset, folder: &Path) -> Result<()> {
    check_no_images_there(folder)?;
    check_none_there(folder, "tar")?;
    make_folder(folder)?;
    write_class_names(&numbered(&dataset.classes), folder)?;
    for (split, samples) in dataset.splits() {
        for (shard, start) in (0..samples.len()).step_by(SHARD_IMAGES).enumerate() {
            let path = folder.join(format!("{split}-{shard:06}.tar"));
            write_shard(&path, samples, start..samples.len().min(start + SHARD_IMAGES))?;
        }
    }
    Ok(())
}

fn write_shard(path: &Path, samples: &Samples, images: Range<usize>) -> Result<()> {
    let mut failed = None;
    let written = write_atomically(path, |writer| {
        let mut tar = tar::Builder::new(writer);
        for index in images {
            let png = samples.image(index).and_then(|pixels| encode_png(&pixels, samples.shape()));
            let png = png.map_err(|error| {
                failed = Some(error);
                io::Error::other("an image cannot be read")
            })?;
            append_file(&mut tar, &format!("{index:09}.cls"), samples.labels()[index].to_string().as_bytes())?;
            append_file(&mut tar, &format!("{index:09}.png"), &png)?;
        }
        tar.finish()
    });
    failed.map_or(Ok(()), Err)?;
    written.map_err(cannot_write(path))
}

/// A file of nobody in particular, written in 1970.
fn append_file<W: Write>(tar: &mut tar::Builder<W>, name: &str, content: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, name, content)
}

fn write_npz(dataset: &Dataset, path: &Path) -> Result<()> {
    if path.extension().is_none_or(|extension| extension != "npz") {
        return Err(Error::config("that is no name for a .npz").expected("FILE.npz").got(path.display()));
    }
    let mut failed = None;
    let written = write_output(path, |writer| {
        let mut zip = ZipWriter::new_stream(writer);
        for (split, samples) in dataset.splits() {
            let suffix = match split {
                Split::Train => "train",
                Split::Validation => "val",
                Split::Test => "test",
            };
            write_arrays(&mut zip, suffix, samples, &mut failed)?;
        }
        zip.finish()?;
        Ok(())
    });
    failed.map_or(Ok(()), Err)?;
    written.map_err(cannot_write(path))
}

/// `x_<suffix>`: u8 `[N, H, W]` or `[N, H, W, C]`; `y_<suffix>`: u8 or i64 `[N]`.
fn write_arrays<W: Write + io::Seek>(
    zip: &mut ZipWriter<W>,
    suffix: &str,
    samples: &Samples,
    failed: &mut Option<Error>,
) -> io::Result<()> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).large_file(true);
    let ImageShape { height, width, channels } = samples.shape();
    let shape = [samples.len(), height, width, channels];
    zip.start_file(format!("x_{suffix}.npy"), options)?;
    zip.write_all(&array_header("|u1", if channels == 1 { &shape[..3] } else { &shape }))?;
    write_all_pixels(zip, samples, failed)?;
    zip.start_file(format!("y_{suffix}.npy"), options)?;
    match small_labels(samples) {
        Some(labels) => {
            zip.write_all(&array_header("|u1", &shape[..1]))?;
            zip.write_all(&labels)
        }
        None => {
            zip.write_all(&array_header("<i8", &shape[..1]))?;
            samples.labels().iter().try_for_each(|label| zip.write_all(&label.to_le_bytes()))
        }
    }
}

#[cfg(test)]
mod tests;
