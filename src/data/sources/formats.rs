//! The forms that a data set can have: a row for each. Detection and messages go by these rows.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::image_list::ImageList;
use super::{archive, cifar, folders, image_folder, manifest, npz, parquet, web_dataset};
use crate::data::parquet::MAGIC;
use crate::data::{Splits, idx, image};
use crate::error::{Error, Result};

/// A form that a data set can have.
#[derive(Debug)]
pub struct Format {
    /// One word for it.
    pub name: &'static str,
    /// What it is, for messages.
    pub what: &'static str,
    found: FormatSign,
    pub(super) read: FormatReader,
}

/// How a format is told from others.
#[derive(Debug)]
enum FormatSign {
    /// A folder with such files in it.
    Folder(fn(&Path) -> Result<bool>),
    /// A file with one of these extensions, in small letters.
    Extension(&'static [&'static str]),
    /// A file that has these bytes from this one on.
    Bytes(usize, &'static [u8]),
    /// A file of which this is true, beside such bytes.
    Content(usize, &'static [u8], fn(&Path) -> bool),
}

/// Reads the arrays of a file or a folder.
pub(in crate::data) type ReadArrays = fn(&Path) -> Result<Splits>;

/// What reads it.
#[derive(Debug)]
pub(super) enum FormatReader {
    /// Images and labels that are numbers in arrays, into memory.
    Arrays(ReadArrays),
    /// Images that are files, to be decoded later.
    Images(fn(&Path) -> Result<ImageList>),
}

use FormatReader::{Arrays, Images};
use FormatSign::{Bytes, Content, Extension, Folder};

/// What a `.tar.gz` begins with, and what a `.tar` has after a first file's name and numbers.
const GZIP: (usize, &[u8]) = (0, &[0x1f, 0x8b]);
const TAR: (usize, &[u8]) = (257, b"ustar");

/// All of them. The first one counts that a file or folder is found to be.
pub const FORMATS: &[Format] = &[
    Format {
        name: "idx",
        what: "a folder of IDX files",
        found: Folder(idx::has_files),
        read: Arrays(idx::read_splits),
    },
    Format {
        name: "cifar",
        what: "a folder of CIFAR's .bin files",
        found: Folder(cifar::has_files),
        read: Arrays(cifar::read_folder),
    },
    Format {
        name: "imagefolder",
        what: "a folder with metadata.csv, metadata.jsonl or metadata.parquet",
        found: Folder(image_folder::has_metadata),
        read: Images(image_folder::read_folder),
    },
    Format {
        name: "webdataset",
        what: "a folder of WebDataset's .tar shards",
        found: Folder(web_dataset::has_shards),
        read: Images(web_dataset::read_folder),
    },
    Format {
        name: "parquet",
        what: "a folder of Parquet files",
        found: Folder(parquet::has_files),
        read: Images(parquet::read_folder),
    },
    Format {
        name: "folders",
        what: "a folder of class folders",
        found: Folder(|_| Ok(true)),
        read: Images(folders::read_folder),
    },
    Format {
        name: "csv",
        what: "a .csv manifest",
        found: Extension(&["csv", "tsv"]),
        read: Images(manifest::read_csv),
    },
    Format {
        name: "jsonl",
        what: "a .jsonl manifest",
        found: Extension(&["jsonl"]),
        read: Images(manifest::read_json_lines),
    },
    Format { name: "npz", what: "a Keras .npz", found: Extension(&["npz"]), read: Arrays(npz::read) },
    Format {
        name: "zip",
        what: "a .zip of class folders",
        found: Bytes(0, b"PK\x03\x04"),
        read: Images(archive::read_zip),
    },
    Format { name: "parquet file", what: "a Parquet file", found: Bytes(0, MAGIC), read: Images(parquet::read_file) },
    Format {
        name: "webdataset shard",
        what: "a WebDataset shard (.tar)",
        found: Content(TAR.0, TAR.1, web_dataset::is_shard),
        read: Images(web_dataset::read_file),
    },
    Format {
        name: "webdataset tar.gz",
        what: "a WebDataset shard (.tar.gz)",
        found: Content(GZIP.0, GZIP.1, web_dataset::is_shard),
        read: Images(web_dataset::read_file),
    },
    Format {
        name: "tar.gz",
        what: "a .tar.gz of class folders",
        found: Bytes(GZIP.0, GZIP.1),
        read: Images(archive::read_tar_gz),
    },
    Format {
        name: "tar",
        what: "a .tar of class folders",
        found: Bytes(TAR.0, TAR.1),
        read: Images(archive::read_tar),
    },
];

/// What the formats are, for messages.
pub fn kinds() -> String {
    FORMATS.iter().map(|format| format.what).collect::<Vec<_>>().join(", ")
}

/// The format of the file or folder at `path`.
///
/// # Errors
/// A data error where it is none, or cannot be looked at.
pub(super) fn of(path: &Path) -> Result<&'static Format> {
    let is_folder = path.is_dir();
    let start = if is_folder { Vec::new() } else { beginning(path)? };
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    for format in FORMATS {
        let is_found = match format.found {
            Folder(has) => is_folder && has(path)?,
            Extension(extensions) => !is_folder && extensions.contains(&extension.as_str()),
            Bytes(at, bytes) => start.get(at..).is_some_and(|start| start.starts_with(bytes)),
            Content(at, bytes, is_it) => start.get(at..).is_some_and(|start| start.starts_with(bytes)) && is_it(path),
        };
        if is_found {
            return Ok(format);
        }
    }
    Err(Error::data("a file is no data set that can be read")
        .expected(kinds())
        .got(image::describe_start(&start))
        .at_path(path)
        .help("for an IDX file, name the folder that holds it and its partners"))
}

