//! `convnet data suspects`: wrong labels come first, a resumed run's statistic is the undisturbed one's, and what has none.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::program::{convnet, failed, json, succeeded, train};

/// Folders of digits, the last of every class's images in the folder of the next one; these images' files.
fn mislabelled(at: &Path) -> BTreeSet<String> {
    succeeded(&convnet(at, &["data", "export", "digits:600", "--format", "png", "--out", "pictures", "-q"]));
    let mut wrong = BTreeSet::new();
    for class in 0..10 {
        let mut files: Vec<_> = fs::read_dir(at.join(format!("pictures/train/{class}")))
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        files.retain(|file| !file.to_string_lossy().contains("moved-"));
        files.sort();
        for file in files.iter().rev().take(3) {
            let name = format!("moved-{class}-{}", file.file_name().unwrap().to_string_lossy());
            let target = format!("pictures/train/{}/{name}", (class + 1) % 10);
            fs::rename(file, at.join(&target)).unwrap();
            wrong.insert(name);
        }
    }
    wrong
}

#[test]
fn wrong_labels_are_the_first_suspects_and_exclude_takes_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let wrong = mislabelled(at);
    let run = ["train", "pictures", "--validation", "60", "--epochs", "12", "-q", "--device=cpu", "--run"];
    // streamed images have the same statistic
    succeeded(&convnet(at, &[&run[..], &["kept", "--cache", "ram"]].concat()));
    succeeded(&convnet(at, &[&run[..], &["streamed", "--cache", "none"]].concat()));
    let ask = |run: &str, out: &str| {
        let flags = ["data", "suspects", run, "--count", "30", "--out", out, "--sheet", "sheet.png", "--json", "-q"];
        json(&convnet(at, &flags))
    };
    let [kept, streamed] = [ask("kept", "kept.csv"), ask("streamed", "streamed.csv")];
    assert_eq!(kept["suspects"], streamed["suspects"]);
    assert_eq!((&kept["count"], &kept["epochs"]), (&540.into(), &12.into()));
    let list = fs::read_to_string(at.join("kept.csv")).unwrap();
    assert!(list.starts_with("rank,split,index,path,label,suggested,score\n1,train,"), "{list}");
    let suspects = kept["suspects"].as_array().unwrap();
    let is_wrong = |path: &str| wrong.contains(Path::new(path).file_name().unwrap().to_str().unwrap());
    let found: Vec<_> = suspects.iter().filter(|suspect| is_wrong(suspect["path"].as_str().unwrap())).collect();
    assert!(found.len() >= 17, "{} of 30 suspects are wrong: {list}", found.len());
    let restored = found.iter().filter(|suspect| {
        let was = suspect["path"].as_str().unwrap().split("moved-").nth(1).unwrap()[..1].to_owned();
        suspect["suggested"] == was.as_str()
    });
    assert!(restored.count() * 10 >= found.len() * 8, "the suggested label is the right one: {list}");
    assert!(fs::read(at.join("sheet.png")).unwrap().starts_with(b"\x89PNG"));
    let classes = kept["classes"].as_array().unwrap();
    let margins: Vec<f64> = classes.iter().map(|class| class["margin"].as_f64().unwrap()).collect();
    assert!(classes.len() == 10 && margins.is_sorted(), "the hardest first: {margins:?}");
    // the list's numbers are those of the whole split, whatever became validation images
    let without =
        ["train", "pictures", "--exclude", "kept.csv", "--validation", "60", "--epochs", "1", "--run", "without"];
    succeeded(&convnet(at, &without));
    let count = json(&convnet(at, &["data", "suspects", "without", "--json"]))["count"].clone();
    assert_eq!(count, 510);
}

#[test]
fn a_stopped_and_resumed_run_has_the_statistic_of_the_undisturbed_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let more = ["--epochs", "3", "--augment", "light", "--threads", "1"];
    succeeded(&train(at, &[&more[..], &["--run", "whole"]].concat()));
    // it stops within an epoch, most likely: after each step the time is over
    succeeded(&train(at, &[&more[..], &["--run", "parts", "--time", "0.05s"]].concat()));
    succeeded(&convnet(at, &["train", "--resume", "parts", "--time", "1h", "-q"]));
    let suspects = |run: &str| json(&convnet(at, &["data", "suspects", run, "--count", "600", "--json"]));
    let [whole, parts] = ["whole", "parts"].map(suspects);
    assert_eq!((&whole["suspects"], &whole["epochs"]), (&parts["suspects"], &parts["epochs"]));
}

#[test]
fn runs_without_margins_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1", "--run", "mixed", "--augment", "mixup=0.2"]));
    let suspects = |more: &[&str]| convnet(at, &[&["data", "suspects"], more].concat());
    failed(&suspects(&["mixed"]), 2, "mixed with another");
    failed(&suspects(&["nowhere"]), 2, "there is no run 'nowhere'");
    fs::create_dir(at.join("foreign")).unwrap();
    failed(&suspects(&["foreign"]), 2, "there is no run 'foreign'");
    succeeded(&train(at, &["--epochs", "1", "--run", "small"]));
    failed(&suspects(&["small", "--data", "digits:500"]), 3, "not those that the run was started with");
    failed(&suspects(&["small", "--sheet", "a.jpg"]), 2, ".png");
    failed(&suspects(&["small", "--count", "0"]), 2, "count");
    fs::remove_dir_all(at.join("logs/small/checkpoints")).unwrap();
    failed(&suspects(&["small"]), 4, "no checkpoint");
}
