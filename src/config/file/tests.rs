use super::*;
use serde_json::json;

fn error(name: &str, text: &str, flags: Value) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let resolved = ConfigFile::read(&path)
        .and_then(|file| resolve(&RunConfig::default(), &Map::new(), Some(&file), flags.as_object().unwrap()));
    let error = resolved.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    crate::error::describe(&error).replace(&path.display().to_string(), name)
}

#[test]
fn an_error_names_the_line_of_the_file() {
    for (name, text, place) in [
        ("a.toml", "# a run\nepochs = 3\n\nlr = -1.0\n", "(a.toml, line 4)"),
        ("a.toml", "epochs = 3\nepoch = 3\n", "(a.toml, line 2)"),
        ("a.toml", "[class_weights]\na = 1\n", "(a.toml, line 2"),
        ("a.toml", "epochs = 3\nlr = = 2\n", "(a.toml, line 2)"),
        ("a.toml", "epochs = 3\nepochs = 4\n", "line 2"),
        ("a.toml", "clip_norm = 1.0\nepochs = 2\nclip_value = 1.0", "(a.toml, lines 1 and 3)"),
        ("a.json", "{\n  \"epochs\": 3,\n  \"lr\": \"fast\"\n}", "(a.json, line 3, key lr)"),
        ("a.json", "{\n  \"epochs\": 3\n  \"lr\": 1\n}", "line 3"),
        ("run.json", "{\n\"versions\": {},\n\"config\": {\n\"epochs\": 0\n}\n}", "(run.json, line 4)"),
    ] {
        let text = if text.starts_with("[class") { "epochs = 1\nclass_weights = 3\n" } else { text };
        let message = error(name, text, json!({}));
        assert!(message.contains(place), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
    // the flag is to blame, not the file
    let message = error("a.toml", "epochs = 3\n", json!({ "lr": -1.0 }));
    assert!(!message.contains("a.toml"), "{message}");
    let message = error("a.toml", "lr = 0.5\n", json!({ "lr": -1.0 }));
    assert!(!message.contains("a.toml"), "{message}");
}

#[test]
fn a_run_s_description_is_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs/r");
    std::fs::create_dir_all(&logs).unwrap();
    std::fs::create_dir_all(folder.path().join("d")).unwrap();
    let config = RunConfig::from_toml("run = 'r'\nepochs = 3\ndata = 'd'").unwrap();
    std::fs::write(logs.join("run.json"), json!({ "config": config, "versions": {} }).to_string()).unwrap();
    let file = ConfigFile::read(&logs.join("run.json")).unwrap();
    let again = resolve(&RunConfig::default(), &Map::new(), Some(&file), &Map::new()).unwrap();
    assert_eq!((again.outputs.run, again.training.epochs, again.outputs.logs), (None, 3, "logs".into()));
    assert_eq!(again.data.source, folder.path().join("d").display().to_string());
}
