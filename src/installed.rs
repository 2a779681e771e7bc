//! Where this program runs from, and so where what it lacks is to be had.

use std::path::{Path, PathBuf};

use crate::libtorch::EXPECTED_VERSION;

/// Where the running program lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installed {
    /// In an archive of `scripts/package` that was unpacked into this folder: `bin/convnet` beside libtorch in `torch/lib`.
    FromArchive(PathBuf),
    /// Where cargo built it, for the libtorch of `scripts/setup` or one of the user's own.
    FromSource,
}

use Installed::{FromArchive, FromSource};

impl Installed {
    /// Of this process; `FromSource` where the system does not tell the program's path.
    pub fn here() -> Self {
        std::env::current_exe().map_or(FromSource, |program| Self::of(&program))
    }

    fn of(program: &Path) -> Self {
        let folder = program.parent().filter(|folder| folder.ends_with("bin")).and_then(Path::parent);
        match folder.filter(|folder| folder.join("torch/lib/libtorch_cpu.so").is_file()) {
            Some(folder) => FromArchive(folder.to_owned()),
            None => FromSource,
        }
    }

    /// What has the libraries of libtorch's CUDA half, in a clause.
    pub fn cuda_advice(&self) -> String {
        match self {
            FromArchive(_) => format!("CUDA's libraries are in the archive {}", archive("cuda")),
            FromSource => "scripts/setup --cuda fetches CUDA's libraries".to_owned(),
        }
    }

    /// How to come to the libtorch that this program goes with, where it found another one, in a clause.
    pub fn libtorch_advice(&self) -> String {
        match self {
            FromArchive(folder) => {
                let own = folder.join("torch/lib");
                format!("libtorch {EXPECTED_VERSION} is in {}, so unset LD_LIBRARY_PATH", own.display())
            }
            FromSource => "run scripts/setup, and look at LD_LIBRARY_PATH".to_owned(),
        }
    }
}

/// What `scripts/package` calls its archive of this version for `variant`, `cpu` or `cuda`, without its ending.
fn archive(variant: &str) -> String {
    format!("convnet-{}-linux-x86_64-{variant}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_archive_is_known_by_what_lies_beside_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(Installed::of(&at("bin/convnet")), FromSource, "cargo install, too, has a folder called bin");
        fs::create_dir_all(at("torch/lib")).unwrap();
        fs::write(at("torch/lib/libtorch_cpu.so"), "").unwrap();
        assert_eq!(Installed::of(&at("bin/convnet")), FromArchive(folder.path().to_owned()));
        assert_eq!(Installed::of(&at("target/convnet")), FromSource);
        assert_eq!(Installed::of(Path::new("convnet")), FromSource);
    }

    #[test]
    fn each_is_told_what_it_can_get() {
        let archive = FromArchive("/opt/convnet".into());
        assert!(!archive.cuda_advice().contains("scripts/") && archive.cuda_advice().ends_with("-linux-x86_64-cuda"));
        assert!(archive.libtorch_advice().contains("/opt/convnet/torch/lib"));
        assert!(FromSource.cuda_advice().contains("scripts/setup --cuda"));
        assert!(FromSource.libtorch_advice().contains("scripts/setup"));
    }
}
