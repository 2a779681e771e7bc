//! Files of a data set's folder that are no images of a kind that is read: counted, so that none is lost in silence.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// How many kinds are told.
const MAX_LISTED: usize = 8;

/// Extensions of images that are not read, in small letters: cameras', phones' and painting programs'.
const OTHER_IMAGES: [&str; 25] = [
    "heic", "heif", "avif", "jxl", "jp2", "j2k", "jpx", "psd", "xcf", "svg", "ico", "tga", "dds", "exr", "hdr", "raw",
    "dng", "cr2", "cr3", "nef", "arw", "orf", "rw2", "raf", "dcm",
];

/// How many files there are of each extension.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::data) struct LeftOut(BTreeMap<String, usize>);

impl LeftOut {
    /// Counts the file `path`.
    pub fn add(&mut self, path: &Path) {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        *self.0.entry(extension).or_default() += 1;
    }

    /// Counts the files that `other` counted.
    pub fn append(&mut self, other: LeftOut) {
        other.0.into_iter().for_each(|(extension, count)| *self.0.entry(extension).or_default() += count);
    }

    /// Whether no file was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One sentence about them; `None` where there are none.
    pub fn note(&self) -> Option<String> {
        let advice = self.advice().map(|advice| format!("; {advice}")).unwrap_or_default();
        (!self.is_empty()).then(|| format!("left out: {self}{advice}"))
    }

    /// What to do about images among them.
    pub fn advice(&self) -> Option<&'static str> {
        let is_image = |extension: &String| OTHER_IMAGES.contains(&extension.as_str());
        self.0.keys().any(is_image).then_some("convert images of these kinds to .png or .jpg")
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: Vec<(&String, &usize)> = self.0.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count)); // stable
        let mut told: Vec<String> = kinds
            .iter()
            .take(MAX_LISTED)
            .map(|(extension, count)| match extension.as_str() {
                "" => format!("{count} without an extension"),
                extension => format!("{count} .{extension}"),
            })
            .collect();
        let more: usize = kinds.iter().skip(MAX_LISTED).map(|(_, count)| **count).sum();
        told.extend((more > 0).then(|| format!("{more} others")));
        f.write_str(&told.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_by_their_extensions() {
        let mut left_out = LeftOut::default();
        assert_eq!(left_out.note(), None);
        ["a.txt", "README", "b.TXT"].iter().for_each(|name| left_out.add(Path::new(name)));
        assert_eq!(left_out.note().unwrap(), "left out: 2 .txt, 1 without an extension");
        (0..3).for_each(|_| left_out.add(Path::new("x/1.HEIC")));
        let note = left_out.note().unwrap();
        assert!(note.starts_with("left out: 3 .heic, 2 .txt, ") && note.contains("convert images"), "{note}");
        (0..9).for_each(|number| left_out.add(Path::new(&format!("a.x{number}"))));
        assert!(left_out.to_string().ends_with(", 4 others"), "{left_out}");
    }
}
