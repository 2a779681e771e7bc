use super::*;

#[test]
fn labels_come_from_a_list_or_a_file() {
    assert_eq!(read("cat, dog,owl").unwrap(), ["cat", "dog", "owl"]);
    assert_eq!(read("T-shirt/top,Trouser").unwrap(), ["T-shirt/top", "Trouser"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.txt");
    for (text, names) in [
        ("T-shirt, white\nBag\n\n", &["T-shirt, white", "Bag"][..]),
        ("\u{feff}cat\r\n\r\ndog  \r\n", &["cat", "dog"]),
        ("cafe\u{301}\ntea", &["caf\u{e9}", "tea"]),
        (r#"["cat", "dog"]"#, &["cat", "dog"]),
        ("\u{feff} {\"dog\": 1, \"cat\": 0}", &["cat", "dog"]),
        (r#"{"1": "dog", "0": "cat"}"#, &["cat", "dog"]),
        (r#"{"0": 0, "10": 1, "2": 2}"#, &["0", "10", "2"]),
        (r#"{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}"#, &["tench", "goldfish"]),
    ] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(read(path.to_str().unwrap()).unwrap(), names, "{text}");
    }
    for text in ["{}x", r#"{"cat": 1, "dog": 2}"#, r#"{"cat": "a"}"#, "[null]", r#"{"0": "a", "1": "b", "3": "c"}"#] {
        std::fs::write(&path, text).unwrap();
        let error = read(path.to_str().unwrap()).unwrap_err();
        assert!(
            error.exit_code() == 2 && error.to_string().contains("class_indices") || error.to_string().contains("JSON"),
            "{error}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_no_list_of_names() {
    for given in ["labels.txt", "nowhere/labels", "my,labels.json", "a\\b"] {
        let error = read(given).unwrap_err().to_string();
        assert!(error.contains("no such file"), "{error}");
    }
    assert!(read("src").unwrap_err().to_string().contains("no file"), "a folder");
}

#[test]
fn every_class_has_a_name_of_its_own() {
    let check = |given: &str| check(&read(given).unwrap(), 3).map_err(|error| error.to_string());
    assert_eq!(check("a,b,c"), Ok(()));
    assert!(check("a,b").unwrap_err().ends_with("expected 3 names, got 2"));
    assert!(check("a,a,b").unwrap_err().ends_with("got 'a' twice"));
}

#[test]
fn numbers_are_noted() {
    let notes = |count| {
        let mut notes = Vec::new();
        assert_eq!(choose(None, None, count, &mut notes).unwrap().len(), count);
        notes
    };
    assert_eq!(notes(10).len(), 1);
    assert!(notes(11)[1].contains("0, 1, 10"));
}
