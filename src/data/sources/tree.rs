//! What lies in a folder or an archive, told apart into splits and classes by the folders' names and by what is in them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::class_names::ClassNames;
use super::image_list::ImageList;
use super::labelled::{LabelledImage, LabelledImages};
use crate::data::Split;
use crate::data::image::{self, LeftOut};
use crate::data::names::{composed, quoted};
use crate::data::stored::ImageSource;
use crate::error::{Error, Result};

/// What lies below a data set's folder or in an archive: paths relative to it, in their parts.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Files that are images by their names.
    pub images: Vec<(Vec<String>, ImageSource)>,
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
        self.images.sort_by(|(a, _), (b, _)| a.cmp(b));
        let layout = self.layout()?;
        let depth = match layout {
            FolderLayout::Classes => 1,
            FolderLayout::Splits => 2,
        };
        let mut notes = Vec::new();
        notes.extend(self.left_out.note());
        notes.extend(self.deeper_note(depth));
        let images = self.images.into_iter().map(|(parts, image)| {
            let (split, class) = place(&parts[..parts.len() - 1], layout).map_err(|error| error.at(&image))?;
            Ok(LabelledImage { split, class, image })
        });
        let images = images.collect::<Result<LabelledImages>>()?;
        // beside class folders an empty train/ is no class
        let is_class = |parts: &&Vec<String>| {
            parts.len() == depth && (layout == FolderLayout::Splits || Split::from_name(&parts[0]).is_none())
        };
        let class_folders =
            self.folders.iter().filter(is_class).filter_map(|parts| place(parts, layout).ok()).collect();
        let labelled = ImageList { name, images, class_folders, notes, ..ImageList::default() };
        match self.class_names.into_iter().find(|(parts, _)| parts.len() == 1) {
            Some((_, names)) => names.apply(labelled),
            None => Ok(labelled),
        }
    }

    fn layout(&self) -> Result<FolderLayout> {
        let of = |is_nested: bool| -> BTreeSet<&str> {
            let folders = self.images.iter().filter(|(parts, _)| parts.len() > 1 && (parts.len() > 2) == is_nested);
            folders.map(|(parts, _)| parts[0].as_str()).collect()
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
        let place = |parts: &[String]| {
            (1..parts.len().saturating_sub(2)).find(|&depth| Split::from_name(&parts[depth]).is_some())
        };
        let first = self.images.iter().find_map(|(parts, _)| Some(&parts[..place(parts)?]));
        let Some(common) = first else { return Ok(()) };
        let split_of = |parts: &[String]| match parts.starts_with(common) && place(parts) == Some(common.len()) {
            true => Split::from_name(&parts[common.len()]),
            false => None,
        };
        let splits: HashSet<Split> = self.images.iter().filter_map(|(parts, _)| split_of(parts)).collect();
        let stray = self.images.iter().find(|(parts, _)| split_of(parts).is_none());
        let is_one_class = self.images.iter().all(|(parts, _)| parts[0] == common[0]);
        match stray {
            Some((_, image)) if splits.contains(&Split::Train) && (splits.len() > 1 || is_one_class) => {
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
        if self.images.iter().any(|(parts, _)| parts.len() <= depth + 1) {
            return None;
        }
        let at = |depth: usize| -> Vec<&str> {
            let names: BTreeSet<&str> = self.images.iter().map(|(parts, _)| parts[depth].as_str()).collect();
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

    /// Archives often hold one folder with everything in it.
    fn strip_common_folder(&mut self) {
        while let Some((first, _)) = self.images.first()
            && let Some(common) = first.first().cloned()
            && Split::from_name(&common).is_none()
            && self.images.iter().all(|(parts, _)| parts.len() > 2 && parts[0] == common)
        {
            self.images.iter_mut().for_each(|(parts, _)| drop(parts.remove(0)));
            self.folders.retain_mut(|parts| parts.len() > 1 && parts.remove(0) == common);
            let class_names = std::mem::take(&mut self.class_names).into_iter();
            let below = class_names.filter(|(parts, _)| parts.len() > 1 && parts[0] == common);
            self.class_names = below.map(|(parts, names)| (parts[1..].to_vec(), names)).collect();
        }
    }
}

/// The split and the class that an image's folders name.
fn place(folders: &[String], layout: FolderLayout) -> Result<(Split, String)> {
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
