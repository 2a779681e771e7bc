//! Many images' places, in about a dozen bytes each: a data set that is streamed keeps no more of an image.

mod place;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ImageSource;
use crate::data::parquet::ImageColumn;
use place::Place;

/// So many images are in a block: to find one, those before it in its block are passed over.
const BLOCK: usize = 32;

/// Images that are read and decoded when they are needed, in an order. What many have in common, a folder or an archive, is kept
/// once; of each image, what tells it from the one before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageSources {
    len: usize,
    /// Places, [`BLOCK`] of them one behind the other in each.
    blocks: Vec<Box<[u8]>>,
    /// Those behind the last whole block, and the last of them.
    open: Vec<u8>,
    last: Place,
    containers: Vec<Container>,
    /// Where each container is among them.
    numbers: HashMap<Container, u32>,
    /// Encoded images that are in memory.
    encoded: Vec<Arc<[u8]>>,
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
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds `image` behind the others.
    pub fn push(&mut self, image: ImageSource) {
        let place = self.place_of(image);
        place.write(&self.last, &mut self.open);
        self.last = place;
        self.len += 1;
        if self.len.is_multiple_of(BLOCK) {
            // a block begins behind nothing, so that it can be read by itself
            self.blocks.push(Box::from(&self.open[..]));
            self.open.clear();
            self.last = Place::default();
        }
    }

    fn place_of(&mut self, image: ImageSource) -> Place {
        match image {
            ImageSource::File(path) => {
                let (folder, name) = parted(&path);
                let container = self.number_of(Container::Folder(folder.to_owned()));
                Place { container, name: name.as_bytes().to_owned(), ..Place::default() }
            }
            ImageSource::Part { archive, name, start, length, is_deflated, checksum } => {
                let (container, name) = (self.number_of(Container::Archive(archive)), name.into_bytes());
                Place { container, start, length, checksum, is_deflated, is_in_memory: false, name }
            }
            ImageSource::Memory { archive, name, bytes } => {
                let (container, name) = (self.number_of(Container::Archive(archive)), name.into_bytes());
                let start = self.encoded.len() as u64;
                self.encoded.push(bytes);
                Place { container, start, is_in_memory: true, name, ..Place::default() }
            }
            ImageSource::Row { images, name, row } => {
                let (container, name) = (self.number_of(Container::Table(images)), name.into_bytes());
                Place { container, start: row, name, ..Place::default() }
            }
        }
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
        if index >= self.len {
            return None;
        }
        let mut bytes = self.blocks.get(index / BLOCK).map_or(&self.open[..], |block| &block[..]);
        let mut place = Place::default();
        for _ in 0..=index % BLOCK {
            place.read_next(&mut bytes);
        }
        Some(self.source(&place))
    }

    fn source(&self, place: &Place) -> ImageSource {
        let name = OsStr::from_bytes(&place.name);
        let text = || name.to_string_lossy().into_owned(); // it was text before
        match &self.containers[place.container as usize] {
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
                length: place.length,
                is_deflated: place.is_deflated,
                checksum: place.checksum,
            },
            Container::Table(images) => ImageSource::Row { images: images.clone(), name: text(), row: place.start },
        }
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = ImageSource> + '_ {
        let blocks = self.blocks.iter().map(|block| &block[..]).chain([&self.open[..]]);
        blocks.flat_map(move |mut bytes| {
            let mut place = Place::default();
            std::iter::from_fn(move || {
                (!bytes.is_empty()).then(|| {
                    place.read_next(&mut bytes);
                    self.source(&place)
                })
            })
        })
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
        for copies in [1, 2, 3, 7] {
            let images = vec![images.clone(); copies].concat(); // of more than one block, too
            let sources: ImageSources = images.iter().cloned().collect();
            assert_eq!((sources.len(), sources.get(images.len())), (images.len(), None));
            assert_eq!(sources.iter().collect::<Vec<_>>(), images);
            let singly: Vec<ImageSource> = (0..images.len()).filter_map(|index| sources.get(index)).collect();
            assert_eq!(singly, images);
        }
    }

    #[test]
    fn an_image_takes_a_dozen_bytes() {
        let archive: Arc<Path> = Path::new("a/train-000000.tar").into();
        let folder = PathBuf::from("a folder with a long name");
        let part = |number: u64| ImageSource::Part {
            archive: archive.clone(),
            name: format!("{number:06}.png"),
            start: 512 + 2048 * number,
            length: 400 + number % 200,
            is_deflated: false,
            checksum: None,
        };
        let files: ImageSources =
            (0..3200).map(|number| ImageSource::File(folder.join(format!("{number:06}.png")))).collect();
        for sources in [files, (0..3200).map(part).collect()] {
            let bytes: usize = sources.blocks.iter().map(|block| block.len() + size_of::<Box<[u8]>>()).sum();
            assert!(bytes / 3200 <= 14, "{bytes}");
            assert_eq!((sources.containers.len(), sources.open.len()), (1, 0));
        }
    }
}
