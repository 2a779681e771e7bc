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
