//! Archives of class folders, read without unpacking: names are only looked at, nothing is written, whatever they say.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, EntryType};
use zip::read::ZipFile;
use zip::{CompressionMethod, ZipArchive};

use super::class_names::{self, ClassNames};
use super::image_list::ImageList;
use super::tree::Tree;
use crate::data::image::{LeftOut, MAX_FILE_BYTES, is_image_name};
use crate::data::stored::{ImageSource, ImageSources};
use crate::error::{Error, Result};
use crate::files::bounded::BoundedReader;
use crate::files::walk::is_hidden;

/// The most entries that are believed.
pub(super) const MAX_ENTRIES: usize = 20_000_000;
/// The most bytes of images that a compressed tar may hold: they are kept in memory, as it can be read from its beginning
/// only.
const MAX_TAR_GZ_BYTES: u64 = 8 << 30;

/// The class folders in a `.zip`.
///
/// # Errors
/// A data error where it is damaged, encrypted or packed in a way that is not read, and as [`Tree::into_labelled`].
pub(super) fn read_zip(path: &Path) -> Result<ImageList> {
    zip_tree(path).and_then(|tree| tree.into_labelled(stem(path))).map_err(|error| error.at_path(path))
}

/// The class folders in a `.tar`.
///
/// # Errors
/// A data error where it is damaged or cut short, and as [`Tree::into_labelled`].
pub(super) fn read_tar(path: &Path) -> Result<ImageList> {
    let tree = File::open(path).map_err(damaged).and_then(|mut file| {
        let length = file.metadata().map_err(damaged)?.len();
        check_end(&mut file, length)?;
        tar_tree(BufReader::new(file), |name, entry| {
            let (start, size) = (entry.raw_file_position(), entry.size());
            if start.checked_add(size).is_none_or(|end| end > length) {
                return Err(Error::data("the archive is cut short").at(name));
            }
            Ok(ImageSource::Part {
                archive: path.into(),
                name: name.to_owned(),
                start,
                length: size,
                is_deflated: false,
                checksum: None,
            })
        })
    });
    tree.and_then(|tree| tree.into_labelled(stem(path))).map_err(|error| error.at_path(path))
}

/// A tar ends with blocks of zeros. One that was cut between two files would else look whole.
pub(super) fn check_end(file: &mut File, length: u64) -> Result<()> {
    let mut end = [1; 512];
    if length >= 512 {
        file.seek(SeekFrom::Start(length - 512)).and_then(|_| file.read_exact(&mut end)).map_err(damaged)?;
        file.rewind().map_err(damaged)?;
    }
    match end.iter().all(|&byte| byte == 0) {
        true => Ok(()),
        false => Err(Error::data("the archive is cut short").expected("zeros at its end").help("copy it again")),
    }
}

/// The class folders in a `.tar.gz`. Its encoded images are kept in memory.
///
/// # Errors
/// As [`read_tar`], and where the images are more than fit.
pub(super) fn read_tar_gz(path: &Path) -> Result<ImageList> {
    let archive: Arc<Path> = path.into();
    let mut num_bytes = 0;
    let tree = File::open(path).map_err(damaged).and_then(|file| {
        let packed = file.metadata().map_err(damaged)?.len();
        tar_tree(BoundedReader::unpacking(MultiGzDecoder::new(BufReader::new(file)), packed), |name, entry| {
            num_bytes += entry.size().min(MAX_FILE_BYTES);
            read_into_memory(entry, &archive, name, num_bytes)
        })
    });
    tree.and_then(|tree| tree.into_labelled(stem(path))).map_err(|error| error.at_path(path))
}

