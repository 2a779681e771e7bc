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

/// A Parquet file of these names and labels, whose classes are called as `NAMES` says.
fn parquet_bytes(rows: &[(&str, i64)], classes: &str) -> Vec<u8> {
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::{metadata::KeyValue, properties::WriterProperties, writer::SerializedFileWriter};
    let schema = "message m { required binary file_name (STRING); required int64 label; }";
    let schema = std::sync::Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let names = format!(r#"{{"info": {{"features": {{"label": {{"names": {classes}, "_type": "ClassLabel"}}}}}}}}"#);
    let key = KeyValue::new("huggingface".to_owned(), names);
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![key])).build();
    let mut bytes = Vec::new();
    let mut file = SerializedFileWriter::new(&mut bytes, schema, properties.into()).unwrap();
    let mut group = file.next_row_group().unwrap();
    let paths: Vec<ByteArray> = rows.iter().map(|(path, _)| ByteArray::from(*path)).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&paths, None, None).unwrap();
    column.close().unwrap();
    let labels: Vec<i64> = rows.iter().map(|(_, label)| *label).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&labels, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    file.close().unwrap();
    bytes
}

#[test]
fn metadata_may_be_a_parquet_file() {
    let pets = r#"["dog", "cat"]"#;
    let folder = folder(&[("train/1.png", ""), ("train/left.png", "")]);
    let at = |name: &str| folder.path().join(name);
    fs::write(at("metadata.parquet"), parquet_bytes(&[("train/1.png", 1), ("./test/a/2.png", 0)], pets)).unwrap();
    assert!(has_metadata(folder.path()).unwrap());
    assert_eq!(
        told(folder.path()).join("\n").replace("././", "./"),
        "train cat ./train/1.png\ntest dog ./test/a/2.png"
    );
    let list = read_folder(folder.path()).unwrap();
    assert_eq!(list.order.unwrap(), ["dog", "cat"], "as the labels' numbers are, not as letters are");
    assert!(list.notes[0].contains("an image that no metadata names"), "{:?}", list.notes);
    let failure = || read_folder(folder.path()).unwrap_err().to_string();
    fs::write(at("metadata.csv"), "file_name,label\ntrain/1.png,cat\n").unwrap();
    let error = failure();
    assert!(error.contains("two files") && error.contains("metadata.csv and") && error.contains(".parquet"), "{error}");
    fs::remove_file(at("metadata.csv")).unwrap();
    for (rows, parts) in [
        (vec![("../1.png", 0)], ["leads out of the folder", "row 0"]),
        (vec![("1.png", 0), ("1.png", 1)], ["twice", "as in row 0"]),
        (vec![("1.png", 0), ("", 1)], ["got no path", "row 1"]),
        (vec![("1.png", 2)], ["a label has no name", "row 0"]),
        (vec![("1.png", -1)], ["has no label", "row 0"]),
    ] {
        fs::write(at("metadata.parquet"), parquet_bytes(&rows, pets)).unwrap();
        let error = failure();
        assert!(parts.iter().all(|part| error.contains(part)) && error.contains("metadata.parquet"), "{error}");
    }
    fs::remove_file(at("metadata.parquet")).unwrap();
    fs::create_dir(at("test")).unwrap();
    fs::write(at("train/metadata.parquet"), parquet_bytes(&[("1.png", 0)], pets)).unwrap();
    fs::write(at("test/metadata.parquet"), parquet_bytes(&[("2.png", 0)], r#"["cat", "dog"]"#)).unwrap();
    assert!(failure().contains("name other classes"), "one number would be two classes");
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
