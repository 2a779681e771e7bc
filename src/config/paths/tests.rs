use super::*;

#[test]
fn relative_paths_are_those_of_the_folder_where_the_run_was_started() {
    let place = tempfile::tempdir().unwrap();
    let [first, moved] = ["a", "b"].map(|name| place.path().join(name));
    for folder in [&first, &moved] {
        for part in ["logs/r", "models", "d"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
    }
    std::fs::write(first.join("list.csv"), "").unwrap();
    let exclude = Some(PathBuf::from("list.csv"));
    let mut config = RunConfig::default();
    config.data.source = "d".into();
    config.load.exclude = exclude;
    let stored = json!({ "data": first.join("d"), "exclude": first.join("list.csv"), "models": first.join("models") });
    let seen = from_here(config.clone(), &first.join("logs/r"), &Value::Null);
    assert_eq!(
        (seen.data.source.as_str(), seen.outputs.models),
        (first.join("d").to_str().unwrap(), first.join("models"))
    );
    assert_eq!((seen.outputs.logs, seen.network.model), (first.join("logs"), "keras-cnn".to_owned()));
    // the copy has its own data and models; what it lacks is where it was
    let seen = from_here(config.clone(), &moved.join("logs/r"), &stored);
    assert_eq!(
        (seen.data.source.as_str(), seen.outputs.models),
        (moved.join("d").to_str().unwrap(), moved.join("models"))
    );
    assert_eq!(seen.load.exclude, Some(first.join("list.csv")));
    // a run that lies somewhere else by now
    let lone = place.path().join("r");
    std::fs::create_dir(&lone).unwrap();
    let seen = from_here(config, &lone, &stored);
    assert_eq!(
        (seen.data.source.as_str(), seen.outputs.models),
        (first.join("d").to_str().unwrap(), first.join("models"))
    );
}

#[test]
fn names_that_are_no_files_have_no_place() {
    let paths = absolute(&RunConfig::default());
    assert_eq!(paths.keys().collect::<Vec<_>>(), ["logs", "models"]);
    assert!(paths["logs"].as_str().is_some_and(|path| Path::new(path).is_absolute()));
}
