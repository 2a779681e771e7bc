//! What a check found: for people, as a CSV, and in two lines.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::data::{Split, size_text};
use crate::error::{Error, Result};
use crate::files::write_output;

/// How many findings of a kind are printed.
const MAX_PRINTED: usize = 20;

/// What may be wrong with an image, or with two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    /// Its file cannot be read, is damaged or cut short.
    Unreadable,
    /// Its file is called as another kind of image.
    WrongExtension,
    /// It has another size than most, and no size was asked for.
    OtherSize,
    /// All its pixels are equal.
    OneColour,
    /// Another image has the same pixels.
    Duplicate,
    /// Another image's pixels differ by at most 1/255 of full scale in the mean.
    NearDuplicate,
}

/// One image of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageName {
    /// Its split.
    pub split: Split,
    /// Its number in the split of the whole data set, from 0: images that were left out count.
    pub index: usize,
    /// Its class's name.
    pub class: String,
    /// Its file, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Something that may be wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What it is.
    pub problem: Problem,
    /// The image; of two, the one that had better be left out: the training image of a leak, else the later one.
    #[serde(flatten)]
    pub image: ImageName,
    /// The other one of two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<ImageName>,
    /// The mean difference of two images' pixels, from 0 to 255.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<f64>,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Finding {
    /// Whether the two images are in different splits, one of them to learn from.
    pub fn is_leak(&self) -> bool {
        self.other.as_ref().is_some_and(|other| self.image.split == Split::Train && other.split != Split::Train)
    }

    /// Whether the two images are of different classes.
    pub fn is_conflict(&self) -> bool {
        self.other.as_ref().is_some_and(|other| other.class != self.image.class)
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// The data set's name.
    pub name: String,
    /// Images in each split.
    pub images: BTreeMap<Split, usize>,
    /// Everything about single images and pairs, in the order of the images.
    pub findings: Vec<Finding>,
    /// Each image of another split that is, or nearly is, a training image too, with the nearest of those: a part of the
    /// findings.
    pub leaks: Vec<Finding>,
    /// Classes without images, each with its split.
    pub empty_classes: Vec<(Split, String)>,
    /// Classes that have less than a tenth of the largest class's training images: name and count.
    pub rare_classes: Vec<(String, usize)>,
    /// Training images of the largest class.
    pub largest_class: usize,
    /// How many files have each height and width; empty where the images are no files.
    pub sizes: Vec<([usize; 2], usize)>,
    /// Pairs of images.
    pub num_pairs: u64,
    /// Whether all pairs were compared. Else each image was compared with those nearest in brightness.
    pub is_exhaustive: bool,
    /// Whether there are more near duplicates than are told ([`super::CheckConfig::max_near_duplicates`]).
    pub is_cut: bool,
}

/// How many of each kind were found: what a short warning needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Images that cannot be read.
    pub unreadable: usize,
    /// Images whose files are called as another kind.
    pub wrong_extension: usize,
    /// Images of another size than most, where no size was asked for.
    pub other_size: usize,
    /// Images of one colour.
    pub one_colour: usize,
    /// Pairs with the same pixels.
    pub duplicates: usize,
    /// Pairs with nearly the same pixels.
    pub near_duplicates: usize,
    /// Images of other splits that are, or nearly are, training images too.
    pub leaks: usize,
    /// Pairs, of both kinds, of different classes.
    pub conflicts: usize,
    /// Classes without images in a split.
    pub empty_classes: usize,
    /// Classes with less than a tenth of the largest class's training images.
    pub rare_classes: usize,
}

