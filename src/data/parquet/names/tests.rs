use std::fs;

use parquet::data_type::{ByteArray, DataType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use super::*;

fn add<T: DataType>(group: &mut SerializedRowGroupWriter<'_, fs::File>, values: &[T::T], levels: Option<&[i16]>) {
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(values, levels, None).unwrap();
    column.close().unwrap();
}

fn texts(texts: &[&[u8]]) -> Vec<ByteArray> {
    texts.iter().map(|text| ByteArray::from(text.to_vec())).collect()
}

/// Two rows: a.png of class 7 in no split, and `second` of class 8 in `val`.
fn two_rows(path: &Path, second: &[u8]) {
    let schema =
        "message m { required binary file_name (STRING); required int64 label; optional binary split (STRING); }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let properties = WriterProperties::builder().build();
    let mut file = SerializedFileWriter::new(fs::File::create(path).unwrap(), schema, properties.into()).unwrap();
    let mut group = file.next_row_group().unwrap();
    add::<ByteArrayType>(&mut group, &texts(&[b"a.png", second]), None);
    add::<Int64Type>(&mut group, &[7, 8], None);
    add::<ByteArrayType>(&mut group, &texts(&[b"val"]), Some(&[0, 1]));
    group.close().unwrap();
    file.close().unwrap();
}

#[test]
fn names_labels_and_splits_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.parquet");
    two_rows(&path, "é.png".as_bytes());
    assert!(has_names(&path));
    let NamedFiles { rows, classes } = open_names(&path).unwrap();
    let told = rows.iter().map(|row| format!("{} {} {:?}", row.file_name, row.class, row.split));
    assert_eq!(told.collect::<Vec<_>>(), ["a.png 7 None", "é.png 8 Some(\"val\")"]);
    assert_eq!(classes, None);
    two_rows(&path, b"\xff.png");
    let error = open_names(&path).unwrap_err().to_string();
    assert!(error.contains("not UTF-8") && error.contains("row 1"), "{error}");
}

#[test]
fn what_pyarrow_wrote_is_read() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/parquet");
    let rows = open_names(&seeds.join("names.parquet")).unwrap().rows;
    let told: Vec<_> = rows.iter().map(|row| (&*row.file_name, &*row.class, row.split.as_deref())).collect();
    assert_eq!(told, [("a.png", "cat", Some("train")), ("b.png", "dog", None)]);
    assert!(!has_names(&seeds.join("zstd-2.parquet")), "images, and no names of files");
}

#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.parquet");
    two_rows(&path, b"b.png");
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(!has_names(&path));
        assert_eq!(open_names(&path).unwrap_err().exit_code(), 3, "{length}");
    }
    for at in 0..whole.len() {
        for change in [1, 0x40, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= change;
            fs::write(&path, &changed).unwrap();
            if let Err(error) = open_names(&path) {
                assert_eq!(error.exit_code(), 3, "{error}");
            }
        }
    }
}
