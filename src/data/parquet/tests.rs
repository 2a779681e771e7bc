use std::fs;

use parquet::basic::{Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::data_type::{ByteArray, DataType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::*;

mod mutated;

/// Images and labels as `datasets` has them, some of which may be null.
const USUAL: &str = "message m {
    optional group image { optional binary bytes; optional binary path (STRING); }
    optional int64 label;
}";
const NAMES: &str = r#"{"info": {"features": {"image": {"_type": "Image"},
    "label": {"names": ["cat", "a dog", "emu"], "_type": "ClassLabel"}}}}"#;

/// A column's values.
enum Values {
    Bytes(Vec<ByteArray>),
    I32(Vec<i32>),
    I64(Vec<i64>),
}

fn images(count: usize) -> Values {
    // of several lengths, some alike
    Values::Bytes((0..count).map(|at| vec![at as u8 % 50; 20 + at % 7].into()).collect())
}

fn texts(texts: &[&str]) -> Values {
    Values::Bytes(texts.iter().map(|text| ByteArray::from(*text)).collect())
}

fn add(group: &mut SerializedRowGroupWriter<'_, fs::File>, values: &Values, levels: &[i16]) {
    fn write<T: DataType>(group: &mut SerializedRowGroupWriter<'_, fs::File>, values: &[T::T], levels: &[i16]) {
        let mut column = group.next_column().unwrap().unwrap();
        // of use to lists alone
        let repeated = vec![0; levels.len()];
        let levels = (!levels.is_empty()).then_some(levels);
        column.typed::<T>().write_batch(values, levels, levels.map(|_| &repeated[..])).unwrap();
        column.close().unwrap();
    }
    match values {
        Values::Bytes(values) => write::<ByteArrayType>(group, values, levels),
        Values::I32(values) => write::<Int32Type>(group, values, levels),
        Values::I64(values) => write::<Int64Type>(group, values, levels),
    }
}

type Columns<'a> = &'a [(Values, Vec<i16>)];

/// A file of these row groups, with these metadata.
fn write(path: &Path, schema: &str, names: Option<&str>, builder: Builder, groups: &[Columns]) {
    let metadata = names.map(|names| vec![KeyValue::new("huggingface".to_owned(), names.to_owned())]);
    let properties = builder.set_key_value_metadata(metadata).build();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut file = SerializedFileWriter::new(fs::File::create(path).unwrap(), schema, properties.into()).unwrap();
    for columns in groups {
        let mut group = file.next_row_group().unwrap();
        for (values, levels) in *columns {
            add(&mut group, values, levels);
        }
        group.close().unwrap();
    }
    file.close().unwrap();
}

type Builder = parquet::file::properties::WriterPropertiesBuilder;

/// A usual file of `count` rows with the labels 0, 1, 2, 0 and so on.
fn usual(path: &Path, count: usize, builder: Builder) {
    let labels = Values::I64((0..count).map(|at| at as i64 % 3).collect());
    let paths = Values::Bytes((0..count).map(|at| format!("{at}.png").into_bytes().into()).collect());
    let columns = [(images(count), vec![2; count]), (paths, vec![2; count]), (labels, vec![1; count])];
    write(path, USUAL, Some(NAMES), builder, &[&columns[..], &columns]);
}

fn opened(path: &Path) -> Result<ParquetImages> {
    open(path, &Arc::new(KeptPages::default()))
}

fn failure(path: &Path) -> String {
    let error = match opened(path) {
        Ok(opened) => opened.images.image(0).unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.exit_code(), 3, "{error}");
    crate::error::describe(&error)
}