impl Counts {
    /// What was found, with `, ` between; empty where nothing was.
    pub fn line(&self) -> String {
        let parts = [
            (self.unreadable, "unreadable", "unreadable"),
            (self.wrong_extension, "with a wrong extension", "with a wrong extension"),
            (self.other_size, "of another size", "of other sizes"),
            (self.one_colour, "of one colour", "of one colour"),
            (self.duplicates, "duplicate", "duplicates"),
            (self.near_duplicates, "near duplicate", "near duplicates"),
            (self.leaks, "image of another split that is in train too", "images of other splits that are in train too"),
            (self.conflicts, "pair with different labels", "pairs with different labels"),
            (self.empty_classes, "class without images", "classes without images"),
            (self.rare_classes, "rare class", "rare classes"),
        ];
        let parts = parts.into_iter().filter(|(count, ..)| *count > 0);
        let phrases = parts.map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }));
        phrases.collect::<Vec<_>>().join(", ")
    }
}

impl CheckReport {
    /// How many of each kind were found.
    pub fn counts(&self) -> Counts {
        let of = |problem: Problem| self.findings.iter().filter(|finding| finding.problem == problem).count();
        Counts {
            unreadable: of(Problem::Unreadable),
            wrong_extension: of(Problem::WrongExtension),
            other_size: of(Problem::OtherSize),
            one_colour: of(Problem::OneColour),
            duplicates: of(Problem::Duplicate),
            near_duplicates: of(Problem::NearDuplicate),
            leaks: self.leaks.len(),
            conflicts: self.findings.iter().filter(|finding| finding.is_conflict()).count(),
            empty_classes: self.empty_classes.len(),
            rare_classes: self.rare_classes.len(),
        }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.split, self.index, self.class)?;
        self.path.iter().try_for_each(|path| write!(f, " {path}"))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.other {
            // the image that is to be left out comes last
            Some(other) => {
                let sign = if self.problem == Problem::Duplicate { "=" } else { "~" };
                write!(f, "{other} {sign} {}", self.image)?;
            }
            None => write!(f, "{}", self.image)?,
        }
        if let Some(difference) = self.difference.filter(|difference| *difference > 0.0) {
            write!(f, ", mean difference {difference:.3}/255")?;
        }
        if self.is_leak() {
            f.write_str(", across splits")?;
        }
        if self.is_conflict() {
            f.write_str(", labels differ")?;
        }
        self.detail.iter().try_for_each(|detail| write!(f, ": {detail}"))
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let images: Vec<String> = self.images.iter().map(|(split, count)| format!("{count} {split}")).collect();
        let how = match (self.is_exhaustive, self.is_cut) {
            (false, _) => "those near in brightness compared",
            (true, false) => "all compared",
            (true, true) => "all across splits compared, within splits until there were too many near duplicates",
        };
        let noun = if self.images.values().sum::<usize>() == 1 { "image" } else { "images" };
        let pairs = if self.num_pairs == 1 { "pair" } else { "pairs" };
        writeln!(f, "{}: {} {noun}, {} {pairs}, {how}", self.name, images.join(", "), self.num_pairs)?;
        if let [(size, count), others @ ..] = &self.sizes[..] {
            let other: usize = others.iter().map(|(_, count)| count).sum();
            let others = if other > 0 { format!(", {other} of {} other sizes", others.len()) } else { String::new() };
            writeln!(f, "sizes: {count} of {}{others}", size_text(size[1], size[0]))?;
        }
        for (split, class) in self.empty_classes.iter().take(MAX_PRINTED) {
            writeln!(f, "no image of {class} in {split}")?;
        }
        if self.empty_classes.len() > MAX_PRINTED {
            writeln!(f, "… and {} more classes without images", self.empty_classes.len() - MAX_PRINTED)?;
        }
        for (class, count) in &self.rare_classes {
            let images = if *count == 1 { "image" } else { "images" };
            writeln!(f, "rare: {class}, {count} training {images}; the largest class has {}", self.largest_class)?;
        }
        for (problem, one, many) in HEADINGS {
            let findings: Vec<&Finding> = self.findings.iter().filter(|finding| finding.problem == problem).collect();
            if !findings.is_empty() {
                writeln!(f, "{} {}", findings.len(), if findings.len() == 1 { one } else { many })?;
                findings.iter().take(MAX_PRINTED).try_for_each(|finding| writeln!(f, "  {finding}"))?;
            }
            if findings.len() > MAX_PRINTED {
                writeln!(f, "  … and {} more: `out` FILE.csv lists all", findings.len() - MAX_PRINTED)?;
            }
        }
        if self.is_cut {
            writeln!(f, "  there may be more near duplicates: check again without these (`exclude`)")?;
        }
        if !self.leaks.is_empty() {
            let images = if self.leaks.len() == 1 {
                "image of another split that is"
            } else {
                "images of other splits that are"
            };
            writeln!(f, "{} {images} in train too, each with the nearest", self.leaks.len())?;
            self.leaks.iter().take(MAX_PRINTED).try_for_each(|leak| writeln!(f, "  {leak}"))?;
        }
        let line = self.counts().line();
        writeln!(f, "{}", if line.is_empty() { "nothing was found" } else { &line })
    }
}

