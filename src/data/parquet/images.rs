//! The images of a Parquet file, read from their pages as they are needed.

use std::collections::VecDeque;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use parquet::data_type::ByteArray;

use super::column::{Column, ValuePlace, ValuePlaces, damaged};
use crate::error::{Error, Result};

/// How many bytes of pages are kept unpacked, for the images beside one that was asked for.
const MAX_KEPT_BYTES: usize = 256 << 20;

/// The encoded images of a file: a row each.
#[derive(Debug)]
pub struct ImageColumn {
    path: Arc<Path>,
    column: Column,
    /// Of each page that is not packed and was read once: where its images lie, so that the next one is read without the others.
    places: Vec<OnceLock<ValuePlaces>>,
    kept: Arc<KeptPages>,
}

impl PartialEq for ImageColumn {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.column.pages() == other.column.pages()
    }
}

impl Eq for ImageColumn {}

impl Hash for ImageColumn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path.hash(state);
    }
}

impl ImageColumn {
    pub(super) fn new(path: Arc<Path>, column: Column, kept: Arc<KeptPages>) -> Self {
        let places = column.pages().iter().map(|_| OnceLock::new()).collect();
        ImageColumn { path, column, places, kept }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The encoded image of `row`.
    ///
    /// # Errors
    /// A data error past the end, where there is no image, and where the file is damaged.
    pub fn image(&self, row: u64) -> Result<Vec<u8>> {
        let past_end = || Error::data("the file has no such row").got(row);
        let number = self.column.page_of(row).ok_or_else(past_end)?;
        let at = (row - self.column.pages()[number].first_row) as usize;
        let image = match self.places[number].get() {
            Some(places) => self.read(*places.get(at).ok_or_else(past_end)?).map_err(damaged)?,
            None => {
                let page = self.page(number)?;
                let image = page.get(at).ok_or_else(past_end)?;
                image.as_ref().map_or_else(Vec::new, |image| image.data().to_vec())
            }
        };
        match image.is_empty() {
            false => Ok(image),
            true => Err(Error::data("the row has no image: its bytes are null or empty").help(
                "an image of which only the path is there is not read: write the file with the images' bytes in it",
            )),
        }
    }

    fn read(&self, place: ValuePlace) -> io::Result<Vec<u8>> {
        let mut image = vec![0; place.length as usize];
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(place.start))?;
        file.read_exact(&mut image)?;
        Ok(image)
    }

    /// All images of a page: as they are kept, else as they lie in the file. Threads that need one page at the same time may each
    /// read it.
    fn page(&self, number: usize) -> Result<Images> {
        if let Some(images) = self.kept.find(&self.path, number) {
            return Ok(images);
        }
        let (images, places) = self.column.bytes(number)?;
        let images = Arc::new(images);
        match places {
            // another thread may have been first, with the same
            Some(places) => drop(self.places[number].set(places)),
            None => self.kept.keep(&self.path, number, &images),
        }
        Ok(images)
    }
}

/// A page's images.
type Images = Arc<Vec<Option<ByteArray>>>;

/// The packed pages that were unpacked last, of all files of a data set.
#[derive(Debug, Default)]
pub struct KeptPages(Mutex<VecDeque<KeptPage>>);

#[derive(Debug)]
struct KeptPage {
    path: Arc<Path>,
    number: usize,
    images: Images,
    num_bytes: usize,
}

impl KeptPage {
    fn is(&self, path: &Arc<Path>, number: usize) -> bool {
        self.number == number && Arc::ptr_eq(&self.path, path)
    }
}

impl KeptPages {
    fn find(&self, path: &Arc<Path>, number: usize) -> Option<Images> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.iter().find(|page| page.is(path, number)).map(|page| page.images.clone())
    }

    fn keep(&self, path: &Arc<Path>, number: usize, images: &Images) {
        let num_bytes = images.iter().map(|image| size_of_val(image) + image.as_ref().map_or(0, ByteArray::len)).sum();
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !pages.iter().any(|page| page.is(path, number)) {
            pages.push_back(KeptPage { path: path.clone(), number, images: images.clone(), num_bytes });
        }
        let mut total: usize = pages.iter().map(|page| page.num_bytes).sum();
        while total > MAX_KEPT_BYTES
            && let Some(oldest) = pages.pop_front()
        {
            total -= oldest.num_bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(length: usize) -> Images {
        Arc::new(vec![Some(ByteArray::from(vec![7; length])), None])
    }

    #[test]
    fn a_page_is_kept_and_never_too_much_is() {
        let kept = KeptPages::default();
        let paths: [Arc<Path>; 2] = ["a", "b"].map(|name| Path::new(name).into());
        let pages = [(0, 0, 10), (0, 1, 11), (1, 0, 12)];
        pages.iter().for_each(|&(path, number, length)| kept.keep(&paths[path], number, &page(length)));
        for (path, number, length) in pages {
            let images = kept.find(&paths[path], number).unwrap();
            assert_eq!(images[0].as_ref().unwrap().len(), length);
        }
        kept.keep(&paths[1], 1, &page(MAX_KEPT_BYTES - 1000));
        assert!(kept.find(&paths[0], 0).is_some(), "there was room for it");
        kept.keep(&paths[1], 2, &page(1000));
        assert!(kept.find(&paths[0], 0).is_none(), "the oldest makes room");
        assert!(kept.0.lock().unwrap().iter().map(|page| page.num_bytes).sum::<usize>() <= MAX_KEPT_BYTES);
    }
}
