use super::*;

fn samples(folder: &Path, names: &[&str]) -> Samples {
    let shape = ImageShape { height: 1, width: 1, channels: 1 };
    let files = names.iter().map(|name| ImageSource::File(folder.join(name))).collect();
    let labels = (0..names.len() as i64).collect();
    Samples::stored(files, shape.into(), labels, names.len()).unwrap()
}

#[test]
fn a_folder_that_was_moved_or_copied_is_the_same_and_one_that_was_changed_is_not() {
    let place = tempfile::tempdir().unwrap();
    let names = ["x/1.png", "y/1.png"];
    let write = |folder: &str, contents: [&str; 2]| {
        let folder = place.path().join(folder);
        for (name, content) in names.iter().zip(contents) {
            std::fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.join(name), content).unwrap();
        }
        relative_fingerprint(&samples(&folder, &names)).unwrap()
    };
    let first = write("a", ["one", "two"]);
    assert_eq!(write("b/c", ["one", "two"]), first);
    assert_ne!(write("d", ["one", "tow"]), first);
    assert_ne!(write("e", ["two", "one"]), first);
    std::fs::rename(place.path().join("a"), place.path().join("f")).unwrap();
    assert_eq!(relative_fingerprint(&samples(&place.path().join("f"), &names)).unwrap(), first);
    assert_eq!(relative_fingerprint(&samples(&place.path().join("a"), &names)), None);
    let memory = samples(&place.path().join("f"), &names[..1]);
    assert_ne!(relative_fingerprint(&memory).unwrap(), first);
}

/// Which order images have decides how their files are found, not what is hashed of these.
#[test]
fn the_fingerprint_is_of_the_files_in_the_order_of_their_paths() {
    let place = tempfile::tempdir().unwrap();
    let names = ["a/1.png", "a/2.png", "a-b/1.png", "b.png"];
    for name in names {
        std::fs::create_dir_all(place.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(place.path().join(name), name).unwrap();
    }
    let expected = |order: [usize; 4]| {
        let mut sha256 = Sha256::new();
        sha256.update("1 1 1 stretch 4 ");
        (0..4_i64).for_each(|label| sha256.update(label.to_le_bytes()));
        for name in names {
            sha256.update(format!("{name}\0"));
            sha256.update((name.len() as u64).to_le_bytes());
            sha256.update(name);
        }
        order.iter().for_each(|&index| sha256.update(format!("{}\0", names[index])));
        hex(&sha256.finalize())
    };
    for order in [[0, 1, 2, 3], [3, 1, 0, 2], [0, 1, 3, 2]] {
        let samples = samples(place.path(), &order.map(|index| names[index]));
        assert_eq!(relative_fingerprint(&samples).unwrap(), expected(order), "{order:?}");
    }
}
