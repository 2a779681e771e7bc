use std::fs;

use super::*;

/// A tar of these files, in this order.
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

type Files<'a> = &'a [(&'a str, &'a [u8])];

/// A folder of shards.
fn folder(shards: &[(&str, Files)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, files) in shards {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, tar_of(files)).unwrap();
    }
    folder
}

fn told(list: &ImageList) -> Vec<String> {
    let tell = |image: LabelledImage| {
        let bytes = String::from_utf8(image.image.bytes().unwrap()).unwrap();
        format!("{} {} {} {bytes}", image.split, image.class, image.image.file_name().display())
    };
    list.images.iter().map(tell).collect()
}

fn failure(folder: &Path) -> String {
    let error = read_folder(folder).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    error.to_string()
}

const CAT: Files = &[("a/1.cls", b"0\n"), ("a/1.jpg", b"one")];

#[test]
fn files_of_one_key_are_a_sample() {
    let shard: Files = &[
        ("./a/1.PNG", b"one"),
        ("./a/1.cls", b" 007\n"),
        ("./b/1.json", b"{\"label\": \"x\", \"width\": 3}"),
        ("./b/1.cls", b"2"),
        ("./b/1.webp", b"two"),
        ("./b/1.seg.png", b"mask"),
        ("./c/1.cls", b"2"),
        ("../../../d.cls", b"3"),
        ("../../../d.png", b"three"),
    ];
    let folder = folder(&[("x-train-0.tar", shard), ("x-val-0.tar", CAT), ("test/0.tar", CAT)]);
    assert!(has_shards(folder.path()).unwrap());
    let list = read_folder(folder.path()).unwrap();
    let expected = [
        "test 0 a/1.jpg one",
        "train 7 ./a/1.PNG one",
        "train 2 ./b/1.webp two",
        "train 3 ../../../d.png three",
        "validation 0 a/1.jpg one",
    ];
    assert_eq!(told(&list), expected);
    assert_eq!(list.notes, ["left out: 1 .png", "left out: 1 samples without an image"]);
}

#[test]
fn labels_are_numbers_objects_or_names() {
    for (file, text, class) in [
        ("1.cls", "12", "12"),
        ("1.json", "{\"label\": \"cafe\u{301}\"}", "café"),
        ("1.json", "{\"cls\": 3, \"caption\": \"x\"}", "3"),
        ("1.txt", " a cat\n", "a cat"),
    ] {
        let folder = folder(&[("0.tar", &[(file, text.as_bytes()), ("1.png", b"one")])]);
        assert!(has_shards(folder.path()).unwrap());
        assert_eq!(told(&read_folder(folder.path()).unwrap()), [format!("train {class} 1.png one")]);
    }
}

#[test]
fn files_beside_the_shards_name_the_classes() {
    let folder = folder(&[("0.tar", CAT)]);
    let names = folder.path().join("classnames.txt");
    fs::write(&names, "\u{feff}a cat\r\ndog\r\n\r\n").unwrap();
    let list = read_folder(folder.path()).unwrap();
    assert_eq!(
        (told(&list)[0].as_str(), list.order.unwrap().join(", ")),
        ("train a cat a/1.jpg one", "a cat, dog".into())
    );
    for (text, part) in [("", "a number below 0"), ("a\n\nb", "line 2"), ("a\nb\na", "line 3")] {
        fs::write(&names, text).unwrap();
        assert!(failure(folder.path()).contains(part), "{}", failure(folder.path()));
    }
    fs::write(&names, [0xff]).unwrap();
    assert!(failure(folder.path()).contains("UTF-8"));
    fs::write(folder.path().join("classes.csv"), "folder,class\n1,dog\n0,cat\n").unwrap();
    assert_eq!(read_folder(folder.path()).unwrap().order.unwrap(), ["dog", "cat"]);
}

