//! Turns what `--data` names into a data set: built in, a folder, or a known name that is fetched on first use.

mod download;
mod known;

use std::env;
use std::ffi::OsString;
use std::io::ErrorKind as IoErrorKind;
use std::path::{Path, PathBuf};

use crate::data::sources::OtherSizes;
use crate::data::{Dataset, LoadOptions, digits, idx, sources};
use crate::error::{Error, Result};

use download::Network;
use known::{KNOWN_SETS, KnownSet};

/// Loads the data set that `source` names:
/// - `digits`, `digits:TRAIN` or `digits:TRAIN:SEED`: drawn by the program ([`digits::parse`]);
/// - a file or a folder: [`sources::KINDS`]; IDX files get the classes' names where the set is recognised by its training
///   labels or the folder's name;
/// - a published set's name ([`names`]), in any spelling: from the first of `$CONVNET_DATA/<name>`, `./data/<name>` and the
///   user's cache folder (`$XDG_CACHE_HOME` or `~/.cache`, then `convnet/data/<name>`) that holds its files; if none
///   does, it is downloaded to the cache folder. `$CONVNET_MIRROR/<name>/` takes the place of the published mirrors.
///
/// Downloaded files are checked against the published checksums. Files that are there already are not, since many users
/// hold decompressed or newly compressed copies: they are only read strictly.
///
/// # Errors
/// A data error for an unknown name, for a file or folder that cannot be read as a data set, or where a download
/// fails; what [`digits::parse`] and [`digits::generate`] return; a configuration error where there is no folder to
/// download to.
pub fn load(source: &str) -> Result<Dataset> {
    load_with(source, &LoadOptions::default())
}

/// As [`load`], with the images' shape, those to leave out, and where they are kept, chosen by `options`.
///
/// # Errors
/// As [`load`], and where an image cannot be read or prepared.
pub fn load_with(source: &str, options: &LoadOptions) -> Result<Dataset> {
    let surroundings = Surroundings::from_environment();
    sources::finish(load_from(source, options, OtherSizes::Refuse, &surroundings)?, options)
}

/// As [`load_with`], but images of files are not decoded yet, and those of another size than most are no error.
///
/// # Errors
/// As [`load`].
pub fn open(source: &str, options: &LoadOptions) -> Result<Dataset> {
    load_from(source, options, OtherSizes::Resize, &Surroundings::from_environment())
}

/// Fetches the files of a known set into the user's cache folder, as far as they are not there yet, and returns that
/// folder.
///
/// # Errors
/// As [`load`].
pub fn download(name: &str) -> Result<PathBuf> {
    let set = KnownSet::find(name).ok_or_else(|| {
        let what = if is_built_in(name) { "digits are drawn, not downloaded" } else { "no data set to download" };
        let known: Vec<&str> = KNOWN_SETS.iter().map(|set| set.name).collect();
        Error::data(what).expected(format!("one of {}", known.join(", "))).got(format!("\"{name}\""))
    })?;
    fetch(set, &Surroundings::from_environment())
}

/// The names that [`load`] knows.
pub fn names() -> Vec<&'static str> {
    ["digits"].into_iter().chain(KNOWN_SETS.iter().map(|set| set.name)).collect()
}

/// Whether `source` names images that the program draws.
pub fn is_built_in(source: &str) -> bool {
    source == "digits" || source.starts_with("digits:")
}

/// The user's folder for what can be fetched or computed again: `$XDG_CACHE_HOME` or `~/.cache`, then `convnet`.
pub fn cache_folder() -> Option<PathBuf> {
    // the XDG base directory specification ignores relative paths
    let xdg = variable("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = xdg.or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")));
    cache.map(|cache| cache.join("convnet"))
}

/// An environment variable, where it is set and not empty.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// What the environment says about where data sets are and come from.
struct Surroundings {
    /// The user's own folders of data sets, first choice first.
    folders: Vec<PathBuf>,
    /// The folder of downloaded data sets.
    cache: Option<PathBuf>,
    /// Takes the place of every set's mirrors.
    mirror: Option<String>,
    network: Network,
}

