//! Saved models prove themselves: a changed bit is found, and another machine's numbers are.

use std::fs;
use std::path::Path;
use std::process::Output;

use convnet::model::saved;
use convnet::verify::{CheckState, verify};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tch::Device;

use crate::program::{convnet, failed, json, succeeded, train, write_as_before_checksums};

fn on_cpu(folder: &Path, args: &[&str]) -> Output {
    convnet(folder, &[args, &["--device", "cpu"]].concat())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The states of the checks that `verify --json` tells, by what was checked.
fn states(output: &Output) -> String {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verified"], output.status.success());
    let text = |check: &Value| format!("{} {}", check["what"].as_str().unwrap(), check["state"].as_str().unwrap());
    report["checks"].as_array().unwrap().iter().map(text).collect::<Vec<_>>().join(", ")
}

/// Whether neither loading nor verifying takes the model.
fn is_found(json_path: &Path) -> bool {
    let verified = verify(json_path, Device::Cpu, None);
    let is_verified = verified.is_ok_and(|checks| checks.iter().all(|check| check.state != CheckState::Fails));
    saved::load(json_path, Device::Cpu).is_err() && !is_verified
}

/// Changes the JSON and gives it its checksum again, as nothing but malice does.
fn forge(path: &Path, edit: impl FnOnce(&mut Value)) {
    let zeros = "0".repeat(64);
    let mut document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    edit(&mut document);
    document["convnet"]["json_sha256"] = zeros.clone().into();
    let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
    fs::write(path, text.replace(&zeros, &sha256(text.as_bytes()))).unwrap();
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1"]));
    let [json_path, weights_path] = ["json", "safetensors"].map(|suffix| at.join(format!("models/model.{suffix}")));
    assert!(!is_found(&json_path));
    let [json, weights] = [&json_path, &weights_path].map(|path| fs::read(path).unwrap());
    let header = u64::from_le_bytes(*weights.first_chunk().unwrap()) as usize + 8;
    let golden = json.windows(8).position(|bytes| bytes == b"\"golden\"").unwrap();
    // which file, from which byte to which
    let regions = [
        (&json_path, &json, 0, json.len(), 70),
        (&json_path, &json, golden, json.len(), 30),
        (&weights_path, &weights, 0, header, 50),
        (&weights_path, &weights, header, weights.len(), 50),
    ];
    let mut random = 1u64;
    for (path, bytes, start, end, count) in regions {
        for _ in 0..count {
            // Knuth's MMIX
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bit = (random >> 20) as usize % ((end - start) * 8) + start * 8;
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(path, &flipped).unwrap();
            assert!(is_found(&json_path), "bit {} of byte {} of {}", bit % 8, bit / 8, path.display());
        }
        for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            fs::write(path, &bytes[..length]).unwrap();
            assert!(is_found(&json_path), "{length} bytes of {}", path.display());
        }
        fs::write(path, bytes).unwrap();
    }
    assert!(!is_found(&json_path));
}

#[test]
fn what_holds_is_said_and_what_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--run", "a"]));
    succeeded(&train(at, &["--run", "b", "--seed", "1", "--name", "other"]));
    let verify = |more: &[&str]| on_cpu(at, &[&["verify"], more].concat());
    let whole = "json holds, weights holds, network holds, golden holds, data ";
    assert_eq!(states(&verify(&["models/model", "--json"])), format!("{whole}skipped"));
    assert_eq!(states(&verify(&["models/model", "digits:600", "--json"])), format!("{whole}holds"));
    let others = verify(&["models/model", "--data", "digits:700", "--json"]);
    assert_eq!(states(&others), format!("{whole}fails"));
    failed(&others, 7, "does not verify: data");
    let text = succeeded(&verify(&["a"]));
    assert!(text.contains("checkpoints/best.json") && text.contains("outputs of 16 images within"), "{text}");
    let last = "json holds, weights holds, state holds, network holds, golden absent, data skipped";
    assert_eq!(states(&verify(&["logs/a/checkpoints/last.json", "--json"])), last);
    failed(&verify(&["models/nothing"]), 4, "models/nothing");

    let [model, weights] = ["json", "safetensors"].map(|suffix| at.join(format!("models/model.{suffix}")));
    let [saved_model, saved_weights] = [&model, &weights].map(|path| fs::read(path).unwrap());
    // another model's weights
    fs::copy(at.join("models/other.safetensors"), &weights).unwrap();
    let swapped = verify(&["models/model", "--json"]);
    assert_eq!(states(&swapped), "json holds, weights fails, golden skipped");
    failed(&swapped, 7, "weights");
    // even where the JSON was made to say so, the outputs are not these
    let sum = sha256(&fs::read(&weights).unwrap());
    forge(&model, |document| document["convnet"]["weights"]["sha256"] = sum.into());
    let forged = verify(&["models/model", "--json"]);
    assert_eq!(states(&forged), "json holds, weights holds, network holds, golden fails, data skipped");
    failed(&forged, 7, "golden");
    fs::write(&weights, saved_weights).unwrap();
    fs::remove_file(at.join("models/other.safetensors")).unwrap();
    failed(&verify(&["models/other"]), 4, "other.safetensors");
    fs::write(&model, &saved_model[..saved_model.len() / 2]).unwrap();
    failed(&verify(&["models/model"]), 4, "not JSON");
    // a state that was damaged
    let state = fs::read_dir(at.join("logs/a/checkpoints")).unwrap().map(|entry| entry.unwrap().path());
    let state = state.into_iter().find(|path| path.display().to_string().ends_with(".state.safetensors")).unwrap();
    let mut bytes = fs::read(&state).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&state, bytes).unwrap();
    failed(&verify(&["logs/a/checkpoints/last"]), 7, "state");
}

