//! Links convnet's programs so that they find libtorch without an environment variable, compiles the C and C++ of `src/native/`,
//! and checks libtorch's version: torch-sys checks it in few layouts only, and another version compiles here and there and
//! then breaks at run time.

#[path = "src/libtorch.rs"]
mod libtorch;

use std::path::{Path, PathBuf};
use std::{env, process};

use libtorch::EXPECTED_VERSION;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/libtorch.rs");
    // torch-sys's build script prints `cargo:libtorch_lib=…`, and its manifest says `links = "tch"`.
    let library_folder = PathBuf::from(env::var_os("DEP_TCH_LIBTORCH_LIB").expect("torch-sys is a direct dependency"));
    let libtorch = library_folder.parent().unwrap_or(&library_folder);
    check_version(libtorch);
    compile_native(libtorch);
    compile_group(libtorch);
    compile_loops();
    compile_jpeg();
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", library_folder.display());
    println!("cargo::rerun-if-changed=Cargo.toml");
    println!("cargo::rustc-env=CONVNET_TCH_VERSION={}", tch_version());
    for (name, variable) in [("CONVNET_TARGET", "TARGET"), ("CONVNET_PROFILE", "PROFILE")] {
        println!("cargo::rustc-env={name}={}", env::var(variable).expect("cargo sets it"));
    }
    println!("cargo::rustc-env=CONVNET_RUSTC={}", rustc_version());
    // for the tests that build against it
    println!("cargo::rustc-env=CONVNET_LIBTORCH={}", libtorch.display());
}

/// The version of tch, which `Cargo.toml` names exactly: `tch = "=0.24.0"`.
fn tch_version() -> String {
    let manifest = std::fs::read_to_string("Cargo.toml").expect("cargo runs build scripts in the package's folder");
    let version = manifest.lines().find_map(|line| line.strip_prefix("tch = \"=")?.strip_suffix('"'));
    version.expect("Cargo.toml names tch's version exactly").to_owned()
}

/// What `rustc --version` prints: `rustc 1.95.0 (…)`.
fn rustc_version() -> String {
    let rustc = env::var_os("RUSTC").expect("cargo sets it");
    let output = process::Command::new(rustc).arg("--version").output().expect("the compiler runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Ends the build with a message unless `libtorch` holds the expected version.
fn check_version(libtorch: &Path) {
    let found = match libtorch::version(libtorch) {
        Some((version, told_by)) if version == EXPECTED_VERSION => {
            println!("cargo::rerun-if-changed={}", told_by.display());
            return;
        }
        Some((version, _)) => format!("holds libtorch {version}"),
        None => "holds no libtorch".to_owned(),
    };
    println!(
        "cargo::error={} {found}, and convnet needs libtorch {EXPECTED_VERSION}: run scripts/setup, \
         or set LIBTORCH to the folder of a libtorch {EXPECTED_VERSION}",
        libtorch.display()
    );
    process::exit(1);
}

/// Compiles the functions that `src/native/` declares.
fn compile_native(libtorch: &Path) {
    const SOURCES: [&str; 15] = [
        "src/native/settings.cpp",
        "src/native/feed.cpp",
        "src/native/shared.cpp",
        "src/native/flip.cpp",
        "src/native/pool.cpp",
        "src/native/conv_pool.cpp",
        "src/native/pooled_conv.cpp",
        "src/native/dropout.cpp",
        "src/native/norm.cpp",
        "src/native/adam.cpp",
        "src/native/cast.cpp",
        "src/native/trace.cpp",
        "src/native/reducer.cpp",
        "src/native/nccl.cpp",
        "src/native/graph.cpp",
    ];
    const HEADERS: [&str; 8] = [
        "src/native/caught.h",
        "src/native/parallel.h",
        "src/native/pooling.h",
        "src/native/processor.h",
        "src/native/vectors.h",
        "src/native/group.h",
        "src/native/nccl.h",
        "src/native/gloo",
    ];
    for header in HEADERS {
        println!("cargo::rerun-if-changed={header}");
    }
    for source in &SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .include(libtorch.join("include"))
        .flag("-fopenmp") // without it at::parallel_for is a loop of one thread
        .warnings(false) // libtorch's headers have many
        .opt_level(3) // fast in debug builds, too
        .files(SOURCES)
        .compile("convnet_native");
    link_openmp(&libtorch.join("lib"));
}

/// Links the OpenMP that libtorch brings along, so that its operators and convnet's share their threads; where it brings none, it
/// uses the system's, and torch-sys has that linked.
fn link_openmp(library_folder: &Path) {
    let files = std::fs::read_dir(library_folder).into_iter().flatten().flatten();
    let mut names = files.filter_map(|file| file.file_name().into_string().ok());
    if let Some(name) = names.find(|name| name.starts_with("libgomp") && name.contains(".so")) {
        println!("cargo::rustc-link-lib=dylib:+verbatim={name}");
    }
}

/// Compiles what connects several processes, for which libtorch's headers ask for more.
fn compile_group(libtorch: &Path) {
    const SOURCE: &str = "src/native/group.cpp";
    println!("cargo::rerun-if-changed={SOURCE}");
    let include = libtorch.join("include");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .includes([include.join("torch/csrc/api/include"), include])
        .include("src/native") // the names of gloo's that c10d's headers ask for
        .define("USE_C10D_GLOO", None)
        .warnings(false)
        .opt_level(2)
        .debug(false)
        .file(SOURCE)
        .compile("convnet_group");
}

/// Compiles the loops of `src/native/` for each instruction set that the operators choose among.
fn compile_loops() {
    const SOURCES: [&str; 5] = [
        "src/native/loops.cpp",
        "src/native/norm_loops.cpp",
        "src/native/conv_pool_loops.cpp",
        "src/native/pooled_conv_loops.cpp",
        "src/native/dropout_loops.cpp",
    ];
    const HEADERS: [&str; 8] = [
        "src/native/vector.h",
        "src/native/bf16.h",
        "src/native/pool.h",
        "src/native/norm.h",
        "src/native/adam.h",
        "src/native/conv_pool.h",
        "src/native/pooled_conv.h",
        "src/native/dropout.h",
    ];
    for source in SOURCES.iter().chain(&HEADERS) {
        println!("cargo::rerun-if-changed={source}");
    }
    let sets: &[(&str, &str, &[&str])] = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => &[
            ("plain", "4", &[]),
            ("avx2", "8", &["-mavx2", "-mfma"]),
            ("avx512", "16", &["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq"]),
        ],
        _ => &[("plain", "4", &[])],
    };
    for (name, width, flags) in sets {
        let mut build = cc::Build::new();
        build.cpp(true).std("c++17").opt_level(3).define("NAME", *name).define("VECTOR", *width).files(SOURCES);
        build.flags(["-fno-math-errno"]).flags(*flags).compile(&format!("convnet_loops_{name}"));
    }
}

/// Compiles the function that `src/native/jpeg.rs` declares, for the headers that mozjpeg-sys's build script tells of.
fn compile_jpeg() {
    const SOURCE: &str = "src/native/jpeg.c";
    println!("cargo::rerun-if-changed={SOURCE}");
    let folders = env::var_os("DEP_JPEG_INCLUDE").expect("mozjpeg-sys is a direct dependency");
    // fast in debug builds, too: decoding is most of the work there
    cc::Build::new().includes(env::split_paths(&folders)).std("c11").opt_level(3).file(SOURCE).compile("convnet_jpeg");
}
