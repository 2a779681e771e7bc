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
