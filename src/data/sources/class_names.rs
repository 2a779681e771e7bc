//! `classes.csv`: the true names and the order of the classes whose images lie in folders that cannot be called so.
//!
//! `convnet data export` writes it beside class folders and IDX files: a line for each class in the order of the labels, with
//! the folder's name and the class's.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::Path;

use super::image_list::ImageList;
use super::table::Table;
use crate::data::Split;
use crate::data::names::{composed, quoted};
use crate::error::{Error, Result};
use crate::files::bounded::read_up_to;

/// What the file is called.
pub(in crate::data) const FILE: &str = "classes.csv";
/// What a file is called that has a class's name on each line, in the order of the labels.
pub(super) const LINES: &str = "classnames.txt";
/// The most bytes that are read.
const MAX_BYTES: u64 = 16 << 20;
/// What it is, for messages.
const WHAT: &str = "the classes' names";

/// Folders' names and classes' names, in the order of the labels.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::data) struct ClassNames(Vec<[String; 2]>);

/// Reads the file `path`; `None` where it is another table.
///
/// # Errors
/// A data error that names the line, where it cannot be used.
pub(in crate::data) fn read(path: &Path) -> Result<Option<ClassNames>> {
    let read = std::fs::File::open(path).and_then(read_start);
    let bytes = read.map_err(|error| Error::data(format!("cannot read {WHAT}")).because(error).at_path(path))?;
    parse(bytes).map_err(|error| error.at_path(path))
}

/// The part of a file that may be such a table: all of one.
///
/// # Errors
/// What `file` returns.
pub(super) fn read_start(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// As [`read`], from the file's content.
///
/// # Errors
/// As [`read`].
pub(super) fn parse(bytes: Vec<u8>) -> Result<Option<ClassNames>> {
    if !bytes.starts_with(b"folder,class") {
        return Ok(None);
    }
    let mut table = Table::new(io::Cursor::new(bytes), WHAT, &["folder", "class"])?;
    let columns = ["folder", "class"].map(|name| table.column(name));
    let mut names: Vec<[String; 2]> = Vec::new();
    loop {
        let row = table.next().and_then(|record| {
            let Some(record) = record else { return Ok(None) };
            let [folder, class] =
                columns.map(|at| composed(at.and_then(|at| record.get(at)).unwrap_or_default()).into_owned());
            let is_twice = names.iter().any(|[other, name]| *other == folder || *name == class);
            match folder.is_empty() || class.is_empty() || is_twice {
                true => Err(Error::data("the line names no class of its own")
                    .expected("a folder and a class, each once")
                    .got(quoted(&[&folder, &class]))),
                false => Ok(Some([folder, class])),
            }
        });
        match row.map_err(|error| error.at(format!("line {}", table.line())))? {
            Some(row) => names.push(row),
            None => return Ok(Some(ClassNames(names))),
        }
    }
}

/// The names in a file called [`LINES`], for classes called 0, 1, 2 and so on.
///
/// # Errors
/// A data error that names the line, where it cannot be used.
pub(super) fn read_lines(path: &Path) -> Result<ClassNames> {
    let read = std::fs::File::open(path).and_then(|file| read_up_to(file, MAX_BYTES));
    let cannot_read = || Error::data(format!("cannot read {WHAT}")).at_path(path);
    let bytes = read.map_err(|error| cannot_read().because(error))?;
    let bytes = bytes.ok_or_else(|| cannot_read().expected(format!("at most {MAX_BYTES} bytes")).got("more"))?;
    let text = String::from_utf8(bytes).map_err(|error| cannot_read().help("save it as UTF-8").because(error))?;
    let lines = text.trim_start_matches('\u{feff}').trim_end().lines();
    let names: Vec<String> = lines.map(|line| composed(line.trim()).into_owned()).collect();
    let mut seen = BTreeSet::new();
    if let Some((line, name)) = (1..).zip(&names).find(|(_, name)| name.is_empty() || !seen.insert(name.as_str())) {
        let error = Error::data("the line names no class of its own").expected("each class once, one on a line");
        return Err(error.got(quoted(&[name])).at(format!("line {line}")).at_path(path));
    }
    let numbers: Vec<String> = (0..names.len()).map(|number| number.to_string()).collect();
    Ok(ClassNames::new(&numbers, &names))
}

impl ClassNames {
    /// These classes, in the folders with these names.
    pub fn new(folders: &[String], classes: &[String]) -> Self {
        ClassNames(folders.iter().zip(classes).map(|(folder, class)| [folder.clone(), class.clone()]).collect())
    }

    /// The classes' names, in the order of the labels.
    pub fn classes(&self) -> Vec<String> {
        self.0.iter().map(|[_, class]| class.clone()).collect()
    }

    /// Writes the file's content.
    pub fn write(&self, writer: &mut dyn Write) -> io::Result<()> {
        let mut table = csv::Writer::from_writer(writer);
        table.write_record(["folder", "class"])?;
        self.0.iter().try_for_each(|row| table.write_record(row))?;
        table.flush()
    }

    /// `labelled`, whose classes are called as their folders, under their true names and in their true order.
    ///
    /// # Errors
    /// A data error where a folder is not named.
    pub(super) fn apply(self, labelled: ImageList) -> Result<ImageList> {
        let order = self.classes();
        let known: BTreeMap<String, String> = self.0.into_iter().map(|[folder, class]| (folder, class)).collect();
        let name = |folder: String| {
            known.get(&folder).cloned().ok_or_else(|| {
                Error::data(format!("{FILE} does not name a class folder"))
                    .expected(quoted(&known.keys().collect::<Vec<_>>()))
                    .got(format!("\"{folder}\""))
                    .help(format!("write a line for it into {FILE}, or remove that file"))
            })
        };
        // an export numbers its files over all classes: this is the order that the images had
        let images = labelled.images.with_classes(name)?.in_order_of_names();
        let folders = labelled.class_folders.into_iter();
        let folders =
            folders.map(|(split, class)| Ok((split, name(class)?))).collect::<Result<Vec<(Split, String)>>>()?;
        Ok(ImageList { images, class_folders: folders, order: Some(order), ..labelled })
    }
}
