//! Which columns of a Parquet file hold images and labels, and what its metadata call the classes.
//!
//! The form is that of the Python package `datasets`: a column `image`, a struct of `bytes` and `path`, a column `label` of
//! numbers, and under the key `huggingface` what the columns are.

use parquet::basic::{ConvertedType, Type as PhysicalType};
use parquet::file::metadata::FileMetaData;
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;

use crate::data::names::{composed, quoted};
use crate::error::{Error, Result};

/// What a column of images is called.
pub(super) const IMAGE_NAMES: [&str; 2] = ["image", "img"];
/// What a column of labels is called.
const LABEL_NAMES: [&str; 3] = ["label", "labels", "fine_label"];
/// The column of an image file's name, and that of its split.
const FILE_NAME: &str = "file_name";
const SPLIT: &str = "split";
/// The key of the metadata that say what the columns are.
pub(in crate::data) const KEY: &str = "huggingface";

/// The columns that are read, by their numbers.
#[derive(Debug)]
pub(super) struct Columns {
    pub image: usize,
    pub label: usize,
    pub kind: LabelKind,
    /// The classes' names in the order of the labels, for labels that are numbers.
    pub classes: Option<Vec<String>>,
    /// The others.
    pub unread: Vec<String>,
}

/// What a label is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LabelKind {
    I32,
    I64,
    Text,
}

impl Columns {
    /// # Errors
    /// A data error that names the column that is missing, there twice, or of a kind that is not read.
    pub fn find(file: &FileMetaData) -> Result<Self> {
        let features = Features::of(file)?;
        let named: Vec<&str> =
            file.schema_descr().root_schema().get_fields().iter().map(|field| field.name()).collect();
        let image_name = choose(&named, &IMAGE_NAMES, "images", &features.of_type("Image"))?;
        let label_name = choose(&named, &LABEL_NAMES, "labels", &features.of_type("ClassLabel"))?;
        let image = image_column(file, image_name)?;
        let (label, kind) = label_column(file, label_name)?;
        let classes = features.classes_of(label_name, kind)?;
        let unread = named.iter().filter(|name| **name != image_name && **name != label_name);
        Ok(Columns { image, label, kind, classes, unread: unread.map(|&name| name.to_owned()).collect() })
    }
}

/// The columns of a file that names image files, by their numbers.
#[derive(Debug)]
pub(super) struct NameColumns {
    pub file_name: usize,
    pub label: usize,
    pub kind: LabelKind,
    pub split: Option<usize>,
    /// As [`Columns::classes`].
    pub classes: Option<Vec<String>>,
}

impl NameColumns {
    /// # Errors
    /// A data error that names the column that is missing or of a kind that is not read.
    pub fn find(file: &FileMetaData) -> Result<Self> {
        let (label, kind) = label_column(file, LABEL_NAMES[0])?;
        let classes = Features::of(file)?.classes_of(LABEL_NAMES[0], kind)?;
        let has_split = file.schema_descr().root_schema().get_fields().iter().any(|field| field.name() == SPLIT);
        let split = has_split.then(|| text_column(file, SPLIT)).transpose()?;
        Ok(NameColumns { file_name: text_column(file, FILE_NAME)?, label, kind, split, classes })
    }
}

/// Whether the file has a column of images.
pub(super) fn has_images(file: &FileMetaData) -> bool {
    let features = Features::of(file).unwrap_or_default();
    let fields = file.schema_descr().root_schema().get_fields();
    fields.iter().any(|field| IMAGE_NAMES.contains(&field.name()) || features.of_type("Image").contains(&field.name()))
}

/// The one column that has one of `names`; where none has, the one that is of the right type by the metadata.
fn choose<'a>(there: &[&'a str], names: &[&str], what: &str, typed: &[&str]) -> Result<&'a str> {
    let is_there =
        |wanted: &[&str]| -> Vec<&'a str> { there.iter().copied().filter(|name| wanted.contains(name)).collect() };
    let mut found = is_there(names);
    if found.is_empty() {
        found = is_there(typed);
    }
    match found[..] {
        [only] => Ok(only),
        [] => Err(Error::data(format!("there is no column of {what}"))
            .expected(format!("one of {}", names.join(", ")))
            .got(format!("the columns {}", quoted(there)))
            .help("rename the column, and write the file anew")),
        _ => Err(Error::data(format!("there are several columns of {what}"))
            .expected(format!("one of {}", names.join(", ")))
            .got(quoted(&found))
            .help("write the file anew with one of them")),
    }
}

/// The column of `name`'s bytes: its own, or those of a struct.
fn image_column(file: &FileMetaData, name: &str) -> Result<usize> {
    let columns = file.schema_descr().columns();
    let is_bytes = |column: &ColumnDescriptor| {
        let is_text = matches!(column.converted_type(), ConvertedType::UTF8);
        column.physical_type() == PhysicalType::BYTE_ARRAY && !is_text && column.max_rep_level() == 0
    };
    let parts = |column: &ColumnDescriptor| -> Vec<String> { column.path().parts().to_vec() };
    let found = columns
        .iter()
        .position(|column| is_bytes(column) && (parts(column) == [name] || parts(column) == [name, "bytes"]));
    found.ok_or_else(|| {
        Error::data("a column of images has no images that can be read")
            .expected("encoded images: binary, or a struct of bytes (binary) and path")
            .got(kind_of(file, name))
            .at(format!("column {name}"))
            .help("write PNG or JPEG files' bytes into it")
    })
}

