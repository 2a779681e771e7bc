//! Parquet files as Hugging Face's hub has them, written and read by pyarrow too (where it needs CONVNET_TEST_PYTHON).

use std::fs;
use std::path::Path;
use std::process::Command;

use convnet::data::options::Cache;
use convnet::data::{Dataset, LoadOptions, Samples, registry};
use serde_json::Value;

use crate::program::{convnet, failed, json, python, succeeded};

/// Writes the set named `sys.argv[1]` in several ways into folders: 70 training images in two files, 20 for validation. Image i is
/// 3 wide and 2 high; byte b of its pixels is (40 i + 7 b) mod 256, and its label i mod 3.
const WRITE: &str = r#"
import io, json, os, sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from PIL import Image
NAMES = ["cat", "a dog", "emu"]
def png(index):
    pixels = ((np.arange(18) * 7 + 40 * index) % 256).astype(np.uint8).reshape(2, 3, 3)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
def table(indices, names=True, text=False, binary=False, image="image", label="label", kind=pa.int64()):
    images = [png(i) for i in indices]
    if not binary:
        images = [{"bytes": b, "path": None if i % 2 else f"{i}.png"} for i, b in zip(indices, images)]
    labels = [NAMES[i % 3] if text else i % 3 for i in indices]
    columns = {image: pa.array(images), label: pa.array(labels, pa.string() if text else kind), "width": pa.array([3] * len(labels))}
    t = pa.table(columns)
    features = {image: {"_type": "Image"}, label: {"names": NAMES, "_type": "ClassLabel"}}
    return t.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}) if names else t
def write(folder, options, **how):
    os.makedirs(f"{folder}/data")
    pq.write_table(table(range(40), **how), f"{folder}/data/train-00000-of-00002.parquet", **options)
    pq.write_table(table(range(40, 70), **how), f"{folder}/data/train-00001-of-00002.parquet", **options)
    pq.write_table(table(range(20), **how), f"{folder}/data/validation-00000-of-00001.parquet", **options)
write("default", {})
write("plain", {"compression": "none", "use_dictionary": False, "row_group_size": 7})
write("zstd", {"compression": "zstd", "data_page_version": "2.0", "row_group_size": 25})
write("gzip", {"compression": "gzip", "data_page_size": 300, "write_batch_size": 2, "dictionary_pagesize_limit": 500})
write("gzip-v2", {"compression": "gzip", "data_page_version": "2.0", "version": "1.0"})
write("binary", {}, binary=True, image="img", label="fine_label", kind=pa.int32())
write("text", {"write_page_index": True}, text=True, names=False, label="labels")
write("numbers", {}, names=False, kind=pa.uint8())
write("brotli", {"compression": "brotli"})
write("nested", {}, image="photo", names=False)
"#;

/// Tells what is in the files of a folder, as JSON.
const READ: &str = r#"
import glob, io, json, sys
import numpy as np, pyarrow.parquet as pq
from PIL import Image
found = {}
for split in ["train", "test"]:
    images, labels = [], []
    for path in sorted(glob.glob(f"{sys.argv[1]}/data/{split}-*.parquet")):
        table = pq.read_table(path)
        assert table.column_names == ["image", "label"], table.column_names
        features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
        for row in table.to_pylist():
            assert row["image"]["path"].endswith(".png")
            images.append(np.asarray(Image.open(io.BytesIO(row["image"]["bytes"]))).ravel().tolist())
            labels.append(row["label"])
    found[split] = {"images": images, "labels": labels, "features": features}
print(json.dumps(found))
"#;

fn run_python(folder: &Path, script: &str, arguments: &[&str]) -> String {
    let output = Command::new(python()).arg("-c").arg(script).args(arguments).current_dir(folder).output().unwrap();
    succeeded(&output)
}

fn load(path: &Path, options: &LoadOptions) -> Dataset {
    registry::load_with(path.to_str().unwrap(), options).unwrap()
}

