//! What lies in a folder or an archive, told apart into splits and classes by the folders' names and by what is in them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::class_names::ClassNames;
use super::image_list::ImageList;
use super::labelled::LabelledImage;
use crate::data::Split;
use crate::data::image::{self, LeftOut};
use crate::data::names::{composed, quoted};
use crate::data::stored::{ImageSource, ImageSources};
use crate::error::{Error, Result};

/// What lies below a data set's folder or in an archive: paths relative to it, in their parts.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Files that are images by their names.
    sources: ImageSources,
    /// Which folder each of them lies in, a number of `image_folders`.
    places: Vec<u32>,
    /// Folders that images lie in, in the order of the first image of each.
    image_folders: Vec<Vec<String>>,
    /// Where each folder is among them, before any is stripped.
    numbers: HashMap<Vec<String>, u32>,
    /// Folders.
    pub folders: Vec<Vec<String>>,
    /// Files that are none.
    pub left_out: LeftOut,
    /// Files that say what the class folders' true names are.
    pub class_names: BTreeMap<Vec<String>, ClassNames>,
}

/// Where the classes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FolderLayout {
    /// `<class>/…`
    Classes,
    /// `<split>/<class>/…`
    Splits,
}

impl Tree {
    /// Adds an image that lies in `folder`.
    pub fn add_image(&mut self, folder: &[String], image: ImageSource) {
        let number = match self.numbers.get(folder) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.image_folders.len()).expect("memory is full before there are so many");
                self.image_folders.push(folder.to_vec());
                self.numbers.insert(folder.to_vec(), number);
                number
            }
        };
        self.places.push(number);
        self.sources.push(image);
    }

    /// The images with their folders' numbers.
    fn images(&self) -> impl Iterator<Item = (usize, ImageSource)> + '_ {
        self.places.iter().map(|&place| place as usize).zip(self.sources.iter())
    }

    /// The first image in the folder of that number.
    fn first_in(&self, folder: usize) -> Option<ImageSource> {
        self.sources.get(self.places.iter().position(|&place| place as usize == folder)?)
    }

    /// Whether the images are in the order of their paths' parts, as those of a folder that was walked are.
    fn is_sorted(&self) -> bool {
        let mut before: Option<(usize, String)> = None;
        self.images().all(|(folder, image)| {
            let name = last_part(&image).into_owned();
            let is_behind = |(other, other_name): &(usize, String)| {
                by_parts((&self.image_folders[*other], other_name), (&self.image_folders[folder], &name)).is_le()
            };
            let is_behind = before.as_ref().is_none_or(is_behind);
            before = Some((folder, name));
            is_behind
        })
    }

    /// Brings the images into the order of their paths' parts.
    fn sort(&mut self) {
        if self.is_sorted() {
            return;
        }
        let names = self.images().map(|(folder, image)| (folder, Box::from(last_part(&image))));
        let mut order: Vec<(usize, (usize, Box<str>))> = names.enumerate().collect();
        order.sort_by(|(_, (a, name_a)), (_, (b, name_b))| {
            by_parts((&self.image_folders[*a], name_a), (&self.image_folders[*b], name_b))
        });
        let mut sorted = Tree::default();
        for (index, (folder, _)) in order {
            if let Some(image) = self.sources.get(index) {
                sorted.add_image(&self.image_folders[folder], image);
            }
        }
        let Tree { sources, places, image_folders, .. } = sorted;
        (self.sources, self.places, self.image_folders) = (sources, places, image_folders);
    }

    /// Tells splits and classes by the folders' names. A folder called `train`, `test` or `val` is a split where it holds class
    /// folders, and a class where it holds images as those beside it do.
    ///
    /// # Errors
    /// A data error where nothing looks like class folders, and where an image's class cannot be told.
    pub fn into_labelled(mut self, name: String) -> Result<ImageList> {
        if self.sources.is_empty() {
            let got = if self.left_out.is_empty() { "no such file".to_owned() } else { self.left_out.to_string() };
            let error = Error::data("there are no images in class folders")
                .expected(format!("folders as train/<class>/ or <class>/ with {}", image::EXTENSIONS.join(", ")))
                .got(got);
            return Err(match self.left_out.advice() {
                Some(advice) => error.help(advice),
                None => error,
            });
        }
        self.strip_common_folder();
        self.sort();
        let layout = self.layout()?;
        let depth = match layout {
            FolderLayout::Classes => 1,
            FolderLayout::Splits => 2,
        };
        let mut notes = Vec::new();
        notes.extend(self.left_out.note());
        notes.extend(self.deeper_note(depth));
        let place_of = |(folder, parts): (usize, &Vec<String>)| {
            place(&texts(parts), layout).map_err(|error| match self.first_in(folder) {
                Some(image) => error.at(&image),
                None => error,
            })
        };
        let places = self.image_folders.iter().enumerate().map(place_of).collect::<Result<Vec<_>>>()?;
        let images = self.images().map(|(folder, image)| {
            let (split, class) = places[folder].clone();
            LabelledImage { split, class, image }
        });
        let images = images.collect();
        // beside class folders an empty train/ is no class
        let is_class = |parts: &&Vec<String>| {
            parts.len() == depth && (layout == FolderLayout::Splits || Split::from_name(&parts[0]).is_none())
        };
        let class_folders =
            self.folders.iter().filter(is_class).filter_map(|parts| place(&texts(parts), layout).ok()).collect();
        let labelled = ImageList { name, images, class_folders, notes, ..ImageList::default() };
        match self.class_names.into_iter().find(|(parts, _)| parts.len() == 1) {
            Some((_, names)) => names.apply(labelled),
            None => Ok(labelled),
        }
    }

    fn layout(&self) -> Result<FolderLayout> {
        let of = |is_nested: bool| -> BTreeSet<&str> {
            let folders = self.image_folders.iter().filter(|parts| !parts.is_empty() && (parts.len() > 1) == is_nested);
            folders.map(|parts| parts[0].as_str()).collect()
        };
        let is_split = |name: &&str| Split::from_name(name).is_some();
        let (flat, nested) = (of(false), of(true));
        if nested.iter().any(is_split) {
            return Ok(FolderLayout::Splits);
        }
        if nested.is_empty() && !flat.is_empty() && flat.iter().all(is_split) {
            let folders: Vec<&str> = flat.into_iter().collect();
            return Err(Error::data("the folders of the splits hold images, but no class folders")
                .expected(format!("{}/<class>/…", folders[0]))
                .got(format!("images in {}", quoted(&folders)))
                .help(
                    "put each class's images into a folder of its own, or write a .csv with path, label and split; images \
                     without classes go to convnet predict",
                ));
        }
        self.check_no_splits_below()?;
        Ok(FolderLayout::Classes)
    }

    /// A stray image beside a common folder of `train/` and `test/`, or in it, would make one class of all that is below.
    fn check_no_splits_below(&self) -> Result<()> {
        // a split, then a class
        let place = |parts: &[String]| {
            (1..parts.len().saturating_sub(1)).find(|&depth| Split::from_name(&parts[depth]).is_some())
        };
        let first = self.image_folders.iter().find_map(|parts| place(parts).map(|depth| parts[..depth].to_vec()));
        let Some(common) = first else { return Ok(()) };
        let split_of = |parts: &Vec<String>| match parts.starts_with(&common) && place(parts) == Some(common.len()) {
            true => Split::from_name(&parts[common.len()]),
            false => None,
        };
        let splits: HashSet<Split> = self.image_folders.iter().filter_map(split_of).collect();
        let stray = self.image_folders.iter().position(|parts| split_of(parts).is_none());
        let is_one_class = self.image_folders.iter().all(|parts| parts.first() == common.first());
        match stray.and_then(|folder| self.first_in(folder)) {
            Some(image) if splits.contains(&Split::Train) && (splits.len() > 1 || is_one_class) => {
                Err(Error::data("an image lies beside the folders of the splits")
                    .expected(format!("all images in {0}/train/<class>/ and the like", common.join("/")))
                    .at(image)
                    .help("move or remove it"))
            }
            _ => Ok(()),
        }
    }

    /// Where every image lies deeper than its class's folder, the classes may be there.
    fn deeper_note(&self, depth: usize) -> Option<String> {
        if self.image_folders.iter().any(|parts| parts.len() <= depth) {
            return None;
        }
        let at = |depth: usize| -> Vec<&str> {
            let names: BTreeSet<&str> = self.image_folders.iter().map(|parts| parts[depth].as_str()).collect();
            names.into_iter().collect()
        };
        let (classes, below) = (at(depth - 1), at(depth));
        let way_out = match depth {
            1 => format!("name one of the folders with `data` (…/{}), or put what is in them together", classes[0]),
            _ => "move them up by one folder".to_owned(),
        };
        Some(format!(
            "the classes are {}, whose folders hold no images themselves but folders ({}); if those are the classes, {way_out}",
            quoted(&classes),
            quoted(&below)
        ))
    }

    /// The folder that all images lie below, in a folder of it; none where it may be a split.
    fn common_folder(&self) -> Option<String> {
        let common = self.image_folders.first()?.first()?;
        let is_common = Split::from_name(common).is_none()
            && self.image_folders.iter().all(|parts| parts.len() > 1 && parts[0] == *common);
        is_common.then(|| common.clone())
    }

    /// Archives often hold one folder with everything in it.
    fn strip_common_folder(&mut self) {
        while let Some(common) = self.common_folder() {
            self.image_folders.iter_mut().for_each(|parts| drop(parts.remove(0)));
            self.folders.retain_mut(|parts| parts.len() > 1 && parts.remove(0) == common);
            let class_names = std::mem::take(&mut self.class_names).into_iter();
            let below = class_names.filter(|(parts, _)| parts.len() > 1 && parts[0] == common);
            self.class_names = below.map(|(parts, names)| (parts[1..].to_vec(), names)).collect();
        }
    }
}

