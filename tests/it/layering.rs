//! Nothing in the library points upward: each part uses only the parts named for it here, and no two files each other.

mod circles;

use std::path::{Path, PathBuf};

const LEAVES: [&str; 11] = [
    "error",
    "rng",
    "native",
    "device",
    "drawing",
    "files",
    "installed",
    "libtorch",
    "settings",
    "metrics",
    "distributed",
];
/// What may use all.
const TOP: [&str; 3] = ["cli", "main", "lib"];
/// Every other part, and which parts it may use beside itself and the leaves.
const MAY_USE: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("settings", &[]),
    ("rng", &[]),
    ("native", &[]),
    ("device", &[]),
    ("distributed", &[]),
    ("drawing", &[]),
    ("files", &[]),
    ("installed", &[]),
    ("libtorch", &[]),
    ("metrics", &[]),
    ("data", &[]),
    ("model", &["data"]),
    ("keras", &["data", "model", "train"]),
    ("pytorch", &["data", "model"]),
    ("export", &["data", "model", "keras"]),
    ("evaluate", &["data", "model"]),
    ("log", &["data", "evaluate"]),
    ("predict", &["data", "model"]),
    ("verify", &["data", "model"]),
    ("explain", &["data", "model"]),
    ("serve", &["data", "model", "predict"]),
    ("train", &["data", "model", "log", "evaluate"]),
    ("config", &["data", "model", "log", "train"]),
    ("report", &["data", "model", "log", "evaluate", "config", "run"]),
    ("run", &["data", "model", "log", "evaluate", "train", "config", "pytorch"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The parts that `text` names after `crate::` outside comments, with their line numbers.
fn used_parts(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = (1..).zip(text.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.flat_map(|(number, line)| {
        let parts = line.split("crate::").skip(1);
        parts.map(move |rest| (number, rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("")))
    })
}

/// Where the sources lie, and all their files.
fn library() -> (PathBuf, Vec<PathBuf>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "only {} sources were read", files.len());
    (root, files)
}

#[test]
fn no_part_uses_one_above_it() {
    let (root, files) = library();
    let mut upward = Vec::new();
    for file in &files {
        let relative = file.strip_prefix(&root).unwrap();
        let first = Path::new(relative.iter().next().unwrap());
        let own = first.file_stem().unwrap().to_str().unwrap();
        if TOP.contains(&own) {
            continue;
        }
        let row = MAY_USE.iter().find(|(part, _)| *part == own);
        let (_, allowed) = row.unwrap_or_else(|| panic!("MAY_USE does not say what {own} may use"));
        for (line, part) in used_parts(&std::fs::read_to_string(file).unwrap()) {
            if part != own && !allowed.contains(&part) && !LEAVES.contains(&part) {
                upward.push(format!("{}:{line} uses {part}", relative.display()));
            }
        }
    }
    assert!(upward.is_empty(), "{}", upward.join("\n"));
}

#[test]
fn uses_are_found() {
    let text = "use crate::model::Spec;\n// crate::cli\nlet x: crate::data::Samples = crate::train::y();";
    assert_eq!(used_parts(text).collect::<Vec<_>>(), [(1, "model"), (3, "data"), (3, "train")]);
}

#[test]
fn no_two_files_use_each_other() {
    let (root, files) = library();
    let arrows = circles::arrows(&root, &files);
    let circles = circles::circles(&arrows);
    let used_in = |circle: &std::collections::BTreeSet<&str>| -> String {
        let line = |file: &&str| {
            let used = arrows[*file].iter().map(String::as_str).filter(|used| circle.contains(used));
            format!("  {file} uses {}\n", used.collect::<Vec<_>>().join(", "))
        };
        circle.iter().map(line).collect()
    };
    assert!(circles.is_empty(), "circles:\n{}", circles.iter().map(used_in).collect::<Vec<_>>().join("\n"));
}

/// Flags are the program's: who uses the library builds without them.
#[test]
fn only_the_command_line_knows_clap() {
    let (root, files) = library();
    let is_program = |file: &Path| file.starts_with("cli") || file == Path::new("main.rs");
    let knows_clap = |file: &Path| std::fs::read_to_string(root.join(file)).unwrap().contains("clap");
    let relative = files.iter().map(|file| file.strip_prefix(&root).unwrap());
    let found: Vec<_> = relative.filter(|file| !is_program(file) && knows_clap(file)).collect();
    assert!(found.is_empty(), "{found:?}");
}

/// What the library says names a setting by its key; the program makes a flag of it (`cli::spelling`).
#[test]
fn only_the_command_line_names_flags() {
    let settings = convnet::config::RunConfig::default().keys().unwrap();
    let flags: Vec<String> = settings.keys().map(|key| format!("--{}", key.replace('_', "-"))).collect();
    let (root, files) = library();
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !file.starts_with(root.join("cli"))) {
        let text = std::fs::read_to_string(file).unwrap();
        let code = (1..).zip(text.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"));
        let named = code.filter(|(_, line)| flags.iter().any(|flag| line.contains(flag)));
        found.extend(named.map(|(line, _)| format!("{}:{line}", file.strip_prefix(&root).unwrap().display())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
