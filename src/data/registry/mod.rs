//! Turns what `--data` names into a data set: built in, a folder, or a known name that is fetched on first use.

mod download;
mod known;
mod roots;

use std::env;
use std::ffi::OsString;
use std::io::ErrorKind as IoErrorKind;
use std::path::{Path, PathBuf};

use crate::data::sources::{Purpose, class_names, formats};
use crate::data::{Dataset, LoadOptions, Samples, Splits, digits, idx, sources};
use crate::error::{Error, Result};
pub use crate::files::cache::cache_folder;
use crate::files::cache::{self, CacheKind};

use download::{Checksum, Connection};
use known::{KNOWN_SETS, KnownSet};

/// Loads the data set that `source` names:
/// - `digits`, `digits:TRAIN` or `digits:TRAIN:SEED`: drawn by the program ([`digits::parse`]);
/// - a file or a folder: [`sources::FORMATS`]; IDX files get the classes' names where the set is recognised by its training
///   labels or the folder's name;
/// - a folder with one folder of IDX files or of CIFAR's `.bin` files in it, also `<set>/raw` as torchvision's roots have it;
/// - any of IDX files with `:upright` behind it: its images with rows and columns exchanged, for EMNIST, whose files hold
///   columns first;
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
    let splits = load_from(source, options, Purpose::Train, &DataDirs::from_environment())?;
    // before hours of decoding
    splits.require_train()?;
    sources::finish(sources::shaped(splits, options)?, options)?.into_dataset()
}

/// As [`load_with`], but images that are in memory have their own shape, whatever `options` ask for:
/// [`sources::shaped_for_training`] brings them to it, once it is known which are used.
///
/// # Errors
/// As [`load_with`].
pub fn load_unshaped(source: &str, options: &LoadOptions) -> Result<Dataset> {
    let splits = load_from(source, options, Purpose::Train, &DataDirs::from_environment())?;
    splits.require_train()?;
    let dataset = sources::finish(splits, options)?.into_dataset()?;
    sources::preparation(dataset.train.shape(), options).check()?;
    Ok(dataset)
}

/// What `source` holds, to measure a model on: one split is enough, and the classes of each may be others. Images of files are
/// not decoded yet ([`sources::finish`]).
///
/// # Errors
/// As [`load_with`].
pub fn find(source: &str, options: &LoadOptions) -> Result<Splits> {
    sources::shaped(load_from(source, options, Purpose::Measure, &DataDirs::from_environment())?, options)
}

/// As [`load_with`], but images of files are not decoded yet, and those of another size than most are no error.
///
/// # Errors
/// As [`load`].
pub fn open(source: &str, options: &LoadOptions) -> Result<Dataset> {
    let splits = load_from(source, options, Purpose::Inspect, &DataDirs::from_environment())?;
    sources::shaped(splits, options)?.into_dataset()
}

/// Where the files of a known set lie, and whether they were there: in the user's own folders, as [`load`] looks for them,
/// else in the cache folder, fetched as far as they are not there yet.
///
/// # Errors
/// As [`load`].
pub fn download(name: &str) -> Result<(PathBuf, bool)> {
    download_to(name, &DataDirs::from_environment())
}

fn download_to(name: &str, surroundings: &DataDirs) -> Result<(PathBuf, bool)> {
    let set = KnownSet::find(name).ok_or_else(|| {
        let what = if is_built_in(name) { "digits are drawn, not downloaded" } else { "no data set to download" };
        let known: Vec<&str> = KNOWN_SETS.iter().map(|set| set.name).collect();
        Error::data(what).expected(format!("one of {}", known.join(", "))).got(format!("\"{name}\""))
    })?;
    match own_folder(set, surroundings)? {
        Some(folder) => Ok((folder, true)),
        None => fetch(set, surroundings),
    }
}

/// The file at `url`, whose SHA-256 begins with `sha256_start`, in the cache folder's part for weights: fetched once.
///
/// # Errors
/// A data error where it cannot be fetched, or is another file than was published; a configuration error where there is no
/// cache folder.
pub fn published_weights(url: &str, sha256_start: &str) -> Result<PathBuf> {
    weights_of(url, sha256_start, &DataDirs::from_environment())
}