/// The image that `entry` of a compressed archive is. `num_bytes`: of all images that are kept, with this one.
///
/// # Errors
/// A data error where it is cut short, and where it or all together are too large.
pub(super) fn read_into_memory<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    archive: &Arc<Path>,
    name: &str,
    num_bytes: u64,
) -> Result<ImageSource> {
    if entry.size() > MAX_FILE_BYTES || num_bytes > MAX_TAR_GZ_BYTES {
        let most = format!("images of up to {MAX_FILE_BYTES} and together {MAX_TAR_GZ_BYTES} bytes");
        let error = Error::data("the compressed archive is too large").expected(most).at(name);
        return Err(error.help("unpack it, or use a .tar or a .zip"));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(damaged)?;
    match bytes.len() as u64 == entry.size() {
        true => Ok(ImageSource::Memory { archive: archive.clone(), name: name.to_owned(), bytes: bytes.into() }),
        false => Err(Error::data("the archive is cut short").at(name)),
    }
}

/// The images and folders of an archive, as they come. Of images with one name the last one counts, as when it is unpacked.
#[derive(Default)]
struct ArchiveContents {
    /// Which of `sources` the images are, by their paths.
    images: HashMap<Box<str>, usize>,
    sources: ImageSources,
    folders: Vec<Vec<String>>,
    left_out: LeftOut,
    class_names: BTreeMap<Vec<String>, ClassNames>,
}

impl ArchiveContents {
    fn check_count(&self) -> Result<()> {
        match self.images.len() + self.folders.len() < MAX_ENTRIES {
            true => Ok(()),
            false => Err(Error::data("the archive has too many files").expected(format!("at most {MAX_ENTRIES}"))),
        }
    }

    fn add_image(&mut self, parts: &[String], image: ImageSource) {
        self.images.insert(parts.join("/").into(), self.sources.len());
        self.sources.push(image);
    }

    /// The image that a hard link called `name` leads to: a tar has it before the link.
    fn linked(&self, name: &str, target: Option<&str>) -> Result<ImageSource> {
        let found = target.and_then(parts).and_then(|target| self.images.get(target.join("/").as_str()));
        found.and_then(|&number| self.sources.get(number)).map(|image| image.renamed(name)).ok_or_else(|| {
            Error::data("a hard link in the archive leads to no image before it")
                .got(format!("a link to {}", target.unwrap_or("nothing")))
                .at(name)
                .help("pack it anew with tar --hard-dereference")
        })
    }

    /// Takes note of a file that is no image.
    fn add_other(&mut self, parts: Vec<String>, file: impl Read) -> Result<()> {
        let name = parts.last().map(String::as_str).unwrap_or_default();
        if name == class_names::FILE {
            let bytes = class_names::read_start(file).map_err(damaged)?;
            if let Some(names) = class_names::parse(bytes).map_err(|error| error.at(name))? {
                self.class_names.insert(parts, names);
                return Ok(());
            }
        }
        self.left_out.add(Path::new(name));
        Ok(())
    }

    fn into_tree(self) -> Tree {
        let ArchiveContents { images, sources, folders, left_out, class_names } = self;
        let mut tree = Tree::default();
        (tree.folders, tree.left_out, tree.class_names) = (folders, left_out, class_names);
        for (path, number) in images {
            let mut folder: Vec<String> = path.split('/').map(str::to_owned).collect();
            folder.pop();
            if let Some(image) = sources.get(number) {
                tree.add_image(&folder, image);
            }
        }
        tree
    }
}

/// Every image and folder of a tar; `store` says where an image lies.
fn tar_tree<R: Read>(
    reader: R,
    mut store: impl FnMut(&str, &mut tar::Entry<'_, R>) -> Result<ImageSource>,
) -> Result<Tree> {
    let mut contents = ArchiveContents::default();
    let mut archive = Archive::new(reader);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = unsparse(&mut entry, &name)?;
        let Some(parts) = parts(&name) else { continue };
        contents.check_count()?;
        let kind = entry.header().entry_type();
        if kind == EntryType::Directory {
            contents.folders.push(parts);
        } else if is_image_name(Path::new(&name)) {
            let image = match kind {
                EntryType::Regular | EntryType::Continuous => store(&name, &mut entry)?,
                EntryType::Link => {
                    let target = entry.link_name_bytes();
                    contents
                        .linked(&name, target.map(|target| String::from_utf8_lossy(&target).into_owned()).as_deref())?
                }
                EntryType::Symlink => {
                    return Err(symbolic_link(&name).help("pack it anew with tar -h, which follows links"));
                }
                EntryType::GNUSparse => return Err(sparse(&name)),
                _ => continue,
            };
            contents.add_image(&parts, image);
        } else if kind == EntryType::Regular {
            contents.add_other(parts, entry)?;
        }
    }
    Ok(contents.into_tree())
}

/// The entry's name; the error for a sparse image that POSIX's form of a tar holds as a file of another name.
pub(super) fn unsparse<R: Read>(entry: &mut tar::Entry<'_, R>, name: &str) -> Result<String> {
    let Some(extensions) = entry.pax_extensions().map_err(damaged)? else { return Ok(name.to_owned()) };
    for extension in extensions {
        let extension = extension.map_err(damaged)?;
        if extension.key_bytes() == b"GNU.sparse.name" {
            let name = String::from_utf8_lossy(extension.value_bytes()).into_owned();
            return if is_image_name(Path::new(&name)) { Err(sparse(&name)) } else { Ok(name) };
        }
    }
    Ok(name.to_owned())
}

pub(super) fn sparse(name: &str) -> Error {
    Error::data("an image lies in the archive as a sparse file, which cannot be read")
        .at(name)
        .help("pack it anew with tar without -S")
}

pub(super) fn symbolic_link(name: &str) -> Error {
    Error::data("an image in the archive is a symbolic link, not the image itself").at(name)
}

fn zip_tree(path: &Path) -> Result<Tree> {
    let archive: Arc<Path> = path.into();
    let file = File::open(path).map_err(damaged)?;
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    let mut contents = ArchiveContents::default();
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index).map_err(damaged)?;
        let Some(parts) = parts(entry.name()) else { continue };
        contents.check_count()?;
        if entry.is_dir() {
            contents.folders.push(parts);
        } else if is_image_name(Path::new(entry.name())) {
            contents.add_image(&parts, zip_image(&archive, &entry)?);
        } else {
            let is_names = parts.last().is_some_and(|name| name == class_names::FILE);
            drop(entry);
            match is_names {
                true => contents.add_other(parts, zip.by_index(index).map_err(damaged)?)?,
                false => contents.add_other(parts, std::io::empty())?,
            }
        }
    }
    Ok(contents.into_tree())
}

