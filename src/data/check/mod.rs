//! What may be wrong with a data set: images that cannot be read, images that are there twice, test images among the training
//! images, classes without images.

mod cached;
mod duplicates;
mod inspect;
mod report;

use std::collections::BTreeMap;

use super::{Dataset, Samples, Split};
use crate::error::Result;
use duplicates::DuplicatePair;
use inspect::Inspection;

pub use cached::{FirstLook, cached_counts};
pub use report::{CheckReport, Counts, Finding, ImageName, Problem, write_csv};

/// A class is called rare when the largest has more than so many times its training images.
const MAX_IMBALANCE: usize = 10;

/// What a check looks for.
#[derive(Debug, Clone)]
pub struct CheckConfig {
    /// Whether files of another size than the data set's images are findings: where nobody asked for that size.
    pub finds_other_sizes: bool,
    /// The most near duplicates that are told. Duplicates, and the nearest training image of each image of another split, are
    /// told all.
    pub max_near_duplicates: usize,
}

impl Default for CheckConfig {
    fn default() -> Self {
        // so many take some hundred megabytes, and nobody reads them
        CheckConfig { finds_other_sizes: false, max_near_duplicates: 1_000_000 }
    }
}

/// Looks at every image of `dataset`, and at every pair. The data set is best opened, not loaded
/// ([`super::registry::open`]), so that files that cannot be read are findings.
///
/// # Errors
/// A data error where an image that could be read a moment ago cannot be any more.
pub fn check(dataset: &Dataset) -> Result<CheckReport> {
    check_with(dataset, &CheckConfig::default())
}

/// As [`check`], as `config` says.
///
/// # Errors
/// As [`check`].
pub fn check_with(dataset: &Dataset, config: &CheckConfig) -> Result<CheckReport> {
    let splits: Vec<(Split, &Samples)> = dataset.splits().collect();
    let inspect = |samples| inspect::inspect(samples, config.finds_other_sizes);
    let inspections = splits.iter().map(|(_, samples)| inspect(samples)).collect::<Result<Vec<Vec<Inspection>>>>()?;
    let name = |(part, index): (usize, usize)| {
        let (split, samples) = splits[part];
        let class = dataset.classes[samples.labels()[index] as usize].clone();
        let path = samples.file(index).map(|file| file.to_string());
        ImageName { split, index: samples.number(index), class, path }
    };
    let mut findings = findings_of(&inspections, &name);
    let search = duplicates::find(&splits, &inspections, config.max_near_duplicates)?;
    findings.extend(search.pairs.iter().map(|pair| finding_of(pair, &name)));
    findings.sort_by_key(|finding| (finding.image.split, finding.image.index, finding.problem));
    let (empty_classes, rare_classes, largest_class) = class_problems(dataset);
    Ok(CheckReport {
        name: dataset.name.clone(),
        images: splits.iter().map(|(split, samples)| (*split, samples.len())).collect(),
        leaks: nearest_leaks(&findings),
        findings,
        empty_classes,
        rare_classes,
        largest_class,
        sizes: count_sizes(&inspections),
        num_pairs: search.num_pairs,
        is_exhaustive: search.is_exhaustive,
        is_cut: search.is_cut,
    })
}

/// What single images tell; `name` names the image at a place.
fn findings_of(inspections: &[Vec<Inspection>], name: &impl Fn((usize, usize)) -> ImageName) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (part, inspections) in inspections.iter().enumerate() {
        for (index, inspection) in inspections.iter().enumerate() {
            let found = inspection.problems.iter().map(|(problem, detail)| Finding {
                problem: *problem,
                image: name((part, index)),
                other: None,
                difference: None,
                detail: detail.clone(),
            });
            findings.extend(found);
        }
    }
    findings
}

/// What needs no look at the images: how many classes are empty or rare.
pub fn class_counts(dataset: &Dataset) -> Counts {
    let (empty, rare, _) = class_problems(dataset);
    Counts { empty_classes: empty.len(), rare_classes: rare.len(), ..Counts::default() }
}

/// `pair.first` comes before `pair.second`; splits are in the order train, validation, test.
fn finding_of(pair: &DuplicatePair, name: &impl Fn((usize, usize)) -> ImageName) -> Finding {
    let is_across = pair.first.0 != pair.second.0;
    let (image, other) = if is_across { (pair.first, pair.second) } else { (pair.second, pair.first) };
    let problem = if pair.difference == 0.0 { Problem::Duplicate } else { Problem::NearDuplicate };
    let difference = Some(pair.difference);
    Finding { problem, image: name(image), other: Some(name(other)), difference, detail: None }
}

/// Of the training images near an image of another split, the nearest; in the order of the other splits' images.
fn nearest_leaks(findings: &[Finding]) -> Vec<Finding> {
    let mut nearest: BTreeMap<(Split, usize), &Finding> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.is_leak()) {
        let Some(other) = &finding.other else { continue };
        let kept = nearest.entry((other.split, other.index)).or_insert(finding);
        if finding.difference < kept.difference {
            *kept = finding;
        }
    }
    nearest.into_values().cloned().collect()
}

/// Classes without images, rare classes, and the size of the largest.
#[allow(clippy::type_complexity)] // three lists for one report
fn class_problems(dataset: &Dataset) -> (Vec<(Split, String)>, Vec<(String, usize)>, usize) {
    let num_classes = dataset.classes.len();
    let mut empty = Vec::new();
    for (split, samples) in dataset.splits() {
        let counts = samples.class_counts(num_classes);
        let names = dataset.classes.iter().zip(counts).filter(|(_, count)| *count == 0);
        empty.extend(names.map(|(name, _)| (split, name.clone())));
    }
    let counts = dataset.train.class_counts(num_classes);
    let largest = counts.iter().copied().max().unwrap_or(0);
    let is_rare = |count: usize| count > 0 && count.saturating_mul(MAX_IMBALANCE) < largest;
    let rare = dataset.classes.iter().cloned().zip(counts).filter(|(_, count)| is_rare(*count)).collect();
    (empty, rare, largest)
}

/// The commonest size first.
fn count_sizes(inspections: &[Vec<Inspection>]) -> Vec<([usize; 2], usize)> {
    let mut counts: BTreeMap<[usize; 2], usize> = BTreeMap::new();
    for size in inspections.iter().flatten().filter_map(|inspection| inspection.size) {
        *counts.entry(size).or_default() += 1;
    }
    let mut sizes: Vec<_> = counts.into_iter().collect();
    sizes.sort_by_key(|(_, count)| std::cmp::Reverse(*count)); // stable
    sizes
}

#[cfg(test)]
mod tests;