/// The last part of an image's path in its folder or archive.
fn last_part(image: &ImageSource) -> Cow<'_, str> {
    match image {
        ImageSource::File(path) => path.file_name().unwrap_or_default().to_string_lossy(),
        ImageSource::Part { name, .. } | ImageSource::Memory { name, .. } | ImageSource::Row { name, .. } => {
            // of a/b.png/. it is b.png
            name.rsplit(['/', '\\']).find(|part| !["", ".", ".."].contains(part)).unwrap_or_default().into()
        }
    }
}

/// The order of two paths, each a folder's parts and a name.
fn by_parts(a: (&[String], &str), b: (&[String], &str)) -> Ordering {
    let parts = |(folder, name)| -> Vec<&str> { texts(folder).into_iter().chain([name]).collect() };
    if a.0 == b.0 { a.1.cmp(b.1) } else { parts(a).cmp(&parts(b)) }
}

fn texts(parts: &[String]) -> Vec<&str> {
    parts.iter().map(String::as_str).collect()
}

/// The split and the class that an image's folders name.
fn place(folders: &[&str], layout: FolderLayout) -> Result<(Split, String)> {
    let (split, below) = match (layout, folders) {
        (FolderLayout::Classes, below) => (Split::Train, below),
        (FolderLayout::Splits, [first, below @ ..]) => match Split::from_name(first) {
            Some(split) => (split, below),
            None => {
                return Err(Error::data("images lie beside the folders of the splits")
                    .expected(format!("all images in folders called {}", Split::NAMES.join(", ")))
                    .got(format!("{first}/"))
                    .help(
                        "move it elsewhere, or, where the folders called so are classes, put all class folders into one \
                         folder called train",
                    ));
            }
        },
        (FolderLayout::Splits, []) => {
            return Err(Error::data("an image lies beside the folders of the splits").help("move or remove it"));
        }
    };
    match below.first() {
        Some(class) => Ok((split, composed(class).into_owned())),
        None => Err(Error::data("an image lies beside the class folders")
            .expected("each image in its class's folder")
            .help("move or remove it; images without classes go to convnet predict")),
    }
}

#[cfg(test)]
mod tests;