fn check_images(samples: &Samples, count: usize) {
    assert_eq!(samples.len(), count);
    assert_eq!(samples.shape().to_string(), "3 wide × 2 high, 3 channels");
    for index in (0..count).rev() {
        let expected: Vec<u8> = (0..18).map(|byte| (40 * index + 7 * byte) as u8).collect();
        assert_eq!(samples.image(index).unwrap().to_vec(), expected, "image {index}");
    }
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn what_pyarrow_writes_is_read() {
    let folder = tempfile::tempdir().unwrap();
    run_python(folder.path(), WRITE, &[]);
    let streamed = LoadOptions { cache: Cache::None, ..LoadOptions::default() };
    for name in ["default", "plain", "zstd", "gzip", "gzip-v2", "binary", "text", "numbers"] {
        for options in [&LoadOptions::default(), &streamed] {
            let set = load(&folder.path().join(name), options);
            let (classes, order): (_, [i64; 3]) = match name {
                "text" => (["a dog", "cat", "emu"], [1, 0, 2]),
                "numbers" => (["0", "1", "2"], [0, 1, 2]),
                _ => (["cat", "a dog", "emu"], [0, 1, 2]),
            };
            assert_eq!(set.classes, classes, "{name}");
            check_images(&set.train, 70);
            check_images(set.validation.as_ref().unwrap(), 20);
            let labels: Vec<i64> = (0..70).map(|index| order[index % 3]).collect();
            assert_eq!(set.train.labels(), labels, "{name}");
            assert_eq!(set.notes, ["left out: the columns \"width\""]);
        }
    }
    for (name, part) in [("brotli", "got brotli"), ("nested", "no column of images")] {
        failed(&convnet(folder.path(), &["data", "show", name]), 3, part);
    }
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn pyarrow_reads_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["data", "export", "digits:60", "--format", "parquet", "--out", "out"];
    assert_eq!(succeeded(&convnet(folder.path(), &arguments)).trim(), "out");
    let found: Value = serde_json::from_str(&run_python(folder.path(), READ, &["out"])).unwrap();
    let drawn = registry::load_with("digits:60", &LoadOptions::default()).unwrap();
    for (split, samples) in drawn.splits() {
        let found = &found[split.to_string()];
        assert_eq!(found["labels"], serde_json::json!(samples.labels()));
        let images = found["images"].as_array().unwrap();
        assert_eq!(images.len(), samples.len());
        for (index, image) in images.iter().enumerate() {
            assert_eq!(*image, serde_json::json!(samples.image(index).unwrap().to_vec()));
        }
        let names = &found["features"]["label"];
        assert_eq!((&names["names"], &names["_type"]), (&serde_json::json!(drawn.classes), &"ClassLabel".into()));
        assert_eq!(found["features"]["image"]["_type"], "Image");
    }
}

#[test]
fn parquet_files_are_written_and_trained_on_and_known_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&convnet(at, &["data", "export", "digits:120", "--format", "parquet", "--out", "out"]));
    let drawn = registry::load_with("digits:120", &LoadOptions::default()).unwrap();
    let again = load(&at.join("out"), &LoadOptions::default());
    assert_eq!((again.train.fingerprint(), &again.classes), (drawn.train.fingerprint(), &drawn.classes));
    let train = [
        "train",
        "-d",
        "out",
        "--epochs",
        "1",
        "--model",
        "mlp",
        "--cache",
        "none",
        "--device",
        "cpu",
        "--validation",
        "none",
    ];
    let trained = json(&convnet(at, &[&train[..], &["--json", "--run", "a"]].concat()));
    let drawn =
        ["train", "-d", "digits:120", "--epochs", "1", "--model", "mlp", "--device", "cpu", "--validation", "none"];
    let as_drawn = json(&convnet(at, &[&drawn[..], &["--json", "--run", "b"]].concat()));
    assert_eq!(trained["test"], as_drawn["test"], "the same images in the same order");
    let list = succeeded(&convnet(at, &["data", "check", "out"]));
    assert!(!list.contains("extension"), "a row has no extension: {list}");
    fs::write(at.join("list.csv"), "split,index,path\ntrain,3,out/data/train-00000-of-00001.parquet/row 3\n").unwrap();
    let left = LoadOptions { exclude: Some(at.join("list.csv")), ..LoadOptions::default() };
    assert_eq!(load(&at.join("out"), &left).train.len(), again.train.len() - 1);
    fs::remove_file(at.join("out/data/train-00000-of-00001.parquet")).unwrap();
    failed(&convnet(at, &["train", "-d", "out"]), 3, "there are no training images");
}