/// What reads the arrays that lie in `folder` itself; `None` where there are none.
///
/// # Errors
/// A data error where it cannot be listed.
pub(in crate::data) fn arrays_in(folder: &Path) -> Result<Option<ReadArrays>> {
    for format in FORMATS {
        if let Format { found: Folder(has), read: Arrays(read), .. } = format
            && folder.is_dir()
            && has(folder)?
        {
            return Ok(Some(*read));
        }
    }
    Ok(None)
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_format_is_told_from_the_others_and_is_in_the_documentation() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in [
            "idx/train-images-idx3-ubyte",
            "cifar/data_batch_1.bin",
            "folders/cat/1.png",
            "csv.TSV",
            "jsonl.jsonl",
            "npz.npz",
        ] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), b"PK\x03\x04").unwrap();
        }
        fs::create_dir(at("imagefolder")).unwrap();
        fs::write(at("imagefolder/metadata.csv"), "file_name,label\n").unwrap();
        fs::create_dir(at("webdataset")).unwrap();
        let mut shard = tar::Builder::new(fs::File::create(at("webdataset/0.tar")).unwrap());
        for name in ["1.cls", "1.png"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            shard.append_data(&mut header, name, &b""[..]).unwrap();
        }
        shard.finish().unwrap();
        fs::copy(at("webdataset/0.tar"), at("webdataset shard")).unwrap();
        let packed = fs::File::create(at("webdataset tar.gz")).unwrap();
        let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        std::io::copy(&mut fs::File::open(at("webdataset/0.tar")).unwrap(), &mut packed).unwrap();
        packed.finish().unwrap();
        fs::create_dir(at("parquet")).unwrap();
        fs::write(at("parquet/0.parquet"), MAGIC).unwrap();
        fs::write(at("parquet file"), MAGIC).unwrap();
        fs::write(at("zip"), b"PK\x03\x04").unwrap();
        fs::write(at("tar.gz"), [0x1f, 0x8b]).unwrap();
        fs::write(at("tar"), [&[0; 257][..], b"ustar"].concat()).unwrap();
        let documentation = include_str!("../../../docs/data.md").to_lowercase();
        for format in FORMATS {
            let mut entries = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
            let path = entries.find(|path| {
                path.file_name() == Some(format.name.as_ref()) || path.file_stem() == Some(format.name.as_ref())
            });
            assert_eq!(of(&path.unwrap()).unwrap().name, format.name);
            assert!(documentation.contains(format.name), "{} is not in docs/data.md", format.name);
        }
        fs::write(at("other"), b"hello").unwrap();
        let error = of(&at("other")).unwrap_err().to_string();
        assert!(FORMATS.iter().all(|format| error.contains(format.what)), "{error}");
        assert!(arrays_in(&at("idx")).unwrap().is_some() && arrays_in(&at("folders")).unwrap().is_none());
    }
}
