//! Odd and damaged images of every format, made by `scripts/fixtures/odd_images.py`: no decoder ends the program or hangs, and
//! what is read has Pillow's pixels. `CONVNET_ODD_IMAGES="SEED COUNT"` tries others than the usual ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use convnet::data::image::{Decode, Preprocessing};
use convnet::data::{ImageShape, image};
use convnet::error::describe;

/// The most that a value may differ from Pillow's.
const TOLERANCE: u8 = 2;
/// The longest that one image may take, in a debug build on a busy machine.
const MOST_TIME: Duration = Duration::from_secs(10);
/// A part of the error that refuses what Pillow reads without a warning, and why it is refused.
const REFUSED: [(&str, &str); 15] = [
    ("CRC error", "a PNG whose checksum is wrong is damaged, though Pillow overlooks it in some chunks"),
    ("unknown block type", "a GIF with a block of no known type is damaged"),
    ("Corrupt RLE data", "a bitmap whose runs leave the image is damaged"),
    ("RGBPalette", "neither the image crate nor its TIFF reader has palettes"),
    ("CMYK color type is not supported", "nor inks in separate planes"),
    ("Multiband", "nor channels of no said meaning"),
    ("sample format", "nor signed or large numbers, which convert() cuts at 255"),
    ("color type", "nor 2, 4 and 32 bits a sample, YCbCr and Lab"),
    ("compression method", "nor LZMA, Zstandard and WebP in TIFF"),
    ("compressed as JPEG", "its decoder is not Pillow's, so its pixels are others"),
    ("predictor in separate planes", "the two decoders differ"),
    ("multiplied by their alpha", "Pillow divides them again"),
    ("in no scan", "Pillow makes up the colours of a JPEG without them"),
    ("more than 4 samples", "the two decoders differ"),
    ("0 is white", "Pillow shows the negative"),
];
/// Part of a file's kind that is read though Pillow refuses it, and why.
const READ: [(&str, &str); 2] = [
    ("odd_pnm:", "what lies behind the last pixel is not looked at"),
    ("odd_bmp:", "a bitmap of runs may end early, and the rest has the first colour"),
];

/// What Pillow makes of a file.
struct Verdict<'a> {
    name: &'a str,
    verdict: &'a str,
    width: usize,
    height: usize,
    what: &'a str,
}

impl<'a> Verdict<'a> {
    fn parse(line: &'a str) -> Self {
        let [name, verdict, width, height, what] = *line.split(' ').collect::<Vec<_>>() else { panic!("{line}") };
        let [width, height] = [width, height].map(|side| side.parse().unwrap());
        Verdict { name, verdict, width, height, what }
    }

    /// What is wrong with what convnet makes of it; `None` where nothing is.
    fn fault(&self, folder: &Path) -> Option<String> {
        let bytes = fs::read(folder.join(self.name)).unwrap();
        let started = Instant::now();
        let own = [(1, "l"), (3, "rgb")].map(|(channels, extension)| {
            let shape = ImageShape { height: self.height.max(1), width: self.width.max(1), channels };
            (image::decode_bytes(&bytes, shape), folder.join(format!("{}.{extension}", self.name)))
        });
        let small = ImageShape { height: 1, width: 1, channels: 3 };
        let fast = image::decode_bytes(&bytes, Preprocessing { decode: Decode::Fast, ..small.into() });
        if fast.is_ok() != own[1].0.is_ok() {
            return Some(format!(
                "is read in one size alone: {}",
                fast.map_or_else(|error| describe(&error), |_| "the small".to_owned())
            ));
        }
        let header = image::header(&bytes);
        if started.elapsed() > MOST_TIME {
            return Some("takes too long".to_owned());
        }
        if let (Ok(header), Ok(_)) = (&header, &own[0].0)
            && self.verdict == "read"
            && (header.shape.height, header.shape.width) != (self.height, self.width)
        {
            return Some(format!("has another size: {}", header.shape));
        }
        own.into_iter().find_map(|(pixels, path)| match (pixels, self.verdict) {
            (Ok(_), "refused") if READ.iter().any(|(kind, _)| self.what.starts_with(kind)) => None,
            (Ok(_), "refused") => Some("is read, and Pillow refuses it".to_owned()),
            (Ok(pixels), "read" | "warned") => {
                let expected = fs::read(path).unwrap();
                let worst = pixels.iter().zip(&expected).map(|(own, pillows)| own.abs_diff(*pillows)).max();
                (worst > Some(TOLERANCE)).then(|| format!("differs from Pillow by {}", worst.unwrap_or_default()))
            }
            (Ok(_), _) => None,
            (Err(error), "read") => {
                let told = describe(&error);
                let is_meant = REFUSED.iter().any(|(part, _)| told.contains(part));
                (!is_meant).then(|| format!("is refused, and Pillow reads it: {told}"))
            }
            (Err(error), _) => {
                let told = describe(&error);
                (error.exit_code() != 3 || told.contains('\n')).then(|| format!("has a strange error: {told}"))
            }
        })
    }
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn no_odd_image_is_read_otherwise_than_by_pillow() {
    let python = crate::program::python();
    let folder = tempfile::tempdir().unwrap();
    let asked = std::env::var("CONVNET_ODD_IMAGES").unwrap_or_else(|_| "0 1200".to_owned());
    let (seed, count) = asked.split_once(' ').expect("CONVNET_ODD_IMAGES is SEED COUNT");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/fixtures/odd_images.py");
    let made = Command::new(python).arg(script).arg(folder.path()).args(["--seed", seed, "--count", count]).status();
    assert!(made.unwrap().success());
    let verdicts = fs::read_to_string(folder.path().join("verdicts.txt")).unwrap();
    let verdicts: Vec<Verdict> = verdicts.lines().map(Verdict::parse).collect();
    assert_eq!(verdicts.len(), count.parse::<usize>().unwrap());
    let faults: Vec<_> = verdicts.iter().filter_map(|verdict| Some((verdict, verdict.fault(folder.path())?))).collect();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for (verdict, fault) in &faults {
        eprintln!("{} ({}) {fault}", verdict.name, verdict.what);
        let maker = verdict.what.split(':').next().unwrap_or_default();
        *kinds.entry(format!("{maker} {}", fault.trim_end_matches(char::is_numeric))).or_default() += 1;
    }
    assert!(faults.is_empty(), "of {} images: {kinds:#?}", verdicts.len());
}
