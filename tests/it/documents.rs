//! The documents for people who change the program name files that are there.

use std::path::Path;

/// The paths between backticks that begin with a folder of the repository.
fn named_paths(text: &str) -> impl Iterator<Item = &str> {
    const FOLDERS: [&str; 8] =
        ["src/", "tests/", "scripts/", "docs/", "examples/", "fuzz/", "models/presets", "build.rs"];
    let quoted = text.split('`').skip(1).step_by(2);
    let paths = quoted.filter_map(|words| words.split_whitespace().next());
    paths.filter(|path| FOLDERS.iter().any(|folder| path.starts_with(folder)))
}

#[test]
fn paths_in_the_developers_documents_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for document in ["docs/ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        // code blocks have backticks of their own
        let text: String = text.split("```").step_by(2).collect();
        let paths: Vec<&str> = named_paths(&text).collect();
        assert!(paths.len() > 5, "{document} names only {paths:?}");
        let missing: Vec<&&str> = paths.iter().filter(|path| !root.join(path).exists()).collect();
        assert!(missing.is_empty(), "{document} names what is not there: {missing:?}");
    }
}

#[test]
fn paths_are_found() {
    let text = "`src/a.rs` and `DataLoader` in `tests/b/`, `scripts/check` as `scripts/test --quick`";
    assert_eq!(named_paths(text).collect::<Vec<_>>(), ["src/a.rs", "tests/b/", "scripts/check", "scripts/test"]);
}

#[test]
fn the_archive_that_the_program_advises_is_the_one_that_is_made() {
    let script = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/package")).unwrap();
    assert!(script.contains("name=convnet-$version-linux-x86_64-$variant"));
    let advice = convnet::installed::Installed::FromArchive("/opt/convnet".into()).cuda_advice();
    assert!(advice.ends_with(&format!(" convnet-{}-linux-x86_64-cuda", env!("CARGO_PKG_VERSION"))), "{advice}");
}

#[test]
fn scripts_name_the_libtorch_that_the_program_goes_with() {
    for script in ["scripts/setup", "scripts/package"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(script)).unwrap();
        assert!(text.contains(&format!("version={}", convnet::libtorch::EXPECTED_VERSION)), "{script}");
    }
}
