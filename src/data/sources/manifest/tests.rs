use super::*;

fn read(name: &str, text: &str) -> Result<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let labelled = if name.ends_with("csv") { read_csv(&path) } else { read_json_lines(&path) }?;
    let tell = |image: LabelledImage| {
        let path = image.image.to_string().replace(&folder.path().display().to_string(), ".");
        format!("{} {} {path}", image.split, image.class)
    };
    Ok(labelled.images.iter().map(tell).collect())
}

#[test]
fn paths_are_relative_to_the_manifest() {
    let expected = ["train cat ./a/1.png", "test 007 ./b, c.png", "validation dog /abs.png"];
    let csv = "label,path,note,split\ncat,a/1.png,x,\n007,\"b, c.png\",y,test\ndog,/abs.png,z,val\n";
    assert_eq!(read("m.csv", csv).unwrap(), expected);
    let lines = "{\"path\": \"a/1.png\", \"label\": \"cat\", \"width\": 3}\n\n{\"label\": 7, \"path\": \"b.png\", \"split\": \"test\"}";
    assert_eq!(read("m.jsonl", lines).unwrap(), ["train cat ./a/1.png", "test 7 ./b.png"]);
    assert_eq!(read("m.csv", "path,label\n1.png,3\n").unwrap(), ["train 3 ./1.png"]);
}

#[test]
fn what_other_systems_write_is_read() {
    let expected = ["train café ./a/1.png", "test dog ./b.png"];
    assert_eq!(read("m.csv", "Path;Label;Split\na\\1.png;cafe\u{301};\nb.png;dog;test\n").unwrap(), expected);
    assert_eq!(read("m.csv", "split\tlabel\tpath\n\tcafé\ta\\1.png\ntest\tdog\tb.png\n").unwrap(), expected);
    let lines = r#"{"path": "a\\1.png", "label": "café"}
            {"path": "b.png", "label": "dog ", "split": "test"}"#;
    assert_eq!(read("m.jsonl", lines).unwrap(), expected);
}

#[test]
fn a_line_that_cannot_be_used_is_named() {
    for (name, text, parts) in [
        ("m.csv", "1.png,cat\n2.png,dog\n", ["no column \"path\"", "got \"1.png\", \"cat\""]),
        ("m.csv", "path,label\n1.png\n", ["cannot read the manifest", "line 2"]),
        ("m.csv", "path,label\n1.png,\n", ["a path and a label, got no label", "line 2"]),
        ("m.csv", "path,label\n\n\n1.png,a\n\n2.png,\n", ["got no label", "line 6"]),
        ("m.jsonl", "\n{\"path\": \"1.png\", \"label\": \"a\"}\n\n{}\n", ["cannot read the manifest", "line 4"]),
        ("m.csv", "path,label,split\n1.png,a,dev\n", ["got 'dev'", "line 2"]),
        ("m.csv", "path,label\n1.png,a\n1.png,b\n", ["1.png, as in line 2", "line 3"]),
        ("m.csv", "path,label\n", ["names no image", "m.csv"]),
        ("m.csv", "path,label\n\u{0}\u{ff}\n", ["cannot read the manifest", "line 2"]),
        ("m.jsonl", "{\"path\": 3, \"label\": \"a\"}", ["expected {\"path\"", "line 1"]),
        ("m.jsonl", "[1]\n", ["cannot read the manifest", "line 1"]),
        ("m.csv", "path,label\n1.png,a,train\n", ["expected 2 fields, as in the first line, got 3", "line 2"]),
        ("m.csv", "path,label\n1.png,\"a\n2.png,b\n", ["goes on in the next line", "line 2"]),
        ("m.csv", "path,\"label\n1.png,a\n2.png,b\n", ["goes on in the next line", "m.csv"]),
        ("m.jsonl", "{\"path\": \"1.png\", \"label\": 1.5}", ["expected text or a whole number, got 1.5", "line 1"]),
        ("m.jsonl", "{\"path\": \"1.png\", \"label\": true}", ["in quotes: \"true\"", "line 1"]),
        ("m.jsonl", "{\"path\": \"1.png\", \"label\": [1]}", ["got a list", "line 1"]),
    ] {
        let error = read(name, text).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(parts.iter().all(|part| error.to_string().contains(part)), "{text}: {error}");
    }
}

#[test]
fn labels_of_a_csv_are_text() {
    let lines = "path,label\n1.png,true\n2.png,1.5\n3.png,1e5\n4.png,99999999999999999999\n";
    let expected =
        ["train true ./1.png", "train 1.5 ./2.png", "train 1e5 ./3.png", "train 99999999999999999999 ./4.png"];
    assert_eq!(read("m.csv", lines).unwrap(), expected);
    let lines = "{\"path\": \"1.png\", \"label\": 18446744073709551615}\n";
    assert_eq!(read("m.jsonl", lines).unwrap(), ["train 18446744073709551615 ./1.png"]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_line() {
    assert_eq!(read("m.csv", "\u{feff}path,label\r\n1.png,a\r\n").unwrap(), ["train a ./1.png"]);
    let line = "\u{feff}{\"path\": \"1.png\", \"label\": \"a\"}\r\n";
    assert_eq!(read("m.jsonl", line).unwrap(), ["train a ./1.png"]);
}

#[test]
fn a_line_without_an_end_is_not_read_to_its_end() {
    for (name, start) in [("m.csv", "path,label\n1.png,\""), ("m.jsonl", "")] {
        let error = read(name, &(start.to_owned() + &"x".repeat(3 << 20))).unwrap_err().to_string();
        assert!(error.contains("lines of at most 1048576 bytes"), "{error}");
    }
}

#[test]
fn an_image_that_two_lines_name_is_refused_and_many_are_not() {
    let lines: String = (0..1000).map(|number| format!("a/{number}.png,{}\n", number % 7)).collect();
    assert_eq!(read("m.csv", &format!("path,label\n{lines}")).unwrap().len(), 1000);
    let error = read("m.csv", &format!("path,label\n{lines}a/998.png,1\n")).unwrap_err().to_string();
    for part in ["the image is in the manifest twice", "a/998.png, as in line 1000", "line 1002"] {
        assert!(error.contains(part), "{error}");
    }
}