#[test]
fn what_cannot_be_told_is_refused() {
    let image: (&str, &[u8]) = ("1.png", b"one");
    for (files, part) in [
        (&[image][..], "has no label"),
        (&[image, ("1.json", b"{\"caption\": \"x\"}")], "has no label"),
        (&[image, ("1.json", b"{\"label\": [1]}")], "got a list"),
        (&[image, ("1.json", b"{")], "cannot read a label"),
        (&[image, ("1.cls", b"cat")], "a label is no number: expected a whole number from 0, got \"cat\""),
        (&[image, ("1.cls", b"-1")], "got \"-1\""),
        (&[image, ("1.txt", b"\n")], "got nothing"),
        (&[image, ("1.txt", b"a cat\na dog")], "several lines"),
        (&[image, ("1.txt", b"\xff")], "not UTF-8"),
        (&[image, ("1.txt", &[b'x'; (1 << 20) + 1])], "a label is too long"),
        (&[image, ("1.jpg", b"two"), ("1.cls", b"1")], "two images"),
        (&[image, ("1.cls", b"2"), ("1.cls", b"1")], "two labels"),
        (&[image, ("1.cls", b"2"), ("2.png", b""), ("2.txt", b"cat")], "got cls and txt"),
        (&[("1.cls", b"2")], "hold no image"),
    ] {
        let error = failure(folder(&[("0.tar", files)]).path());
        assert!(error.contains(part), "{part}: {error}");
    }
    for (names, part) in
        [(["train-0.tar", "0.tar"], "says no split"), (["train-test-0.tar", "0.tar"], "several splits")]
    {
        let error = failure(folder(&names.map(|name| (name, CAT))).path());
        assert!(error.contains(part) && error.contains(names[0].trim_start_matches("train-0.tar")), "{error}");
    }
}

#[test]
fn a_shard_that_is_cut_short_is_an_error_wherever_it_is_cut() {
    let folder = folder(&[("train-0.tar", CAT), ("train-1.tar", CAT)]);
    let path = folder.path().join("train-1.tar");
    let whole = fs::read(&path).unwrap();
    // the second block of zeros at the end says nothing more
    for length in (0..whole.len() - 512).step_by(37).chain((0..whole.len() - 512).step_by(512)) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(failure(folder.path()).contains("train-1.tar"));
    }
}

#[test]
fn other_tars_are_no_sign() {
    for files in [&[("cat/1.png", &b"one"[..]), ("cat/2.png", b"two")][..], &[("1.png", b""), ("2.cls", b"1")], &[]] {
        assert!(!has_shards(folder(&[("0.tar", files)]).path()).unwrap());
    }
    assert!(!has_shards(folder(&[("other/0.tar", CAT)]).path()).unwrap());
    let beside = folder(&[("0.tar", CAT)]);
    fs::create_dir(beside.path().join("cat")).unwrap();
    fs::write(beside.path().join("cat/1.png"), b"").unwrap();
    let notes = read_folder(beside.path()).unwrap().notes;
    assert!(
        notes[0].starts_with("left out: an image beside the shards, ") && notes[0].ends_with("cat/1.png"),
        "{notes:?}"
    );
}

#[test]
fn a_shard_beside_itself_packed_is_refused() {
    let folder = folder(&[("0.tar", CAT)]);
    let packed = File::create(folder.path().join("0.tar.gz")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
    io::copy(&mut File::open(folder.path().join("0.tar")).unwrap(), &mut packed).unwrap();
    packed.finish().unwrap();
    assert!(failure(folder.path()).contains("there twice"));
    fs::remove_file(folder.path().join("0.tar")).unwrap();
    assert_eq!(told(&read_folder(folder.path()).unwrap()), ["train 0 a/1.jpg one"]);
    let path = folder.path().join("0.tar.gz");
    let whole = fs::read(&path).unwrap();
    for length in 1..whole.len() / 2 {
        fs::write(&path, &whole[..length]).unwrap();
        failure(folder.path());
    }
}

#[test]
fn links_and_files_that_claim_too_much_are_refused() {
    for (kind, part) in
        [(EntryType::Symlink, "symbolic link"), (EntryType::Link, "link"), (EntryType::GNUSparse, "0.tar")]
    {
        let mut tar = tar_of(CAT);
        tar[1024 + 156] = kind.as_byte();
        sum_again(&mut tar[1024..1536]);
        let folder = folder(&[]);
        fs::write(folder.path().join("0.tar"), tar).unwrap();
        assert!(failure(folder.path()).contains(part));
    }
    for size in [&b"77777777777\0"[..], b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"] {
        let mut tar = tar_of(CAT);
        tar[1024 + 124..1024 + 136].copy_from_slice(size);
        sum_again(&mut tar[1024..1536]);
        let folder = folder(&[]);
        fs::write(folder.path().join("0.tar"), tar).unwrap();
        failure(folder.path());
    }
}

/// Puts the checksum of a changed header right.
fn sum_again(header: &mut [u8]) {
    let sum: u32 =
        header.iter().enumerate().map(|(at, &b)| if (148..156).contains(&at) { 32 } else { u32::from(b) }).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
