//! Images with their classes' names and splits, many of them in little memory.

use std::collections::{BTreeSet, HashMap};

use crate::data::Split;
use crate::data::numbers::check_count;
use crate::data::stored::{ImageSource, ImageSources};
use crate::error::Result;

/// An image that is not read yet.
#[derive(Debug, Clone)]
pub struct LabelledImage {
    /// What it is there for.
    pub split: Split,
    /// Its class's name.
    pub class: String,
    /// Where it lies.
    pub image: ImageSource,
}

/// Images that are not read yet, in an order.
#[derive(Debug, Clone, Default)]
pub struct LabelledImages {
    sources: ImageSources,
    splits: Vec<Split>,
    /// Each one's class, a number of `names`.
    classes: Vec<u32>,
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl LabelledImages {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Adds an image behind the others.
    pub fn push(&mut self, image: LabelledImage) {
        let LabelledImage { split, class, image } = image;
        let number = match self.numbers.get(&class) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.names.len()).expect("memory is full before there are so many");
                self.names.push(class.clone());
                self.numbers.insert(class, number);
                number
            }
        };
        self.sources.push(image);
        self.splits.push(split);
        self.classes.push(number);
    }

    /// Image `index`; `None` past the end.
    pub fn get(&self, index: usize) -> Option<LabelledImage> {
        self.sources.get(index).map(|image| self.labelled(index, image))
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = LabelledImage> + '_ {
        self.sources.iter().enumerate().map(|(index, image)| self.labelled(index, image))
    }

    /// `image`, which is number `index`.
    fn labelled(&self, index: usize, image: ImageSource) -> LabelledImage {
        LabelledImage { split: self.splits[index], class: self.class(index).to_owned(), image }
    }

    /// Where they lie, and each one's split and class, a number of [`LabelledImages::classes`].
    ///
    /// # Errors
    /// A data error where there are more than a number of 32 bits can tell apart.
    pub(super) fn into_parts(self) -> Result<(ImageSources, Vec<Split>, Vec<u32>)> {
        check_count(self.len())?;
        Ok((self.sources, self.splits, self.classes))
    }

    /// Where they lie.
    pub fn sources(&self) -> &ImageSources {
        &self.sources
    }

    /// Each one's split.
    pub fn splits(&self) -> &[Split] {
        &self.splits
    }

    /// The class of image `index`, which is there.
    pub(super) fn class(&self, index: usize) -> &str {
        &self.names[self.classes[index] as usize]
    }

    /// The classes that images have.
    pub(super) fn classes(&self) -> &[String] {
        &self.names
    }

    /// The classes that images of `split` have.
    pub(super) fn classes_of(&self, split: Split) -> BTreeSet<&str> {
        let mut is_there = vec![false; self.names.len()];
        for (_, class) in self.splits.iter().zip(&self.classes).filter(|(other, _)| **other == split) {
            is_there[*class as usize] = true;
        }
        self.names.iter().zip(is_there).filter_map(|(name, is_there)| is_there.then_some(name.as_str())).collect()
    }

    /// The same images, with their classes called as `name` says: each name another one.
    ///
    /// # Errors
    /// What `name` returns.
    pub(super) fn with_classes(self, name: impl Fn(String) -> Result<String>) -> Result<Self> {
        let names = self.names.into_iter().map(name).collect::<Result<Vec<String>>>()?;
        let numbers = names.iter().cloned().zip(0..).collect();
        Ok(LabelledImages { names, numbers, ..self })
    }

    /// The same images in the order of their files' names without folders; of one name, as they were.
    pub(super) fn in_order_of_names(self) -> Self {
        let (mut names, mut ends) = (Vec::new(), Vec::with_capacity(self.len()));
        for image in self.sources.iter() {
            names.extend_from_slice(image.file_name().file_name().unwrap_or_default().as_encoded_bytes());
            ends.push(names.len());
        }
        let start = |index: usize| index.checked_sub(1).map_or(0, |before| ends[before]);
        let name = |index: usize| &names[start(index)..ends[index]];
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by(|a, b| name(*a).cmp(name(*b))); // stable
        order.into_iter().filter_map(|index| self.get(index)).collect()
    }
}

impl Extend<LabelledImage> for LabelledImages {
    fn extend<T: IntoIterator<Item = LabelledImage>>(&mut self, images: T) {
        images.into_iter().for_each(|image| self.push(image));
    }
}

impl FromIterator<LabelledImage> for LabelledImages {
    fn from_iter<T: IntoIterator<Item = LabelledImage>>(images: T) -> Self {
        let mut all = LabelledImages::default();
        all.extend(images);
        all
    }
}
