//! Files that were made to do harm, or are simply broken: each is a clear error or gives the right images, and nothing takes
//! more memory or time than it should.

use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use convnet::data::check::{Problem, check};
use convnet::data::{Dataset, LoadOptions, registry};
use convnet::error::Error;
use flate2::Compression;
use flate2::write::GzEncoder;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/images");

fn options() -> LoadOptions {
    LoadOptions { image_size: Some("8".parse().unwrap()), ..LoadOptions::default() }
}

fn load(path: &Path) -> Result<Dataset, Error> {
    registry::load_with(path.to_str().unwrap(), &options())
}

/// The error, which is one of data, soon told.
fn failure(path: &Path) -> String {
    let start = Instant::now();
    let error = load(path).expect_err("it is broken");
    assert_eq!(error.exit_code(), 3, "{error}");
    assert!(start.elapsed() < Duration::from_secs(5), "{error}");
    error.to_string()
}

fn png() -> Vec<u8> {
    fs::read(Path::new(FIXTURES).join("rgb.png")).unwrap()
}

fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        // the library refuses `..` in names, which a stranger's archive may well have
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn gzip_of(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn names_that_lead_out_of_an_archive_lead_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("in");
    fs::create_dir(&folder).unwrap();
    let image = png();
    let files: &[(&str, &[u8])] =
        &[("../../cat/1.png", &image), ("/etc/../dog/2.png", &image), ("./cat/3.png", &image), ("../escape.txt", b"x")];
    for (name, bytes) in [("a.tar", tar_of(files)), ("a.zip", zip_of(files)), ("a.tar.gz", gzip_of(&tar_of(files)))] {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        let dataset = load(&path).unwrap();
        assert_eq!((dataset.train.len(), dataset.classes.join(" ")), (3, "cat etc".to_owned()), "{name}");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1, "nothing was written");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
}

#[test]
fn an_archive_that_is_cut_short_is_an_error_wherever_it_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let image = png();
    let files: &[(&str, &[u8])] = &[("cat/1.png", &image), ("dog/2.png", &image)];
    let tar = tar_of(files);
    for (name, bytes) in [("a.tar", tar.clone()), ("a.zip", zip_of(files)), ("a.tar.gz", gzip_of(&tar))] {
        let path = folder.path().join(name);
        fs::write(&path, &bytes).unwrap();
        assert_eq!(load(&path).unwrap().train.len(), 2);
        // the second block of zeros at a tar's end says nothing more
        let whole = bytes.len() - if name == "a.tar" { 512 } else { 0 };
        for length in (0..whole).step_by(37).chain((512..whole).step_by(512)) {
            fs::write(&path, &bytes[..length]).unwrap();
            failure(&path);
        }
    }
}

#[test]
fn archives_that_lie_are_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let image = png();
    let path = folder.path().join("a.tar");
    let mut tar = tar_of(&[("cat/1.png", &image)]);
    // the size of the only file: 8 GiB
    tar[124..136].copy_from_slice(b"77777777777\0");
    let checksum: u32 =
        tar[..512].iter().enumerate().map(|(at, &b)| if (148..156).contains(&at) { 32 } else { u32::from(b) }).sum();
    tar[148..156].copy_from_slice(format!("{checksum:06o}\0 ").as_bytes());
    fs::write(&path, &tar).unwrap();
    assert!(failure(&path).contains("cut short"));
    fs::write(folder.path().join("a.tar.gz"), gzip_of(&tar)).unwrap();
    assert!(failure(&folder.path().join("a.tar.gz")).contains("too large"));
    // names alone make no archive
    for name in ["b.zip", "b.tar", "b.tar.gz", "b.npz", "b.csv", "b.jsonl"] {
        for bytes in [&b""[..], b"PK\x03\x04", b"\x1f\x8b\x08\0", &[0; 600], &[0xff; 600]] {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            failure(&path);
        }
    }
}

/// A tar of `cat/1.png` and `dog/2.png`, and what `more` adds.
fn write_tar(path: &Path, more: impl FnOnce(&mut tar::Builder<File>)) {
    let mut builder = tar::Builder::new(File::create(path).unwrap());
    for (name, file) in [("cat/1.png", "rgb.png"), ("dog/2.png", "grey.png")] {
        append(&mut builder, name, &fs::read(Path::new(FIXTURES).join(file)).unwrap());
    }
    more(&mut builder);
    builder.finish().unwrap();
}