fn weights_of(url: &str, sha256_start: &str, surroundings: &DataDirs) -> Result<PathBuf> {
    let no_folder =
        || cache::no_folder("no folder to download weights to").help(format!("download {url} and name the file"));
    let folder = surroundings.cache.as_ref().ok_or_else(no_folder)?.join(WEIGHTS);
    let name = url.rsplit('/').next().unwrap_or(url);
    let url = match &surroundings.mirror {
        Some(mirror) => format!("{}/{WEIGHTS}/{name}", mirror.trim_end_matches('/')),
        None => url.to_owned(),
    };
    download::one_file(&url, Checksum::Sha256Start(sha256_start), &folder, &surroundings.network)
}

/// The cache folder's part for weights, and a mirror's.
const WEIGHTS: &str = "weights";

/// `source` in the one form that names the same data set wherever the program is started: a known name as it is spelled in
/// [`names`], a path absolute.
pub fn canonical(source: &str) -> String {
    let (base, upright) = split_upright(source);
    let base = match KnownSet::find(base) {
        _ if is_built_in(base) => base.to_owned(),
        Some(set) if !Path::new(base).exists() => set.name.to_owned(),
        _ => std::path::absolute(base).map_or_else(|_| base.to_owned(), |path| path.to_string_lossy().into_owned()),
    };
    if upright { base + UPRIGHT } else { base }
}

/// What stands behind the name of a data set whose images' rows and columns are to be exchanged.
const UPRIGHT: &str = ":upright";

/// The data set's name, and whether its images are to be turned upright.
pub fn split_upright(source: &str) -> (&str, bool) {
    match source.strip_suffix(UPRIGHT) {
        Some(base) if !Path::new(source).exists() => (base, true),
        _ => (source, false),
    }
}

/// The names that [`load`] knows.
pub fn names() -> Vec<&'static str> {
    ["digits"].into_iter().chain(KNOWN_SETS.iter().map(|set| set.name)).collect()
}

/// Whether `source` names images that the program draws.
pub fn is_built_in(source: &str) -> bool {
    source == "digits" || source.starts_with("digits:")
}

/// Whether the data set called `name` has digits for classes, so that 0 to 9 are their names and not only numbers.
pub fn has_digits_for_classes(name: &str) -> bool {
    is_built_in(name)
        || KnownSet::find(name)
            .is_some_and(|set| crate::data::names::are_numbers(set.classes) && !set.classes.is_empty())
}

/// The file or folder that `source` names as it is now; none where it is drawn, or still to be downloaded.
pub fn location(source: &str) -> Option<PathBuf> {
    let path = Path::new(source);
    if is_built_in(source) || path.exists() {
        return Some(path.to_owned()).filter(|_| !is_built_in(source));
    }
    let set = KnownSet::find(source)?;
    own_folder(set, &DataDirs::from_environment()).ok().flatten()
}

/// An environment variable, where it is set and not empty.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// What the environment says about where data sets are and come from.
struct DataDirs {
    /// The user's own folders of data sets, first choice first.
    folders: Vec<PathBuf>,
    /// The folder of downloaded data sets.
    cache: Option<PathBuf>,
    /// Takes the place of every set's mirrors.
    mirror: Option<String>,
    network: Connection,
}

impl DataDirs {
    fn from_environment() -> Self {
        DataDirs {
            folders: variable("CONVNET_DATA").map(PathBuf::from).into_iter().chain([PathBuf::from("data")]).collect(),
            cache: CacheKind::Downloads.folder(),
            mirror: variable("CONVNET_MIRROR").map(|url| url.to_string_lossy().into_owned()),
            network: Connection::default(),
        }
    }
}

fn load_from(source: &str, options: &LoadOptions, purpose: Purpose, surroundings: &DataDirs) -> Result<Splits> {
    if is_built_in(source) {
        return sources::without_excluded(digits::generate(&digits::parse(source)?)?.into(), options);
    }
    let (base, is_upright) = split_upright(source);
    let path = Path::new(base);
    let found = match path.metadata() {
        Ok(metadata) if metadata.is_dir() => read_arrays_below(path)?,
        Ok(_) => None,
        Err(error) if error.kind() == IoErrorKind::NotFound => match KnownSet::find(base) {
            Some(set) => Some(load_known(set, surroundings)?),
            None => return Err(unknown(base)),
        },
        Err(error) => return Err(Error::data("cannot look at the data set").at(source).because(error)),
    };
    match found {
        Some(splits) if is_upright => {
            sources::without_excluded(splits.map(|_, samples| Ok(samples.transposed()))?, options)
        }
        Some(splits) => sources::without_excluded(splits, options),
        None if is_upright => Err(Error::config("only images of IDX files can be turned upright")
            .got(format!("\"{base}\""))
            .help(format!("leave {UPRIGHT} out; it is for EMNIST, whose files hold columns first"))),
        None => sources::read(path, options, purpose),
    }
}