fn label_column(file: &FileMetaData, name: &str) -> Result<(usize, LabelKind)> {
    let columns = file.schema_descr().columns();
    let found = columns.iter().position(|column| column.path().parts() == [name] && column.max_rep_level() == 0);
    let kind = found.and_then(|at| match (columns[at].physical_type(), columns[at].converted_type()) {
        (PhysicalType::INT32, kind) if is_integer(kind) => Some(LabelKind::I32),
        (PhysicalType::INT64, kind) if is_integer(kind) => Some(LabelKind::I64),
        (PhysicalType::BYTE_ARRAY, ConvertedType::UTF8 | ConvertedType::ENUM) => Some(LabelKind::Text),
        _ => None,
    });
    found.zip(kind).ok_or_else(|| {
        Error::data("a column of labels has none that can be read")
            .expected("whole numbers or text, one for each image")
            .got(kind_of(file, name))
            .at(format!("column {name}"))
    })
}

/// The column of text called `name`.
fn text_column(file: &FileMetaData, name: &str) -> Result<usize> {
    let is_text = |column: &ColumnDescriptor| {
        column.path().parts() == [name]
            && column.max_rep_level() == 0
            && column.physical_type() == PhysicalType::BYTE_ARRAY
            && column.converted_type() == ConvertedType::UTF8
    };
    file.schema_descr().columns().iter().position(|column| is_text(column)).ok_or_else(|| {
        let error =
            Error::data(format!("there is no column of text called {name}")).expected("text, one for each image");
        error.got(kind_of(file, name))
    })
}

/// Whether an INT32 or INT64 that is annotated so is a whole number, no date, time or decimal.
fn is_integer(kind: ConvertedType) -> bool {
    use ConvertedType::{INT_8, INT_16, INT_32, INT_64, NONE, UINT_8, UINT_16, UINT_32, UINT_64};
    matches!(kind, NONE | INT_8 | INT_16 | INT_32 | INT_64 | UINT_8 | UINT_16 | UINT_32 | UINT_64)
}

/// What the column `name` holds, for messages.
fn kind_of(file: &FileMetaData, name: &str) -> String {
    let columns = file.schema_descr().columns();
    let parts = columns.iter().filter(|column| column.path().parts().first().is_some_and(|part| part == name));
    let parts = parts.take(8).map(|column| {
        let list = if column.max_rep_level() > 0 { "a list of " } else { "" };
        let kind = match column.converted_type() {
            ConvertedType::NONE => column.physical_type().to_string(),
            other => other.to_string(),
        };
        format!("{list}{} in {}", kind.to_lowercase(), column.path().string())
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// What the metadata say of the columns.
#[derive(Debug, Default)]
struct Features(serde_json::Map<String, Value>);

impl Features {
    fn of(file: &FileMetaData) -> Result<Self> {
        let pairs = file.key_value_metadata().into_iter().flatten();
        let Some(text) = pairs.filter(|pair| pair.key == KEY).find_map(|pair| pair.value.as_deref()) else {
            return Ok(Features::default());
        };
        let mut value: Value = serde_json::from_str(text)
            .map_err(|error| Error::data(format!("the file's metadata \"{KEY}\" are no JSON")).because(error))?;
        match value.pointer_mut("/info/features").map(Value::take) {
            Some(Value::Object(features)) => Ok(Features(features)),
            Some(_) | None => Ok(Features::default()),
        }
    }

    /// The columns of `kind`.
    fn of_type(&self, kind: &str) -> Vec<&str> {
        let is_it = |feature: &Value| feature.get("_type").and_then(Value::as_str) == Some(kind);
        self.0.iter().filter(|(_, feature)| is_it(feature)).map(|(name, _)| name.as_str()).collect()
    }

    /// The names of the classes of a column of `kind`, whose labels are numbers; `None` for text and where it has none.
    fn classes_of(&self, column: &str, kind: LabelKind) -> Result<Option<Vec<String>>> {
        match kind {
            LabelKind::I32 | LabelKind::I64 => self.classes(column),
            LabelKind::Text => Ok(None),
        }
    }

    fn classes(&self, column: &str) -> Result<Option<Vec<String>>> {
        let Some(names) = self.0.get(column).and_then(|feature| feature.get("names")).filter(|names| !names.is_null())
        else {
            return Ok(None);
        };
        let text = |name: &Value| name.as_str().map(|name| composed(name).into_owned());
        let classes: Option<Vec<String>> = names.as_array().and_then(|names| names.iter().map(text).collect());
        let twice = |classes: &[String]| {
            let mut seen = std::collections::HashSet::new();
            classes.iter().find(|name| name.is_empty() || !seen.insert(name.as_str())).cloned()
        };
        match classes {
            Some(classes) => match twice(&classes) {
                None => Ok(Some(classes)),
                Some(name) => Err(wrong_names().got(quoted(&[name])).at(format!("column {column}"))),
            },
            None => Err(wrong_names().got(names.to_string().chars().take(60).collect::<String>())),
        }
    }
}

fn wrong_names() -> Error {
    Error::data("the file's metadata name no classes").expected("a list of names, each once")
}