/// Where a zip's entry lies.
fn zip_image<R: Read>(archive: &Arc<Path>, entry: &ZipFile<'_, R>) -> Result<ImageSource> {
    let name = entry.name().to_owned();
    if entry.is_symlink() {
        return Err(symbolic_link(&name).help("pack it anew with zip without -y"));
    }
    let is_deflated = match entry.compression() {
        CompressionMethod::Stored => false,
        CompressionMethod::Deflated => true,
        other => {
            let error = Error::data("the archive is packed in a way that cannot be read").got(other).at(name);
            return Err(error.expected("stored or deflated").help("pack it anew with zip's default"));
        }
    };
    if entry.encrypted() {
        return Err(Error::data("the archive is encrypted").at(name).help("decrypt it first"));
    }
    let start = entry.data_start().ok_or_else(|| Error::data("the archive is damaged").at(&name))?;
    let (length, checksum) = (entry.compressed_size(), Some(entry.crc32()));
    Ok(ImageSource::Part { archive: archive.clone(), name, start, length, is_deflated, checksum })
}

/// A name's parts; `None` where it is hidden or names nothing. `..` and a leading `/` are dropped: nothing is ever written
/// or looked for under these names.
pub(super) fn parts(name: &str) -> Option<Vec<String>> {
    let parts = name.split(['/', '\\']).filter(|part| !part.is_empty() && *part != "." && *part != "..");
    let parts: Vec<String> = parts.map(str::to_owned).collect();
    (!parts.is_empty() && !parts.iter().any(|part| is_hidden(part))).then_some(parts)
}

pub(super) fn damaged(error: impl Into<io::Error>) -> Error {
    Error::data("the archive is damaged or cannot be read").because(error.into())
}

/// The archive's name without its extensions.
pub(super) fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let lower = name.to_ascii_lowercase();
    let extension = [".tar.gz", ".tgz", ".tar", ".zip"].into_iter().find(|extension| lower.ends_with(extension));
    name[..name.len() - extension.map_or(0, str::len)].to_owned()
}
