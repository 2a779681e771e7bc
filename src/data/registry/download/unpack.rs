//! Takes files out of a downloaded archive.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use tar::Archive;
use zip::ZipArchive;

use crate::error::{Error, Result};
use crate::files::bounded::BoundedReader;
use crate::files::write_atomically;

/// The largest file that is taken out, in bytes: CIFAR-100's has 154 MB.
const MAX_MEMBER_BYTES: u64 = 1 << 30;

/// Takes the files with the names `members`, in whatever folder of the archive, into `folder`, then removes the archive.
/// Each appears whole or not at all.
///
/// # Errors
/// A data error where the archive is damaged or lacks one, an internal one where a file cannot be written.
pub(super) fn members(archive: &Path, members: &[&str], folder: &Path) -> Result<()> {
    let damaged = |error: io::Error| Error::data("the archive cannot be unpacked").at_path(archive).because(error);
    let file = BufReader::new(File::open(archive).map_err(damaged)?);
    let is_zip = archive.extension().is_some_and(|extension| extension == "zip");
    let found = if is_zip { from_zip(file, members, folder) } else { from_tar_gz(file, members, folder) }?;
    if let Some(missing) = members.iter().find(|member| !found.contains(member)) {
        return Err(Error::data(format!("the archive lacks {missing}")).at_path(archive));
    }
    fs::remove_file(archive).map_err(|error| {
        Error::internal("cannot remove the archive, which is unpacked").at_path(archive).because(error)
    })
}

fn from_zip<'a>(file: BufReader<File>, members: &[&'a str], folder: &Path) -> Result<Vec<&'a str>> {
    let damaged = |error: zip::result::ZipError| Error::data("the archive is damaged").because(error);
    let mut zip = ZipArchive::new(file).map_err(damaged)?;
    let mut found = Vec::new();
    for index in 0..zip.len() {
        let entry = zip.by_index(index).map_err(damaged)?;
        if let Some(member) = wanted(entry.name(), members) {
            write(folder, member, entry)?;
            found.push(member);
        }
    }
    Ok(found)
}

fn from_tar_gz<'a>(file: BufReader<File>, members: &[&'a str], folder: &Path) -> Result<Vec<&'a str>> {
    let damaged = |error: io::Error| Error::data("the archive is damaged").because(error);
    let mut found = Vec::new();
    for entry in Archive::new(MultiGzDecoder::new(file)).entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if let Some(member) = wanted(&name, members).filter(|_| entry.header().entry_type().is_file()) {
            write(folder, member, entry)?;
            found.push(member);
        }
    }
    Ok(found)
}

/// The member that an archive's name ends with: nothing else of the name matters, wherever it leads.
fn wanted<'a>(name: &str, members: &[&'a str]) -> Option<&'a str> {
    let last = name.rsplit('/').next()?;
    members.iter().find(|member| **member == last).copied()
}

fn write(folder: &Path, member: &str, content: impl Read) -> Result<()> {
    let path = folder.join(member);
    let written = write_atomically(&path, |writer| {
        io::copy(&mut BoundedReader::new(content, MAX_MEMBER_BYTES), writer).map(|_| ())
    });
    written.map_err(|error| Error::internal("cannot unpack a downloaded file").at_path(&path).because(error))
}
