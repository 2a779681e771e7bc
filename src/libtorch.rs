//! Which libtorch this program goes with, and which one a folder holds. `build.rs` uses this file too.

use std::fs;
use std::path::{Path, PathBuf};

/// The only libtorch that torch-sys 0.24 goes with.
pub const EXPECTED_VERSION: &str = "2.11.0";

/// The version of the libtorch in a folder, without a suffix such as `+cu130`, and the file that tells it:
/// `build-version` in the archives of pytorch.org, `version.py` in wheels, the header everywhere else.
pub fn version(libtorch: &Path) -> Option<(String, PathBuf)> {
    let sources =
        [("build-version", ""), ("version.py", "__version__ = '"), ("include/torch/headeronly/version.h", "  \"")];
    sources.iter().find_map(|(file, prefix)| {
        let path = libtorch.join(file);
        let text = fs::read_to_string(&path).ok()?;
        let version = text.lines().find_map(|line| line.strip_prefix(prefix))?;
        Some((version.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect(), path))
    })
}

/// The major version of CUDA that the libtorch in a folder was built for; none where it does not tell, or was built for
/// the CPU alone: `cuda` in `version.py`, `+cu130` in `build-version`.
#[allow(dead_code)] // not in build.rs
pub fn cuda_version(libtorch: &Path) -> Option<u32> {
    let sources = [("build-version", "+cu", 2), ("version.py", "cuda: Optional[str] = '", usize::MAX)];
    sources.iter().find_map(|(file, before, most_digits)| {
        let text = fs::read_to_string(libtorch.join(file)).ok()?;
        let (_, version) = text.split_once(before)?;
        version.chars().take(*most_digits).take_while(char::is_ascii_digit).collect::<String>().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_cuda_is_told() {
        for (file, text, version) in [
            ("build-version", "2.11.0+cu126\n", Some(12)),
            ("build-version", "2.11.0+cpu\n", None),
            (
                "version.py",
                "__version__ = '2.11.0+cu130'\ncuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n",
                Some(13),
            ),
            ("version.py", "__version__ = '2.11.0'\ncuda: Optional[str] = None\n", None),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(file), text).unwrap();
            assert_eq!(cuda_version(folder.path()), version, "{text}");
        }
    }
}
