//! Images with their classes' names and splits, before the names become labels.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

use super::exclude::{self, Kept};
use super::{OtherSizes, common_shape};
use crate::data::image::{Header, Preparation};
use crate::data::registry;
use crate::data::statistics::hex;
use crate::data::stored::{Identifier, StoredImage};
use crate::data::{Dataset, LoadOptions, Samples, Split};
use crate::error::{Error, Result};

/// How many names an error lists.
const MAX_LISTED: usize = 8;

/// An image that is not read yet.
#[derive(Debug, Clone)]
pub struct LabelledImage {
    /// What it is there for.
    pub split: Split,
    /// Its class's name.
    pub class: String,
    /// Where it lies.
    pub image: StoredImage,
}

/// The images of a data set, not read yet.
#[derive(Debug, Default)]
pub struct Labelled {
    /// The data set's name.
    pub name: String,
    /// The folder that files' paths are relative to.
    pub root: PathBuf,
    /// In the order that they are to have within their split.
    pub images: Vec<LabelledImage>,
    /// Classes that are there even where no image has them, each with its split.
    pub empty_classes: Vec<(Split, String)>,
    /// Of splits that images were left out of: the numbers of the others, ascending.
    pub(super) kept: Kept,
}

impl Labelled {
    /// Leaves out what `options` exclude, matches the classes by name between the splits, finds the images' common shape, and
    /// makes samples that read the images as they are needed.
    ///
    /// # Errors
    /// A data error where there are no training images, where a class is in one split but not in the training images or the
    /// other way round, where the images differ in size and neither `options` nor `sizes` say what becomes of them, and where
    /// the list of images to exclude cannot be used.
    pub fn into_dataset(self, options: &LoadOptions, sizes: OtherSizes) -> Result<Dataset> {
        let labelled = match &options.exclude {
            Some(list) => exclude::from_labelled(self, list)?,
            None => self,
        };
        labelled.into_samples(options, sizes)
    }

    fn into_samples(self, options: &LoadOptions, sizes: OtherSizes) -> Result<Dataset> {
        let classes = self.classes()?;
        let shape = common_shape(&self, options, sizes)?;
        let preparation = Preparation { shape, resize: options.resize };
        let mut splits = [Split::Train, Split::Validation, Split::Test].map(|split| (split, Vec::new(), Vec::new()));
        for LabelledImage { split, class, image } in self.images {
            let (_, images, labels) = &mut splits[split as usize];
            images.push(image);
            labels.push(classes.binary_search_by(|known| compare(known, &class)).expect("a class of the list") as i64);
        }
        let [train, validation, test] = splits.map(|(split, images, labels)| {
            if labels.is_empty() {
                return Ok(None);
            }
            let samples = Samples::stored(images, preparation, labels, classes.len());
            let samples = samples.and_then(|samples| match self.kept.get(&split) {
                Some(kept) => samples.numbered(kept.clone()),
                None => Ok(samples),
            });
            samples.map(Some).map_err(|error| error.at(split))
        });
        let train = train?.ok_or_else(|| Error::data("there are no training images").expected("at least one"))?;
        Ok(Dataset { name: self.name, train, validation: validation?, test: test?, classes })
    }

    /// The training images' classes, sorted: numbers by value, other names by their letters.
    fn classes(&self) -> Result<Vec<String>> {
        let of_split = |wanted: Split| -> BTreeSet<&str> {
            let of_images = self.images.iter().filter(|image| image.split == wanted).map(|image| image.class.as_str());
            let empty = self.empty_classes.iter().filter(|(split, _)| *split == wanted).map(|(_, class)| &**class);
            of_images.chain(empty).collect()
        };
        let train = of_split(Split::Train);
        for split in [Split::Validation, Split::Test] {
            let other = of_split(split);
            if other.is_empty() || other == train {
                continue;
            }
            let list = |names: Vec<&&str>| match names.len() {
                0 => "none".to_owned(),
                count => {
                    let more =
                        if count > MAX_LISTED { format!(" and {} more", count - MAX_LISTED) } else { String::new() };
                    names.into_iter().take(MAX_LISTED).copied().collect::<Vec<_>>().join(", ") + &more
                }
            };
            return Err(Error::data(format!("the classes of train and {split} differ")).got(format!(
                "missing in {split}: {}; in {split} alone: {}",
                list(train.difference(&other).collect()),
                list(other.difference(&train).collect())
            )));
        }
        let mut classes: Vec<String> = train.into_iter().map(str::to_owned).collect();
        classes.sort_by(|a, b| compare(a, b));
        Ok(classes)
    }

    /// Where the images' common shape is kept: the name changes when a file or an option does.
    pub(super) fn index_path(&self, options: &LoadOptions) -> Option<PathBuf> {
        let mut identifier = Identifier::default();
        identifier.update(format!("{:?} {}", options.image_size, options.channels));
        self.images.iter().for_each(|image| identifier.add(&image.image));
        Some(registry::cache_folder()?.join("shapes").join(format!("{}.json", hex(&identifier.finish()))))
    }

    /// Each image's header, read by several threads.
    pub(super) fn headers(&self) -> Vec<Result<Header>> {
        // reading waits for the disk more than it computes
        let num_threads = 2 * thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let share = self.images.len().div_ceil(num_threads).max(1);
        thread::scope(|scope| {
            let read = |images: &[LabelledImage]| images.iter().map(|image| image.image.header()).collect::<Vec<_>>();
            let threads: Vec<_> = self.images.chunks(share).map(|images| scope.spawn(move || read(images))).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("reading returns its errors")).collect()
        })
    }
}

/// By value where both are numbers, else as text: `2` before `10`, and one order for any names.
fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    let number = |name: &str| name.parse::<u64>().ok();
    match (number(a), number(b)) {
        (Some(x), Some(y)) => x.cmp(&y).then_with(|| a.cmp(b)),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(images: &[(Split, &str)]) -> Labelled {
        let image = |&(split, class): &(Split, &str)| LabelledImage {
            split,
            class: class.to_owned(),
            image: StoredImage::File("none.png".into()),
        };
        Labelled { name: "set".into(), images: images.iter().map(image).collect(), ..Labelled::default() }
    }

    #[test]
    fn classes_are_matched_by_name_and_a_difference_is_named() {
        let same = [(Split::Train, "10"), (Split::Train, "9"), (Split::Test, "9"), (Split::Test, "10")];
        assert_eq!(labelled(&same).classes().unwrap(), ["9", "10"]);
        let error =
            labelled(&[(Split::Train, "cat"), (Split::Train, "dog"), (Split::Test, "cat"), (Split::Test, "owl")]);
        let error = error.classes().unwrap_err().to_string();
        assert!(error.contains("missing in test: dog; in test alone: owl"), "{error}");
        let mut folders = labelled(&[(Split::Train, "cat"), (Split::Train, "dog"), (Split::Test, "cat")]);
        folders.empty_classes.push((Split::Test, "dog".into()));
        assert_eq!(folders.classes().unwrap(), ["cat", "dog"], "a folder without images is a class");
    }

    #[test]
    fn names_and_numbers_have_one_order() {
        let mut names = ["b", "10", "2", "a", "02"];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(names, ["02", "2", "10", "a", "b"]);
    }
}