/// A kind of finding, as one and as several are called.
const HEADINGS: [(Problem, &str, &str); 6] = [
    (Problem::Unreadable, "unreadable", "unreadable"),
    (Problem::WrongExtension, "with a wrong extension", "with a wrong extension"),
    (
        Problem::OtherSize,
        "of another size than most (`image_size` brings all to one)",
        "of other sizes than most (`image_size` brings all to one)",
    ),
    (Problem::OneColour, "of one colour", "of one colour"),
    (Problem::Duplicate, "duplicate (the same pixels)", "duplicates (the same pixels)"),
    (
        Problem::NearDuplicate,
        "near duplicate (mean difference at most 1/255 of full scale)",
        "near duplicates (mean difference at most 1/255 of full scale)",
    ),
];

/// Writes the images to leave out, one per line, as `--exclude` takes it; of two with different labels both,
/// as nobody knows which label is right. Wrong extensions do no harm and are not in it; nor are images of other sizes, where
/// they are half of all or more.
///
/// # Errors
/// A configuration error where the file cannot be written.
pub fn write_csv(path: &Path, report: &CheckReport) -> Result<()> {
    let num_images: usize = report.images.values().sum();
    let sizes_are_mixed = 2 * report.counts().other_size >= num_images;
    let is_listed = |finding: &&Finding| match finding.problem {
        Problem::WrongExtension => false,
        Problem::OtherSize => !sizes_are_mixed,
        _ => true,
    };
    let written = write_output(path, |writer| {
        let mut table = csv::Writer::from_writer(writer);
        table.write_record(["split", "index", "path", "class", "problem", "other", "difference"])?;
        for finding in report.findings.iter().filter(is_listed) {
            table.write_record(row(&finding.image, finding, finding.other.as_ref()))?;
            if let Some(other) = finding.other.as_ref().filter(|_| finding.is_conflict() && !finding.is_leak()) {
                table.write_record(row(other, finding, Some(&finding.image)))?;
            }
        }
        table.flush()
    });
    written.map_err(|error| Error::config("cannot write the list").at_path(path).because(error))
}

fn row(image: &ImageName, finding: &Finding, other: Option<&ImageName>) -> [String; 7] {
    let ImageName { split, index, class, path } = image;
    let problem = match finding.problem {
        Problem::Unreadable => "unreadable",
        Problem::WrongExtension => "wrong-extension",
        Problem::OtherSize => "other-size",
        Problem::OneColour => "one-colour",
        Problem::Duplicate => "duplicate",
        Problem::NearDuplicate => "near-duplicate",
    };
    [
        split.to_string(),
        index.to_string(),
        path.clone().unwrap_or_default(),
        class.clone(),
        problem.to_owned(),
        other.map(ToString::to_string).unwrap_or_default(),
        finding.difference.map(|difference| format!("{difference:.4}")).unwrap_or_default(),
    ]
}
