//! What lies in a folder or an archive, told apart into splits and classes by the folders' names and by what is in them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::class_names::ClassNames;
use super::image_list::ImageList;
use super::labelled::{LabelledImage, LabelledImages};
use crate::data::Split;
use crate::data::image::{self, LeftOut};
use crate::data::names::{composed, quoted};
use crate::data::stored::{ImageSource, ImageSources};
use crate::error::{Error, Result};

/// What lies below a data set's folder or in an archive: paths relative to it, `/` between their parts or in parts.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Files that are images by their names: the paths, and which of `sources` they are.
    pub images: Vec<(Box<str>, usize)>,
    /// Where images lie.
    pub sources: ImageSources,
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
    /// Adds an image.
    pub fn add_image(&mut self, parts: &[String], image: ImageSource) {
        self.images.push((parts.join("/").into(), self.sources.len()));
        self.sources.push(image);
    }

    /// Each image's path in its parts.
    fn paths(&self) -> impl Iterator<Item = Vec<&str>> {
        self.images.iter().map(|(path, _)| path.split('/').collect())
    }

    /// Tells splits and classes by the folders' names. A folder called `train`, `test` or `val` is a split where it holds class
    /// folders, and a class where it holds images as those beside it do.
    ///
    /// # Errors
    /// A data error where nothing looks like class folders, and where an image's class cannot be told.
    pub fn into_labelled(mut self, name: String) -> Result<ImageList> {
        if self.images.is_empty() {
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
        self.images.sort_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
        let layout = self.layout()?;
        let depth = match layout {
            FolderLayout::Classes => 1,
            FolderLayout::Splits => 2,
        };
        let mut notes = Vec::new();
        notes.extend(self.left_out.note());
        notes.extend(self.deeper_note(depth));
        let images = self.images.iter().filter_map(|(path, number)| {
            let image = self.sources.get(*number)?;
            let folders: Vec<&str> = path.split('/').collect();
            Some(match place(&folders[..folders.len() - 1], layout) {
                Ok((split, class)) => Ok(LabelledImage { split, class, image }),
                Err(error) => Err(error.at(&image)),
            })
        });
        let images = images.collect::<Result<LabelledImages>>()?;
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
            let folders = self.paths().filter(|parts| parts.len() > 1 && (parts.len() > 2) == is_nested);
            folders.map(|parts| parts[0]).collect()
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
        // a split, then a class, then a file
        let place =
            |parts: &[&str]| (1..parts.len().saturating_sub(2)).find(|&depth| Split::from_name(parts[depth]).is_some());
        let first = self.paths().find_map(|parts| place(&parts).map(|depth| parts[..depth].to_vec()));
        let Some(common) = first else { return Ok(()) };
        let split_of = |parts: &[&str]| match parts.starts_with(&common) && place(parts) == Some(common.len()) {
            true => Split::from_name(parts[common.len()]),
            false => None,
        };
        let splits: HashSet<Split> = self.paths().filter_map(|parts| split_of(&parts)).collect();
        let stray = self.paths().position(|parts| split_of(&parts).is_none());
        let is_one_class = self.paths().all(|parts| parts[0] == common[0]);
        match stray.and_then(|at| self.sources.get(self.images[at].1)) {
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
        if self.paths().any(|parts| parts.len() <= depth + 1) {
            return None;
        }
        let at = |depth: usize| -> Vec<&str> {
            let names: BTreeSet<&str> = self.paths().map(|parts| parts[depth]).collect();
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
        let common = self.paths().next()?[0].to_owned();
        let is_common =
            Split::from_name(&common).is_none() && self.paths().all(|parts| parts.len() > 2 && parts[0] == common);
        is_common.then_some(common)
    }

    /// Archives often hold one folder with everything in it.
    fn strip_common_folder(&mut self) {
        while let Some(common) = self.common_folder() {
            self.images.iter_mut().for_each(|(path, _)| *path = path[common.len() + 1..].into());
            self.folders.retain_mut(|parts| parts.len() > 1 && parts.remove(0) == common);
            let class_names = std::mem::take(&mut self.class_names).into_iter();
            let below = class_names.filter(|(parts, _)| parts.len() > 1 && parts[0] == common);
            self.class_names = below.map(|(parts, names)| (parts[1..].to_vec(), names)).collect();
        }
    }
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
