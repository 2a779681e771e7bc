//! What is known about published data sets: where their files lie, their checksums and their classes' names.

use sha2::{Digest, Sha256};

use crate::data::{Split, Splits};
use crate::error::{Error, Result};
use crate::files::hex;

/// A published data set.
pub(super) struct KnownSet {
    /// Its name on the command line and its folder's name.
    pub name: &'static str,
    /// The folder below a root where torchvision keeps it.
    pub torchvision: Option<&'static str>,
    /// The classes' names, in label order; none where a file of the set has them.
    pub classes: &'static [&'static str],
    /// Under which terms its authors publish it.
    pub licence: &'static str,
    /// Folders on the web that hold the files, best first.
    pub mirrors: &'static [&'static str],
    /// The files, as published.
    pub files: &'static [KnownFile],
    /// SHA-256 of the training labels, a byte each: known where it was computed from the real files.
    pub train_labels_sha256: Option<&'static str>,
}

/// A published file.
pub(super) struct KnownFile {
    pub name: &'static str,
    /// The published checksum. Torchvision checks the same (mnist.py); those of CIFAR's archives are on their own page.
    pub md5: &'static str,
    /// Of an archive, the files in it that are the data set.
    pub members: &'static [&'static str],
}

const DIGITS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// The data sets that convnet can fetch.
pub(super) static KNOWN_SETS: [KnownSet; 7] = [
    KnownSet {
        name: "fashion-mnist",
        torchvision: Some("FashionMNIST/raw"),
        classes: &[
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ],
        licence: "MIT (Zalando SE, https://github.com/zalandoresearch/fashion-mnist)",
        mirrors: &[
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ],
        files: &idx_files([
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ]),
        train_labels_sha256: Some("657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7"),
    },
    KnownSet {
        name: "mnist",
        torchvision: Some("MNIST/raw"),
        classes: DIGITS,
        licence: "CC BY-SA 3.0 (Yann LeCun, Corinna Cortes, Christopher Burges, http://yann.lecun.com/exdb/mnist/)",
        mirrors: &[
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ],
        files: &idx_files([
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ]),
        train_labels_sha256: None,
    },
    KnownSet {
        name: "kmnist",
        torchvision: Some("KMNIST/raw"),
        classes: &["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
        licence: "CC BY-SA 4.0 (CODH, adapted from the Kuzushiji Dataset of NIJL, doi:10.20676/00000341)",
        mirrors: &["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
        files: &idx_files([
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ]),
        train_labels_sha256: None,
    },
    KnownSet {
        name: "emnist-letters",
        torchvision: None,
        classes: &[
            "N/A", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t",
            "u", "v", "w", "x", "y", "z",
        ],
        licence: EMNIST_LICENCE,
        mirrors: EMNIST_MIRRORS,
        files: &[KnownFile {
            name: EMNIST_ARCHIVE,
            md5: EMNIST_MD5,
            members: &[
                "emnist-letters-train-images-idx3-ubyte.gz",
                "emnist-letters-train-labels-idx1-ubyte.gz",
                "emnist-letters-test-images-idx3-ubyte.gz",
                "emnist-letters-test-labels-idx1-ubyte.gz",
            ],
        }],
        train_labels_sha256: None,
    },
    KnownSet {
        name: "emnist-balanced",
        torchvision: None,
        classes: &[
            "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K",
            "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z", "a", "b", "d", "e", "f", "g",
            "h", "n", "q", "r", "t",
        ],
        licence: EMNIST_LICENCE,
        mirrors: EMNIST_MIRRORS,
        files: &[KnownFile {
            name: EMNIST_ARCHIVE,
            md5: EMNIST_MD5,
            members: &[
                "emnist-balanced-train-images-idx3-ubyte.gz",
                "emnist-balanced-train-labels-idx1-ubyte.gz",
                "emnist-balanced-test-images-idx3-ubyte.gz",
                "emnist-balanced-test-labels-idx1-ubyte.gz",
            ],
        }],
        train_labels_sha256: None,
    },
    KnownSet {
        name: "cifar10",
        torchvision: Some("cifar-10-batches-bin"),
        classes: &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
        licence: CIFAR_LICENCE,
        mirrors: CIFAR_MIRRORS,
        files: &[KnownFile {
            name: "cifar-10-binary.tar.gz",
            md5: "c32a1d4ab5d03f1284b67883e8d87530",
            members: &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
                "test_batch.bin",
            ],
        }],
        train_labels_sha256: None,
    },
    KnownSet {
        name: "cifar100",
        torchvision: Some("cifar-100-binary"),
        // in fine_label_names.txt
        classes: &[],
        licence: CIFAR_LICENCE,
        mirrors: CIFAR_MIRRORS,
        files: &[KnownFile {
            name: "cifar-100-binary.tar.gz",
            md5: "03b5dce01913d631647c71ecec9e9cb8",
            members: &["train.bin", "test.bin", "fine_label_names.txt"],
        }],
        train_labels_sha256: None,
    },
];

const EMNIST_LICENCE: &str = "none stated; NIST's data are public domain in the USA (https://www.nist.gov/itl/products-and-services/emnist-dataset)";
const EMNIST_MIRRORS: &[&str] = &["https://biometrics.nist.gov/cs_links/EMNIST/"];
const EMNIST_ARCHIVE: &str = "gzip.zip";
const EMNIST_MD5: &str = "58c8d27c78d21e728a6bc7b3cc06412e";
const CIFAR_LICENCE: &str = "none stated; cite Krizhevsky 2009 (https://www.cs.toronto.edu/~kriz/cifar.html)";
const CIFAR_MIRRORS: &[&str] = &["https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/"];

/// The four files under MNIST's names, with their md5s in that order.
const fn idx_files(md5s: [&'static str; 4]) -> [KnownFile; 4] {
    let [train_images, train_labels, test_images, test_labels] = md5s;
    [
        KnownFile { name: "train-images-idx3-ubyte.gz", md5: train_images, members: &[] },
        KnownFile { name: "train-labels-idx1-ubyte.gz", md5: train_labels, members: &[] },
        KnownFile { name: "t10k-images-idx3-ubyte.gz", md5: test_images, members: &[] },
        KnownFile { name: "t10k-labels-idx1-ubyte.gz", md5: test_labels, members: &[] },
    ]
}

impl KnownSet {
    /// The set of this name, however it is spelled: `fashion-mnist`, `fashion_mnist`, `FashionMNIST`.
    pub fn find(name: &str) -> Option<&'static KnownSet> {
        KNOWN_SETS.iter().find(|set| bare(set.name) == bare(name))
    }

    /// `splits` under this set's name and with its classes' names.
    ///
    /// # Errors
    /// A data error where a label is none of this set's.
    pub fn apply(&self, splits: Splits) -> Result<Splits> {
        if self.classes.is_empty() {
            return Ok(Splits { name: self.name.to_string(), ..splits });
        }
        if splits.classes.len() > self.classes.len() {
            return Err(Error::data(format!("a label is none of {}'s", self.name))
                .expected(format!("0 to {}", self.classes.len() - 1))
                .got(splits.classes.len() - 1)
                .help("if this is another data set, give its folder another name"));
        }
        let classes = self.classes.iter().map(|class| class.to_string()).collect();
        Ok(Splits { name: self.name.to_string(), classes, ..splits })
    }
}

/// Names the data set and its classes, where its training labels or its name tell which set it is.
///
/// # Errors
/// As [`KnownSet::apply`].
pub(super) fn recognise(mut splits: Splits) -> Result<Splits> {
    if let Some(set) = find_by_labels(&splits).or_else(|| KnownSet::find(&splits.name)) {
        return set.apply(splits);
    }
    if bare(&splits.name).starts_with("emnist")
        && let Some(classes) = emnist_classes(splits.classes.len())
    {
        splits.classes = classes;
    }
    Ok(splits)
}

fn find_by_labels(splits: &Splits) -> Option<&'static KnownSet> {
    let train = splits.samples.get(&Split::Train)?;
    let bytes: Option<Vec<u8>> = train.labels().iter().map(|&label| u8::try_from(label).ok()).collect();
    let digest = hex(&Sha256::digest(bytes?));
    KNOWN_SETS.iter().find(|set| set.train_labels_sha256 == Some(&digest))
}