impl Surroundings {
    fn from_environment() -> Self {
        Surroundings {
            folders: variable("CONVNET_DATA").map(PathBuf::from).into_iter().chain([PathBuf::from("data")]).collect(),
            cache: cache_folder().map(|cache| cache.join("data")),
            mirror: variable("CONVNET_MIRROR").map(|url| url.to_string_lossy().into_owned()),
            network: Network::default(),
        }
    }
}

fn load_from(source: &str, options: &LoadOptions, sizes: OtherSizes, surroundings: &Surroundings) -> Result<Dataset> {
    if is_built_in(source) {
        return sources::prepare(digits::generate(&digits::parse(source)?)?, options);
    }
    let path = Path::new(source);
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() && idx::has_files(path)? => {
            let dataset = known::recognise(idx::read_folder(path)?).map_err(|error| error.at_path(path))?;
            sources::prepare(dataset, options)
        }
        Ok(_) => sources::read(path, options, sizes),
        Err(error) if error.kind() == IoErrorKind::NotFound => match KnownSet::find(source) {
            Some(set) => sources::prepare(load_known(set, surroundings)?, options),
            None => Err(unknown(source)),
        },
        Err(error) => Err(Error::data("cannot look at the data set").at(source).because(error)),
    }
}

fn load_known(set: &KnownSet, surroundings: &Surroundings) -> Result<Dataset> {
    let folder = match own_folder(set, surroundings)? {
        Some(folder) => folder,
        None => fetch(set, surroundings)?,
    };
    let dataset = if idx::has_files(&folder)? { idx::read_folder(&folder) } else { sources::read_cifar(&folder) };
    set.apply(dataset?).map_err(|error| error.at_path(&folder))
}