#[test]
fn a_changed_json_is_refused_until_it_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1"]));
    let path = at.join("models/model.json");
    let text = fs::read_to_string(&path).unwrap();
    let predict =
        || on_cpu(at, &["predict", "models/model", "--data", "digits:600", "--index", "0", "--match-by-number"]);
    fs::write(&path, text.replacen("\"0\"", "\"zero\"", 1)).unwrap();
    failed(&predict(), 4, "--seal");
    let export = ["export", "models/model", "--format", "keras", "--out", "m.keras"];
    failed(&convnet(at, &export), 4, "not as it was saved");
    // a network to train is no saved model
    succeeded(&convnet(at, &["summary", "models/model.json"]));
    failed(&on_cpu(at, &["verify", "models/model"]), 7, "json");
    succeeded(&on_cpu(at, &["verify", "models/model", "--seal"]));
    succeeded(&predict());
    assert!(fs::read_to_string(&path).unwrap().contains("\"zero\""));

    // what an older version saved is no less a model
    let data = |document: &mut Value| {
        for later in ["fingerprint", "limit_train", "cache"] {
            document["convnet"]["data"].as_object_mut().unwrap().remove(later);
        }
    };
    write_as_before_checksums(&path, data);
    succeeded(&predict());
    let before = on_cpu(at, &["verify", "models/model", "--json"]);
    assert_eq!(states(&before), "json absent, weights holds, network holds, golden absent, data absent");
    assert!(String::from_utf8_lossy(&before.stderr).contains("--seal"));
    // it does not get a checksum that it was not saved with
    let validation =
        ["evaluate", "models/model", "--data", "digits:600", "--split", "test", "--calibrate", "--match-by-number"];
    succeeded(&on_cpu(at, &validation));
    assert_eq!(states(&on_cpu(at, &["verify", "models/model", "--json"])), states(&before));
    let after = on_cpu(at, &["verify", "models/model", "--seal", "--json"]);
    assert_eq!(states(&after), "json holds, weights holds, network holds, golden holds, data absent");
    // weights that are not the model's are never accepted
    let weights = at.join("models/model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();
    failed(&on_cpu(at, &["verify", "models/model", "--seal"]), 4, "weights");
}

#[test]
fn every_way_to_save_a_model_leaves_one_that_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1", "--precision", "bf16"]));
    succeeded(&convnet(at, &["export", "models/model", "--format", "keras", "--out", "m.keras"]));
    succeeded(&convnet(at, &["import", "m.keras", "--input-scale", "1/255", "--name", "back"]));
    let whole = "json holds, weights holds, network holds, golden holds, data ";
    assert_eq!(states(&on_cpu(at, &["verify", "models/model", "--json"])), format!("{whole}skipped"));
    assert_eq!(states(&on_cpu(at, &["verify", "models/back", "--json"])), format!("{whole}absent"));
    let golden = |name: &str| -> Value {
        let text = fs::read(at.join(format!("models/{name}.json"))).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()["convnet"]["golden"].clone()
    };
    assert_eq!(golden("model"), golden("back"), "the same network");
    let report = json(&on_cpu(at, &["verify", "models/model", "--json"]));
    assert_eq!(report["checks"][3]["difference"], 0.0, "on the same machine");
    // calibration is written into the JSON, which is sealed again
    let calibrated = on_cpu(at, &["evaluate", "models/model", "--split", "test", "--calibrate"]);
    assert!(calibrated.status.success(), "{calibrated:?}");
    assert_eq!(states(&on_cpu(at, &["verify", "models/model", "--json"])), format!("{whole}skipped"));
}