#[test]
fn files_are_read_however_they_are_packed_and_encoded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
    ];
    for codec in codecs {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for (dictionary, encoding) in
                [(true, Encoding::PLAIN), (false, Encoding::PLAIN), (false, Encoding::DELTA_LENGTH_BYTE_ARRAY)]
            {
                let builder = WriterProperties::builder().set_compression(codec).set_writer_version(version);
                let bytes = parquet::schema::types::ColumnPath::from(vec!["image".to_owned(), "bytes".to_owned()]);
                let builder = builder.set_dictionary_enabled(dictionary).set_column_encoding(bytes, encoding);
                // several pages, and a dictionary that is given up in between
                let builder = builder.set_data_page_row_count_limit(40).set_dictionary_page_size_limit(900);
                usual(&path, 150, builder.set_write_batch_size(20));
                let ParquetImages { images, labels, classes, unread } = opened(&path).unwrap();
                assert_eq!(classes.unwrap(), ["cat", "a dog", "emu"]);
                assert!(unread.is_empty() && labels.len() == 300);
                // twice, as pages that are not packed are read otherwise then
                for row in (0..300).rev().chain(0..300) {
                    let at = row as usize % 150;
                    assert_eq!(labels[row as usize], ["cat", "a dog", "emu"][at % 3]);
                    assert_eq!(images.image(row).unwrap(), vec![at as u8 % 50; 20 + at % 7], "{codec} {row}");
                }
                assert!(images.image(300).unwrap_err().to_string().contains("no such row"));
            }
        }
    }
}

#[test]
fn images_may_be_binary_and_labels_text_or_other_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let binary = |image: &str, label: &str| {
        format!("message m {{ required binary {image}; required {label}; optional binary caption (STRING); }}")
    };
    for (image, label, values, expected) in [
        ("img", "int32 labels", Values::I32(vec![10, 2]), ["10", "2"]),
        ("image", "int64 fine_label (INTEGER(64, false))", Values::I64(vec![0, 1]), ["0", "1"]),
        ("img", "int32 label (INTEGER(8, true))", Values::I32(vec![0, 7]), ["0", "7"]),
        ("image", "binary label (STRING)", texts(&["cafe\u{301}", "a dog"]), ["café", "a dog"]),
    ] {
        let columns = [(images(2), vec![]), (values, vec![]), (texts(&["x"]), vec![1, 0])];
        write(&path, &binary(image, label), None, WriterProperties::builder(), &[&columns]);
        let opened = opened(&path).unwrap();
        assert_eq!(opened.labels, expected);
        assert_eq!((opened.unread, opened.classes), (vec!["caption".to_owned()], None));
        assert_eq!(opened.images.image(1).unwrap(), vec![1; 21]);
        assert!(has_images(&path));
    }
    // the metadata name the columns
    let names = r#"{"info": {"features": {"photo": {"_type": "Image"}, "kind": {"_type": "ClassLabel", "names": ["a", "b"]}}}}"#;
    let columns = [(images(2), vec![]), (Values::I64(vec![1, 0]), vec![]), (texts(&[]), vec![0, 0])];
    write(&path, &binary("photo", "int64 kind"), Some(names), WriterProperties::builder(), &[&columns]);
    assert_eq!(opened(&path).unwrap().labels, ["b", "a"]);
}

/// Two columns, as a schema.
fn two(first: &str, second: &str) -> String {
    format!("message m {{ required {first}; required {second}; }}")
}

fn numbers() -> Values {
    Values::I64(vec![0, 1])
}

/// That a file of the columns `schema` is refused with `part` in the message.
fn refused(schema: &str, metadata: Option<&str>, columns: Columns, part: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, schema, metadata, WriterProperties::builder(), &[columns]);
    let error = failure(&path);
    assert!(error.contains(part), "{part}: {error}");
}

#[test]
fn columns_that_are_not_there_are_refused_by_name() {
    let paths = || texts(&["a.png", "b.png"]);
    for (names, image, label, part) in [
        (
            ["binary picture", "int64 label"],
            images(2),
            numbers(),
            "no column of images: expected one of image, img, got",
        ),
        (["binary picture", "int64 label"], images(2), numbers(), "the columns \"picture\", \"label\""),
        (["binary image", "int64 class"], images(2), numbers(), "no column of labels"),
        (["binary image", "binary img"], images(2), images(2), "several columns of images"),
        (["binary image (STRING)", "int64 label"], paths(), numbers(), "got utf8 in image (column image)"),
        (["int64 image", "int64 label"], numbers(), numbers(), "got int64 in image"),
        (["binary image", "binary label"], images(2), paths(), "got byte_array in label (column label)"),
        (["binary image", "int64 label (TIMESTAMP(MILLIS,true))"], images(2), numbers(), "(column label)"),
    ] {
        refused(&two(names[0], names[1]), None, &[(image, vec![]), (label, vec![])], part);
    }
    let lists = "message m { repeated binary image; optional int64 label; }";
    let columns = [(images(0), vec![0, 0]), (numbers(), vec![1, 1])];
    refused(lists, None, &columns, "got a list of byte_array in image");
}