/// EMNIST's parts that no known set names, told apart by their number of classes (Cohen, Afshar, Tapson, van Schaik, arXiv:1702.05373): digits and
/// mnist have 10, balanced and bymerge 47, byclass 62. The labels of letters count from 1, so that it has 27 and an
/// empty first class, which torchvision names "N/A".
fn emnist_classes(num_classes: usize) -> Option<Vec<String>> {
    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";
    let names = match num_classes {
        10 => "0123456789".to_string(),
        27 => return Some(["N/A".to_string()].into_iter().chain(LETTERS.chars().map(String::from)).collect()),
        47 => format!("0123456789{}abdefghnqrt", LETTERS.to_ascii_uppercase()),
        62 => format!("0123456789{}{LETTERS}", LETTERS.to_ascii_uppercase()),
        _ => return None,
    };
    Some(names.chars().map(String::from).collect())
}

/// The known name most like `name`, if one is like it.
pub(super) fn nearest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    // Below 0.75 the suggestions were no longer what anybody could have meant ("cifar10": "digits").
    const LEAST_LIKENESS: f64 = 0.75;
    let likeness = |known: &str| strsim::jaro_winkler(&bare(name), &bare(known));
    let best = names.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= LEAST_LIKENESS).then_some(best)
}

/// A name without case and punctuation.
fn bare(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests;