fn append(builder: &mut tar::Builder<File>, name: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, bytes).unwrap();
}

fn append_link(builder: &mut tar::Builder<File>, kind: tar::EntryType, name: &str, target: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    builder.append_link(&mut header, name, target).unwrap();
}

#[test]
fn hard_links_are_images_and_other_links_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    write_tar(&path, |tar| {
        append_link(tar, tar::EntryType::Link, "dog/3.png", "cat/1.png");
        append_link(tar, tar::EntryType::Link, "dog/4.png", "./dog/3.png");
        append_link(tar, tar::EntryType::Symlink, "latest", "dog");
    });
    fs::write(folder.path().join("a.tar.gz"), gzip_of(&fs::read(&path).unwrap())).unwrap();
    for name in ["a.tar", "a.tar.gz"] {
        let dataset = load(&folder.path().join(name)).unwrap();
        assert_eq!(dataset.train.labels(), [0, 1, 1, 1], "{name}");
        assert_eq!(dataset.train.image(2).unwrap(), dataset.train.image(0).unwrap());
    }
    let refused = |more: fn(&mut tar::Builder<File>)| {
        write_tar(&path, more);
        failure(&path)
    };
    let error = refused(|tar| append_link(tar, tar::EntryType::Link, "dog/3.png", "blobs/1"));
    assert!(error.contains("a link to blobs/1 (") && error.contains("--hard-dereference"), "{error}");
    let error = refused(|tar| append_link(tar, tar::EntryType::Symlink, "cat/9.png", "/etc/passwd"));
    assert!(error.contains("cat/9.png") && error.contains("tar -h"), "{error}");
    let mut zip = zip::ZipWriter::new(File::create(folder.path().join("a.zip")).unwrap());
    zip.add_symlink("cat/9.png", "1.png", zip::write::SimpleFileOptions::default()).unwrap();
    zip.finish().unwrap();
    let error = failure(&folder.path().join("a.zip"));
    assert!(error.contains("cat/9.png") && error.contains("without -y"), "{error}");
}

#[test]
fn sparse_images_in_a_tar_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    write_tar(&path, |tar| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNUSparse);
        header.set_size(0);
        header.as_gnu_mut().unwrap().set_real_size(0);
        tar.append_data(&mut header, "cat/9.bmp", &b""[..]).unwrap();
    });
    let error = failure(&path);
    assert!(error.contains("cat/9.bmp") && error.contains("without -S"), "{error}");
    write_tar(&path, |tar| {
        tar.append_pax_extensions([("GNU.sparse.major", &b"1"[..]), ("GNU.sparse.name", b"cat/9.bmp")]).unwrap();
        append(tar, "GNUSparseFile.7/9.bmp", b"1");
    });
    let error = failure(&path);
    assert!(error.contains("cat/9.bmp") && error.contains("without -S"), "{error}");
}

#[test]
fn of_two_images_with_one_name_in_a_tar_the_last_one_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    let other = fs::read(Path::new(FIXTURES).join("rgb_alpha.png")).unwrap();
    write_tar(&path, |tar| append(tar, "./cat/1.png", &other));
    let dataset = load(&path).unwrap();
    assert_eq!(dataset.train.len(), 2);
    let expected = convnet::data::image::decode_bytes(&other, dataset.train.shape()).unwrap();
    assert_eq!(dataset.train.image(0).unwrap().to_vec(), expected);
}

#[test]
fn an_image_that_is_not_what_was_zipped_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    let image = image::RgbImage::from_pixel(9, 9, image::Rgb([7, 8, 9]));
    let mut bmp = Cursor::new(Vec::new());
    image.write_to(&mut bmp, image::ImageFormat::Bmp).unwrap();
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("cat/1.bmp", stored).unwrap();
    zip.write_all(bmp.get_ref()).unwrap();
    let mut bytes = zip.finish().unwrap().into_inner();
    fs::write(&path, &bytes).unwrap();
    load(&path).unwrap();
    let pixel = bytes.windows(3).rposition(|pixel| pixel == [9, 8, 7]).unwrap();
    bytes[pixel] ^= 4;
    fs::write(&path, &bytes).unwrap();
    let error = failure(&path);
    assert!(error.contains("CRC-32") && error.contains("a.zip/cat/1.bmp"), "{error}");
}