#[test]
fn labels_that_name_no_class_are_refused_by_row() {
    let (text, number) = ("binary label (STRING)", "int64 label");
    for (kind, labels, part) in [
        (text, texts(&["a", " "]), "an image has no label: got an empty text (row 1)"),
        (text, Values::Bytes(vec![vec![255].into(); 2]), "not UTF-8"),
        (number, Values::I64(vec![0, -1]), "expected a whole number from 0, got -1 (row 1)"),
        (number, Values::I64(vec![3, 0]), "a label has no name: expected a number below 3, got 3 (row 0)"),
    ] {
        refused(&two("binary image", kind), Some(NAMES), &[(images(2), vec![]), (labels, vec![])], part);
    }
    for (metadata, part) in [
        ("{", "are no JSON"),
        (r#"{"info": {"features": {"label": {"names": ["a", "a"]}}}}"#, "name no classes"),
        (r#"{"info": {"features": {"label": {"names": 3}}}}"#, "name no classes"),
    ] {
        let columns = [(images(2), vec![]), (numbers(), vec![])];
        refused(&two("binary image", number), Some(metadata), &columns, part);
    }
    let nulls = [(images(2), vec![2, 2]), (texts(&[]), vec![1, 1]), (Values::I64(vec![1]), vec![1, 0])];
    refused(USUAL, None, &nulls, "an image has no label: got null (row 1)");
}

#[test]
fn a_row_without_an_image_is_an_error_when_it_is_read() {
    let nulls = [(images(1), vec![0, 2]), (texts(&["a.png"]), vec![0, 2]), (numbers(), vec![1, 1])];
    refused(USUAL, None, &nulls, "the row has no image");
    let empty = Values::Bytes(vec![ByteArray::from(""), ByteArray::from("")]);
    refused(&two("binary image", "int64 label"), None, &[(empty, vec![]), (numbers(), vec![])], "the row has no image");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    for codec in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
        write(&path, USUAL, None, WriterProperties::builder().set_compression(codec), &[&nulls]);
        let opened = opened(&path).unwrap().images;
        for _ in 0..2 {
            assert_eq!(opened.image(1).unwrap(), vec![0; 20]);
            assert!(opened.image(0).unwrap_err().to_string().contains("the row has no image"));
        }
    }
    write(&path, USUAL, None, WriterProperties::builder(), &[]);
    assert!(failure(&path).contains("no rows"));
}

#[test]
fn what_could_unpack_to_any_size_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let bytes = parquet::schema::types::ColumnPath::from(vec!["image".to_owned(), "bytes".to_owned()]);
    let builder = WriterProperties::builder().set_dictionary_enabled(false);
    usual(&path, 5, builder.set_column_encoding(bytes, Encoding::DELTA_BYTE_ARRAY));
    assert!(failure(&path).contains("an encoding that is not read: got number 7"), "{}", failure(&path));
    // 300 MB of zeros in 300 KB
    let zeros = Values::Bytes(vec![vec![0; 300 << 20].into()]);
    let columns = [(zeros, vec![2]), (texts(&[]), vec![1]), (Values::I64(vec![0]), vec![1])];
    for codec in [Compression::GZIP(GzipLevel::default()), Compression::ZSTD(ZstdLevel::default())] {
        write(&path, USUAL, None, WriterProperties::builder().set_compression(codec), &[&columns]);
        assert!(failure(&path).contains("unpacks to more than images ever do"), "{}", failure(&path));
    }
}

#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    for codec in [Compression::UNCOMPRESSED, Compression::GZIP(GzipLevel::default())] {
        usual(&path, 4, WriterProperties::builder().set_compression(codec));
        let whole = fs::read(&path).unwrap();
        let read_all = || {
            let images = opened(&path)?.images;
            (0..8).try_for_each(|row| images.image(row).map(drop))
        };
        read_all().unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(read_all().unwrap_err().exit_code(), 3, "{length}");
        }
        for at in 0..whole.len() {
            for change in [1, 0x40, 0xff] {
                let mut changed = whole.clone();
                changed[at] ^= change;
                fs::write(&path, &changed).unwrap();
                if let Err(error) = read_all() {
                    assert_eq!(error.exit_code(), 3, "{error}");
                }
            }
        }
    }
}