/// The arrays in `folder` or in the only folder in it that has any; `None` where there are none.
fn read_arrays_below(folder: &Path) -> Result<Option<Splits>> {
    let Some(place) = roots::find(folder)? else { return Ok(None) };
    let splits = known::recognise(read_arrays(&place)?).map_err(|error| error.at_path(&place))?;
    let mut splits = name_classes(splits, &place)?;
    if place != folder {
        splits.notes.push(format!("read from {}", place.display()));
    }
    Ok(Some(splits))
}

/// `splits`, with the classes' names that lie beside its files.
fn name_classes(splits: Splits, folder: &Path) -> Result<Splits> {
    let path = folder.join(class_names::FILE);
    let names = if path.is_file() { class_names::read(&path)? } else { None };
    let Some(classes) = names.map(|names| names.classes()) else { return Ok(splits) };
    // the last ones may have no images
    let largest = splits.samples.values().flat_map(Samples::labels).max().copied().unwrap_or(0);
    match usize::try_from(largest).is_ok_and(|largest| largest < classes.len()) {
        true => Ok(Splits { classes, ..splits }),
        false => Err(Error::data("a label has no name")
            .expected(format!("0 to {}", classes.len().saturating_sub(1)))
            .got(largest)
            .at_path(&path)
            .help(format!("write a line for it into {}, or remove that file", class_names::FILE))),
    }
}

/// The arrays in `folder`, which a known set's are.
fn read_arrays(folder: &Path) -> Result<Splits> {
    match formats::arrays_in(folder)? {
        Some(read) => read(folder),
        // says what is missing
        None => idx::read_splits(folder),
    }
}

fn load_known(set: &KnownSet, surroundings: &DataDirs) -> Result<Splits> {
    let folder = match own_folder(set, surroundings)? {
        Some(folder) => folder,
        None => fetch(set, surroundings)?.0,
    };
    set.apply(read_arrays(&folder)?).map_err(|error| error.at_path(&folder))
}

/// The first of the user's own folders that holds files of `set`.
fn own_folder(set: &KnownSet, surroundings: &DataDirs) -> Result<Option<PathBuf>> {
    for root in &surroundings.folders {
        for name in [Some(set.name), set.torchvision].into_iter().flatten() {
            let folder = root.join(name);
            if roots::has_arrays(&folder)? {
                return Ok(Some(folder));
            }
        }
    }
    Ok(None)
}

/// The cache folder's copy of `set`, downloaded as far as it is not there; and whether all of it was.
fn fetch(set: &KnownSet, surroundings: &DataDirs) -> Result<(PathBuf, bool)> {
    let cache = surroundings.cache.as_ref().ok_or_else(|| {
        cache::no_folder("no folder to download data to")
            .help(format!("set one, or put {} into a folder data/{0}", set.name))
    })?;
    let folder = cache.join(set.name);
    let mirrors = match &surroundings.mirror {
        Some(mirror) => vec![format!("{}/{}", mirror.trim_end_matches('/'), set.name)],
        None => set.mirrors.iter().map(|mirror| mirror.to_string()).collect(),
    };
    let was_there = download::complete(set, &folder, &mirrors, &surroundings.network)?;
    Ok((folder, was_there))
}

fn unknown(source: &str) -> Error {
    // no name holds these: it was meant as a path
    if source.contains(['/', '\\', '.']) {
        return Error::data("no such file or folder").got(format!("\"{source}\""));
    }
    let error = Error::data("unknown data set")
        .expected(format!("{}, or one of {}", formats::kinds(), names().join(", ")))
        .got(format!("\"{source}\""));
    match known::nearest(source, &names()) {
        Some(name) => error.help(format!("did you mean {name}?")),
        None => error,
    }
}

#[cfg(test)]
mod tests;
