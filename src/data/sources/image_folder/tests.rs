use std::fs;

use super::*;

/// A folder with these files: what is no metadata is an image by its name alone.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn told(folder: &Path) -> Vec<String> {
    let below = |image: &ImageSource| image.to_string().replace(&folder.display().to_string(), ".");
    let list = read_folder(folder).unwrap();
    list.images.iter().map(|image| format!("{} {} {}", image.split, image.class, below(&image.image))).collect()
}

#[test]
fn splits_come_from_the_folders_of_the_metadata_or_of_the_images() {
    let expected = ["train cat ./train/1.png", "test dog ./test/a/2.png"];
    let above = folder(&[("metadata.csv", "file_name,label,text\ntrain/1.png,cat,x\n./test/a/2.png,dog,y\n")]);
    assert_eq!(told(above.path()).join("\n").replace("././", "./"), expected.join("\n"));
    let below = folder(&[
        ("train/metadata.csv", "label,file_name\ncat,1.png\n"),
        ("test/metadata.jsonl", "\n{\"file_name\": \"a/2.png\", \"label\": \"dog\", \"path\": \"x\"}\n"),
    ]);
    assert_eq!(told(below.path()).iter().rev().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    let one = folder(&[("metadata.csv", "file_name,label,split\n1.png,7,val\n2.png,7,\n")]);
    assert_eq!(told(one.path()), ["validation 7 ./1.png", "train 7 ./2.png"]);
}

#[test]
fn images_that_no_line_names_are_said() {
    let folder = folder(&[
        ("metadata.csv", "file_name,label\na//1.png,cat\n"),
        ("a/1.png", ""),
        ("a/2.png", ""),
        ("test/3.png", ""),
    ]);
    let notes = read_folder(folder.path()).unwrap().notes;
    assert!(notes[0].contains("2 images that no metadata names") && notes[0].contains("a/2.png"), "{notes:?}");
}

#[test]
fn another_table_of_that_name_is_no_sign() {
    for (name, text) in [
        ("metadata.csv", "file_name,caption\n1.png,a cat\n"),
        ("metadata.csv", ""),
        ("metadata.jsonl", "{\"path\": \"1.png\", \"label\": 3}"),
        ("metadata.jsonl", "\n\n"),
        ("metadata.jsonl", "[[[["),
        ("other/metadata.csv", "file_name,label\n1.png,cat\n"),
    ] {
        assert!(!has_metadata(folder(&[(name, text)]).path()).unwrap(), "{text}");
    }
}

#[test]
fn what_cannot_be_used_is_refused() {
    let line = "file_name,label\n1.png,cat\n";
    for (files, parts) in [
        (vec![("metadata.csv", "file_name,label\n../1.png,cat\n")], ["leads out of the folder", "line 2"]),
        (vec![("metadata.csv", "file_name,label\na\\..\\..\\1.png,cat\n")], ["leads out of the folder", "got a"]),
        (vec![("metadata.csv", "file_name,label\n/etc/1.png,cat\n")], ["got /etc/1.png", "metadata.csv"]),
        (
            vec![("metadata.csv", line), ("metadata.jsonl", "{\"file_name\": \"1.png\", \"label\": 3}")],
            ["two files", "jsonl"],
        ),
        (vec![("metadata.csv", line), ("train/metadata.csv", line)], ["two files", "train/metadata.csv"]),
        (vec![("metadata.csv", "file_name,label\n1.png,\n")], ["got no label", "line 2"]),
        (vec![("metadata.csv", "file_name,label\n")], ["names no image", "metadata.csv"]),
        (vec![("train/metadata.csv", "file_name,label\n1.png,a\n1.png,b\n")], ["twice", "line 3"]),
    ] {
        let folder = folder(&files);
        let error = read_folder(folder.path()).unwrap_err();
        assert!(error.exit_code() == 3 && parts.iter().all(|part| error.to_string().contains(part)), "{error}");
    }
}
