//! Many images' places, in a few dozen bytes each: a data set that is streamed keeps no more of an image.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ImageSource;
use crate::data::parquet::ImageColumn;

/// Images that are read and decoded when they are needed, in an order. What many have in common, a folder or an archive, is kept
/// once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageSources {
    places: Vec<Place>,
    /// The images' names within their containers, one behind the other.
    names: Vec<u8>,
    containers: Vec<Container>,
    /// Where each container is among them.
    numbers: HashMap<Container, u32>,
    /// Encoded images that are in memory.
    encoded: Vec<Arc<[u8]>>,
}

/// Where one image lies, all but its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Place {
    container: u32,
    /// Where its name ends among all names.
    name_end: u64,
    /// Its first byte in an archive, its row in a table, or its number among those that are in memory.
    start: u64,
    /// Its bytes in an archive; all from 4 GiB on are too many in the same way.
    length: u32,
    checksum: u32,
    has_checksum: bool,
    is_deflated: bool,
    is_in_memory: bool,
}

/// What holds images.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Container {
    Folder(PathBuf),
    Archive(Arc<Path>),
    Table(Arc<ImageColumn>),
}

impl ImageSources {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Adds `image` behind the others.
    pub fn push(&mut self, image: ImageSource) {
        let mut place = Place::default();
        let container = match image {
            ImageSource::File(path) => {
                let (folder, name) = parted(&path);
                self.names.extend_from_slice(name.as_bytes());
                Container::Folder(folder.to_owned())
            }
            ImageSource::Part { archive, name, start, length, is_deflated, checksum } => {
                let (length, has_checksum) = (u32::try_from(length).unwrap_or(u32::MAX), checksum.is_some());
                let checksum = checksum.unwrap_or_default();
                place = Place { start, length, checksum, has_checksum, is_deflated, ..place };
                self.names.extend_from_slice(name.as_bytes());
                Container::Archive(archive)
            }
            ImageSource::Memory { archive, name, bytes } => {
                place = Place { start: self.encoded.len() as u64, is_in_memory: true, ..place };
                self.encoded.push(bytes);
                self.names.extend_from_slice(name.as_bytes());
                Container::Archive(archive)
            }
            ImageSource::Row { images, name, row } => {
                place.start = row;
                self.names.extend_from_slice(name.as_bytes());
                Container::Table(images)
            }
        };
        let (name_end, container) = (self.names.len() as u64, self.number_of(container));
        self.places.push(Place { name_end, container, ..place });
    }

    fn number_of(&mut self, container: Container) -> u32 {
        match self.numbers.get(&container) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.containers.len()).expect("memory is full before there are so many");
                self.containers.push(container.clone());
                self.numbers.insert(container, number);
                number
            }
        }
    }

    /// Image `index`; `None` past the end.
    pub fn get(&self, index: usize) -> Option<ImageSource> {
        let place = self.places.get(index)?;
        let name = self.name_of(index);
        let text = || name.to_string_lossy().into_owned(); // it was text before
        Some(match &self.containers[place.container as usize] {
            Container::Folder(folder) => ImageSource::File(folder.join(name)),
            Container::Archive(archive) if place.is_in_memory => ImageSource::Memory {
                archive: archive.clone(),
                name: text(),
                bytes: self.encoded[place.start as usize].clone(),
            },
            Container::Archive(archive) => ImageSource::Part {
                archive: archive.clone(),
                name: text(),
                start: place.start,
                length: place.length.into(),
                is_deflated: place.is_deflated,
                checksum: place.has_checksum.then_some(place.checksum),
            },
            Container::Table(images) => ImageSource::Row { images: images.clone(), name: text(), row: place.start },
        })
    }

    /// The name of image `index` within its folder or archive.
    fn name_of(&self, index: usize) -> &OsStr {
        let start = index.checked_sub(1).map_or(0, |before| self.places[before].name_end);
        OsStr::from_bytes(&self.names[start as usize..self.places[index].name_end as usize])
    }

    /// The name of image `index`'s file, without any folder; empty where it has none, and past the end.
    pub(in crate::data) fn file_name(&self, index: usize) -> &OsStr {
        let name = if index < self.len() { self.name_of(index) } else { OsStr::new("") };
        Path::new(name).file_name().unwrap_or_default()
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = ImageSource> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl Extend<ImageSource> for ImageSources {
    fn extend<T: IntoIterator<Item = ImageSource>>(&mut self, images: T) {
        images.into_iter().for_each(|image| self.push(image));
    }
}

impl FromIterator<ImageSource> for ImageSources {
    fn from_iter<T: IntoIterator<Item = ImageSource>>(images: T) -> Self {
        let mut all = ImageSources::default();
        all.extend(images);
        all
    }
}

/// The folder and the name that together are exactly `path`.
fn parted(path: &Path) -> (&Path, &OsStr) {
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if folder.join(name).as_os_str() == path.as_os_str() => (folder, name),
        _ => (Path::new(""), path.as_os_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_come_back_as_they_were() {
        let archive: Arc<Path> = Path::new("a/b.zip").into();
        let part = |name: &str, length, is_deflated, checksum| ImageSource::Part {
            archive: archive.clone(),
            name: name.to_owned(),
            start: 1 << 40,
            length,
            is_deflated,
            checksum,
        };
        let bytes: Arc<[u8]> = vec![1, 2, 3].into();
        let odd = OsStr::from_bytes(b"d/\xff.png").into();
        let files = ["x.png", "d/x.png", "d//y.png", "d/./z.png", "/", "..", "d/..", "", "/x.png"].map(PathBuf::from);
        let mut images: Vec<ImageSource> = files.into_iter().chain([odd]).map(ImageSource::File).collect();
        images.push(part("x/1.png", 7, false, None));
        images.push(part("", 0, true, Some(0)));
        images.push(part("ä.png", u64::from(u32::MAX), true, Some(u32::MAX)));
        images.push(ImageSource::Memory { archive: archive.clone(), name: "m.png".into(), bytes });
        let sources: ImageSources = images.iter().cloned().collect();
        assert_eq!(sources.iter().collect::<Vec<_>>(), images);
        assert_eq!(sources.get(images.len()), None);
        let names: Vec<&OsStr> = (0..images.len() + 1).map(|index| sources.file_name(index)).collect();
        let expected: Vec<&OsStr> =
            images.iter().map(|image| image.file_name().file_name().unwrap_or_default()).collect();
        assert_eq!(names[..images.len()], expected);
        assert_eq!(names[images.len()], "");
    }

    #[test]
    fn an_image_takes_a_few_dozen_bytes() {
        assert!(size_of::<Place>() <= 40);
        let folder = PathBuf::from("a folder with a long name");
        let sources: ImageSources = (0..100).map(|at| ImageSource::File(folder.join(format!("{at:02}.png")))).collect();
        assert_eq!((sources.containers.len(), sources.names.len()), (1, 600));
    }
}
