use super::*;

fn tree(paths: &[&str]) -> Result<ImageList> {
    let parts = |path: &str| path.split('/').filter(|part| !part.is_empty()).map(String::from).collect::<Vec<_>>();
    let folders = paths.iter().filter(|path| !path.ends_with("png")).map(|path| parts(path)).collect();
    let mut tree = Tree { folders, ..Tree::default() };
    let images = paths.iter().filter(|path| path.ends_with("png"));
    images.for_each(|path| {
        tree.add_image(&parts(path.rsplit_once('/').map_or("", |(folder, _)| folder)), ImageSource::File(path.into()))
    });
    tree.into_labelled("set".into())
}

fn places(paths: &[&str]) -> Vec<String> {
    let images = tree(paths).unwrap().images;
    images.iter().map(|image| format!("{} {} {}", image.split, image.class, image.image)).collect()
}

#[test]
fn folders_name_splits_and_classes() {
    assert_eq!(places(&["dog/b.png", "cat/deep/a.png"]), ["train cat cat/deep/a.png", "train dog dog/b.png"]);
    assert_eq!(
        places(&["Train/dog/b.png", "VALID/dog/a.png", "test/dog/c.png"]),
        ["train dog Train/dog/b.png", "validation dog VALID/dog/a.png", "test dog test/dog/c.png"]
    );
    assert_eq!(
        places(&["set/Training/a/1.png", "set/testing/a/2.png"]),
        ["train a set/Training/a/1.png", "test a set/testing/a/2.png"]
    );
    assert_eq!(places(&["cat/test/x/1.png", "dog/1.png"]), ["train cat cat/test/x/1.png", "train dog dog/1.png"]);
    assert_eq!(places(&["set/v2/a/1.png", "set/v2/b/2.png"]), ["train a set/v2/a/1.png", "train b set/v2/b/2.png"]);
    assert_eq!(places(&["set/train/a/1.png"]), ["train a set/train/a/1.png"]);
    let labelled = tree(&["train", "train/cat", "train/dog", "train/dog/x", "train/cat/1.png"]).unwrap();
    assert_eq!(labelled.class_folders, [(Split::Train, "cat".into()), (Split::Train, "dog".into())]);
}

#[test]
fn what_a_folder_holds_tells_a_split_from_a_class() {
    // vehicles: the train is a class
    assert_eq!(
        places(&["bus/1.png", "train/2.png", "test/3.png"]),
        ["train bus bus/1.png", "train test test/3.png", "train train train/2.png"]
    );
    assert_eq!(
        places(&["train/train/1.png", "train/bus/2.png", "test/train/3.png", "test/bus/4.png"]),
        [
            "test bus test/bus/4.png",
            "test train test/train/3.png",
            "train bus train/bus/2.png",
            "train train train/train/1.png"
        ]
    );
    assert_eq!(places(&["test/cat/1.png"]), ["test cat test/cat/1.png"]);
    assert!(tree(&["cat/1.png", "dog/1.png", "test"]).unwrap().class_folders.is_empty(), "an empty split");
    for (paths, part) in [
        (&["train/1.png", "test/2.png"][..], "got images in \"test\", \"train\""),
        (&["train/cat/1.png", "test/2.png"], "beside the class folders"),
        (&["train/steam/1.png", "bus/2.png"], "got bus/"),
    ] {
        let error = tree(paths).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn classes_that_may_lie_deeper_are_told() {
    let notes = |paths: &[&str]| tree(paths).unwrap().notes.join("; ");
    let note = notes(&["a/cat/1.png", "b/dog/2.png"]);
    assert!(note.contains("\"a\", \"b\"") && note.contains("(\"cat\", \"dog\")") && note.contains("…/a"), "{note}");
    assert!(notes(&["train/set/cat/1.png", "test/set/cat/2.png"]).contains("move them up"));
    assert_eq!(notes(&["cat/deep/1.png", "dog/2.png"]), "");
}

#[test]
fn images_in_no_class_are_errors_that_name_one() {
    for (paths, part) in [
        (
            &["train/cat/1.png", "train/2.png"][..],
            "beside the class folders: expected each image in its class's folder (train/2.png)",
        ),
        (&["train/cat/1.png", "extra/cat/2.png"], "got extra/ (extra/cat/2.png)"),
        (&["cat/1.png", "2.png"], "(2.png)"),
        (&["train/cat/1.png", "2.png"], "(2.png)"),
        (&["set/train/cat/1.png", "set/test/cat/2.png", "set/3.png"], "(set/3.png)"),
        (&["set/train/cat/1.png", "set/test/cat/2.png", "a/3.png"], "set/train/<class>/ and the like (a/3.png)"),
        (&["set/train/cat/1.png", "set/train/dog/2.png", "set/3.png"], "(set/3.png)"),
        (&["x/set/train/cat/1.png", "x/set/test/cat/2.png", "x/set/cat/3.png"], "(x/set/cat/3.png)"),
        (&["a/train/cat/1.png", "a/test/cat/2.png", "b/train/cat/3.png"], "(b/train/cat/3.png)"),
        (&[], "no images in class folders"),
    ] {
        let error = tree(paths).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
