//! Links convnet's programs so that they find libtorch without an environment variable, and checks libtorch's version:
//! torch-sys checks it in few layouts only, and another version compiles here and there and then breaks at run time.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

/// The only libtorch that torch-sys 0.24 goes with.
const EXPECTED_VERSION: &str = "2.11.0";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // torch-sys's build script prints `cargo:libtorch_lib=…`, and its manifest says `links = "tch"`.
    let library_folder = PathBuf::from(env::var_os("DEP_TCH_LIBTORCH_LIB").expect("torch-sys is a direct dependency"));
    let libtorch = library_folder.parent().unwrap_or(&library_folder);
    check_version(libtorch);
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", library_folder.display());
}

/// Ends the build with a message unless `libtorch` holds the expected version.
fn check_version(libtorch: &Path) {
    let found = match version(libtorch) {
        Some(version) if version == EXPECTED_VERSION => return,
        Some(version) => format!("holds libtorch {version}"),
        None => "holds no libtorch".to_owned(),
    };
    println!(
        "cargo::error={} {found}, and convnet needs libtorch {EXPECTED_VERSION}: run scripts/setup, \
         or set LIBTORCH to the folder of a libtorch {EXPECTED_VERSION}",
        libtorch.display()
    );
    process::exit(1);
}

/// The version of the libtorch in a folder, without a suffix such as `+cu130`, from the first of the files that tell
/// it: `build-version` in the archives of pytorch.org, `version.py` in wheels, the header everywhere else.
fn version(libtorch: &Path) -> Option<String> {
    let sources =
        [("build-version", ""), ("version.py", "__version__ = '"), ("include/torch/headeronly/version.h", "  \"")];
    sources.iter().find_map(|(file, prefix)| {
        let path = libtorch.join(file);
        let text = fs::read_to_string(&path).ok()?;
        println!("cargo::rerun-if-changed={}", path.display());
        let version = text.lines().find_map(|line| line.strip_prefix(prefix))?;
        Some(version.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect())
    })
}