/// The first of the user's own folders that holds files of `set`.
fn own_folder(set: &KnownSet, surroundings: &Surroundings) -> Result<Option<PathBuf>> {
    for folder in surroundings.folders.iter().map(|folder| folder.join(set.name)) {
        if folder.is_dir() && (idx::has_files(&folder)? || sources::is_cifar(&folder)?) {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}

/// The cache folder's copy of `set`, downloaded as far as it is not there.
fn fetch(set: &KnownSet, surroundings: &Surroundings) -> Result<PathBuf> {
    let cache = surroundings.cache.as_ref().ok_or_else(|| {
        Error::config("no folder to download data to")
            .expected("the environment variable HOME or XDG_CACHE_HOME")
            .help(format!("set one, or put {} into a folder data/{0}", set.name))
    })?;
    let folder = cache.join(set.name);
    let mirrors = match &surroundings.mirror {
        Some(mirror) => vec![format!("{}/{}", mirror.trim_end_matches('/'), set.name)],
        None => set.mirrors.iter().map(|mirror| mirror.to_string()).collect(),
    };
    download::complete(set, &folder, &mirrors, &surroundings.network)?;
    Ok(folder)
}

fn unknown(source: &str) -> Error {
    // no name holds these: it was meant as a path
    if source.contains(['/', '\\', '.']) {
        return Error::data("no such file or folder").got(format!("\"{source}\""));
    }
    let error = Error::data("unknown data set")
        .expected(format!("{}, or one of {}", sources::KINDS, names().join(", ")))
        .got(format!("\"{source}\""));
    match known::nearest(source, &names()) {
        Some(name) => error.help(format!("did you mean {name}?")),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::sync::atomic::Ordering;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use md5::{Digest, Md5};
    use tempfile::TempDir;

    use super::download::tests::{Reply, Server, patient};
    use super::known::KnownFile;
    use super::*;
    use crate::data::statistics::hex;

    /// Two 1×1 images of classes 0 and 1: the four published files' bytes, in the table's order.
    fn tiny_files() -> [(&'static str, Vec<u8>); 4] {
        let images = gzip(&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 10, 20]);
        let labels = gzip(&[0, 0, 8, 1, 0, 0, 0, 2, 0, 1]);
        let contents = [images.clone(), labels.clone(), images, labels];
        let mut contents = contents.into_iter();
        std::array::from_fn(|index| (KNOWN_SETS[0].files[index].name, contents.next().expect("four contents")))
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn write_tiny(folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        for (name, bytes) in tiny_files() {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }

    /// A home with an own folder, `own`, and a cache, `cache`.
    fn home(mirror: Option<&str>) -> (TempDir, Surroundings) {
        let home = tempfile::tempdir().unwrap();
        let surroundings = Surroundings {
            folders: vec![home.path().join("missing"), home.path().join("own")],
            cache: Some(home.path().join("cache")),
            mirror: mirror.map(String::from),
            network: patient(),
        };
        (home, surroundings)
    }

    fn load_error(source: &str) -> String {
        let (_home, surroundings) = home(None);
        let error = load_from(source, &LoadOptions::default(), OtherSizes::Refuse, &surroundings).unwrap_err();
        assert_eq!(error.exit_code(), 3, "{error}");
        error.to_string()
    }

    #[test]
    fn digits_are_built_in() {
        let (_home, surroundings) = home(None);
        let dataset = load_from("digits:20:7", &LoadOptions::default(), OtherSizes::Refuse, &surroundings).unwrap();
        assert_eq!((dataset.name.as_str(), dataset.train.len()), ("digits", 20));
        assert_eq!(
            load_from("digits:many", &LoadOptions::default(), OtherSizes::Refuse, &surroundings)
                .unwrap_err()
                .exit_code(),
            2
        );
    }

    #[test]
    fn a_folder_is_read_and_recognised_by_its_name() {
        let (home, surroundings) = home(None);
        for (folder, name, class) in [("pairs", "pairs", "1"), ("Fashion_MNIST", "fashion-mnist", "Trouser")] {
            let folder = home.path().join(folder);
            write_tiny(&folder);
            let dataset =
                load_from(folder.to_str().unwrap(), &LoadOptions::default(), OtherSizes::Refuse, &surroundings)
                    .unwrap();
            assert_eq!((dataset.name.as_str(), dataset.classes[1].as_str()), (name, class));
        }
    }

    #[test]
    fn a_known_name_is_found_in_the_users_own_folders_first() {
        let (home, surroundings) = home(Some("http://name.invalid"));
        write_tiny(&home.path().join("own/kmnist"));
        fs::create_dir_all(home.path().join("missing/kmnist")).unwrap();
        let dataset = load_from("KMNIST", &LoadOptions::default(), OtherSizes::Refuse, &surroundings).unwrap();
        assert_eq!((dataset.name.as_str(), dataset.classes[1].as_str()), ("kmnist", "ki"));
        assert!(!home.path().join("cache").exists());
        fs::remove_file(home.path().join("own/kmnist/train-labels-idx1-ubyte.gz")).unwrap();
        let error =
            load_from("kmnist", &LoadOptions::default(), OtherSizes::Refuse, &surroundings).unwrap_err().to_string();
        assert!(error.contains("own/kmnist") && error.contains("missing"), "{error}");
    }

    #[test]
    fn files_in_the_cache_are_read_without_a_checksum() {
        let (home, surroundings) = home(Some("http://name.invalid"));
        write_tiny(&home.path().join("cache/mnist"));
        assert_eq!(
            load_from("mnist", &LoadOptions::default(), OtherSizes::Refuse, &surroundings)
                .unwrap()
                .train
                .pixels()
                .unwrap(),
            [10, 20]
        );
    }

    #[test]
    fn a_known_set_is_downloaded_once_from_the_named_mirror() {
        let server = Server::start(|path| {
            let file = tiny_files().into_iter().find(|(name, _)| path == format!("/base/tiny/{name}"));
            file.map_or(Reply::new("404 Not Found", 0, b""), |(_, bytes)| Reply::ok(&bytes))
        });
        let (home, surroundings) = home(Some(&format!("{}base/", server.url)));
        let files =
            tiny_files().map(|(name, bytes)| KnownFile { name, md5: hex(&Md5::digest(bytes)).leak(), members: &[] });
        let tiny = KnownSet {
            name: "tiny",
            classes: &["a", "b"],
            licence: "none",
            mirrors: &["http://name.invalid/"],
            files: Vec::from(files).leak(),
            train_labels_sha256: None,
        };
        for _ in 0..2 {
            let dataset = load_known(&tiny, &surroundings).unwrap();
            assert_eq!((dataset.classes, dataset.train.len()), (vec!["a".to_string(), "b".to_string()], 2));
        }
        assert_eq!(server.num_requests.load(Ordering::SeqCst), 4);
        assert!(home.path().join("cache/tiny/t10k-labels-idx1-ubyte.gz").is_file());
    }

    #[test]
    fn without_a_network_the_error_tells_the_way_out() {
        let (home, surroundings) = home(Some("http://name.invalid"));
        let error = load_from("fashion-mnist", &LoadOptions::default(), OtherSizes::Refuse, &surroundings).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        let folder = home.path().join("cache/fashion-mnist").display().to_string();
        for part in ["http://name.invalid/fashion-mnist/train-images-idx3-ubyte.gz: ", "by hand", &folder] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
        assert!(!error.to_string().contains("is kept"), "nothing came: {error}");
    }

    #[test]
    fn without_a_home_there_is_nowhere_to_download_to() {
        let (_home, mut surroundings) = home(None);
        surroundings.cache = None;
        assert_eq!(
            load_from("mnist", &LoadOptions::default(), OtherSizes::Refuse, &surroundings).unwrap_err().exit_code(),
            2
        );
    }

    #[test]
    fn only_published_sets_are_downloaded() {
        for (name, what) in [("digits", "drawn, not downloaded"), ("./x", "no data set to download")] {
            let error = download(name).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains("one of fashion-mnist, mnist"), "{error}");
            assert!(!error.contains("manifest"), "{error}");
        }
    }

    #[test]
    fn what_is_no_data_set_is_told_apart() {
        assert!(load_error("fashon-mnist").contains("did you mean fashion-mnist?"));
        let error = load_error("imagenet");
        assert!(
            error.contains("digits, fashion-mnist, mnist, kmnist, emnist-letters, emnist-balanced, cifar10, cifar100")
                && !error.contains("did you mean"),
            "{error}"
        );
        assert!(load_error("").contains("unknown"));
        for path in ["./nowhere/mnist", "nowhere.npz"] {
            assert!(load_error(path).contains("no such file or folder"));
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(load_error(folder.path().to_str().unwrap()).contains("no images in class folders"));
        let archive = folder.path().join("mnist.npz");
        fs::write(&archive, b"PK").unwrap();
        let error = load_error(archive.to_str().unwrap());
        assert!(error.contains("no .npz") && error.contains("mnist.npz"), "{error}");
        let text = folder.path().join("notes.txt");
        fs::write(&text, "hello").unwrap();
        assert!(load_error(text.to_str().unwrap()).contains("a folder of IDX files"));
        assert!(load_error(archive.join("inside").to_str().unwrap()).contains("cannot look"));
        assert!(load_error("a\0b").contains("cannot look"));
    }

    #[test]
    fn fashion_mnist_is_recognised_by_its_labels() {
        let Some(assets) = env::var_os("CONVNET_TEST_ASSETS") else {
            return eprintln!("skipped: CONVNET_TEST_ASSETS is not set");
        };
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(Path::new(&assets).join("data/fashion-mnist")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        let (_home, surroundings) = home(None);
        let dataset =
            load_from(folder.path().to_str().unwrap(), &LoadOptions::default(), OtherSizes::Refuse, &surroundings)
                .unwrap();
        assert_eq!((dataset.name.as_str(), dataset.classes[9].as_str()), ("fashion-mnist", "Ankle boot"));
        assert_eq!(dataset.classes[dataset.test.unwrap().labels()[786] as usize], "Bag");
    }
}