#[test]
fn damaged_images_in_an_archive_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let image = png();
    let path = folder.path().join("a.zip");
    let bytes = zip_of(&[("cat/1.png", &image), ("cat/2.png", &image[..image.len() / 2]), ("cat/3.png", b"no image")]);
    fs::write(&path, &bytes).unwrap();
    let error = failure(&path);
    assert!(error.contains("a.zip/cat/2.png") && error.contains("`exclude`"), "{error}");
    let report = check(&registry::open(path.to_str().unwrap(), &options()).unwrap()).unwrap();
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.problem, finding.image.index)).collect();
    assert_eq!(found, [(Problem::Unreadable, 1), (Problem::Unreadable, 2)]);
}

#[test]
fn every_kind_of_image_can_be_in_one_data_set() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("all")).unwrap();
    let mut count = 0;
    for entry in fs::read_dir(FIXTURES).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension != "txt") {
            fs::copy(&path, folder.path().join("all").join(path.file_name().unwrap())).unwrap();
            count += 1;
        }
    }
    // among them CMYK, 16 bits, animations, all orientations; and one pixel
    image::GrayImage::from_pixel(1, 1, image::Luma([7])).save(folder.path().join("all/pixel.png")).unwrap();
    let dataset = load(folder.path()).unwrap();
    assert_eq!(
        (dataset.train.len(), dataset.train.shape().to_string().as_str()),
        (count + 1, "8 wide × 8 high, 3 channels")
    );
    let own = LoadOptions::default();
    assert!(
        registry::load_with(folder.path().to_str().unwrap(), &own).unwrap_err().to_string().contains("differ in size")
    );
}

#[test]
#[cfg(unix)]
fn what_is_no_file_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("a.csv");
    let pipe = folder.path().join("pipe.png");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in ["/dev/zero", "pipe.png", ".", "none.png"] {
        fs::write(&csv, format!("path,label\n{path},cat\n")).unwrap();
        failure(&csv);
    }
    assert!(failure(&pipe).contains("pipe"));
    fs::remove_file(&pipe).unwrap();
    std::os::unix::fs::symlink("circle.png", folder.path().join("circle.png")).unwrap();
    fs::write(&csv, "path,label\ncircle.png,cat\n").unwrap();
    failure(&csv);
}

#[test]
fn images_that_claim_to_be_huge_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("cat")).unwrap();
    for side in [65_535u32, 32_767] {
        let mut bytes = png();
        bytes[16..20].copy_from_slice(&side.to_be_bytes());
        bytes[20..24].copy_from_slice(&side.to_be_bytes());
        let mut sum = flate2::Crc::new();
        sum.update(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&sum.sum().to_be_bytes());
        fs::write(folder.path().join("cat/1.png"), &bytes).unwrap();
        assert!(failure(folder.path()).contains(&format!("got {side}×{side} pixels")));
    }
}

#[test]
fn a_small_gzip_of_zeros_does_not_fill_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let size = 300 << 20;
    let zeros = gzip_of(&[0; 1 << 20]).repeat(300);
    // a file that is no image, which is passed over
    let mut tar = tar_of(&[("cat/1.png", &png()), ("cat/notes.txt", b"")]);
    let notes = tar.windows(13).position(|name| name == b"cat/notes.txt").unwrap();
    let mut header = tar::Header::from_byte_slice(&tar[notes..notes + 512]).clone();
    header.set_size(size);
    header.set_cksum();
    tar.splice(notes.., header.as_bytes().iter().copied());
    fs::write(folder.path().join("a.tar.gz"), [gzip_of(&tar), zeros.clone(), gzip_of(&[0; 1024])].concat()).unwrap();
    let words = [0x0803, size as u32 / 1024, 32, 32].map(u32::to_be_bytes).concat();
    let labels = [&[0, 0, 8, 1, 0, 4, 0xb0, 0][..], &[0; 300 << 10]].concat();
    fs::write(folder.path().join("train-images-idx3-ubyte.gz"), [gzip_of(&words), zeros].concat()).unwrap();
    fs::write(folder.path().join("train-labels-idx1-ubyte"), labels).unwrap();
    for path in [folder.path().join("a.tar.gz"), folder.path().to_owned()] {
        let error = load(&path).unwrap_err();
        assert!(
            convnet::error::describe(&error).contains("200 times its size"),
            "{}",
            convnet::error::describe(&error)
        );
    }
}
