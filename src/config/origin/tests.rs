use super::*;

#[test]
fn what_is_printed_says_where_it_is_from_and_is_a_configuration_file() {
    let object = |value: Value| value.as_object().unwrap().clone();
    let file = object(json!({ "epochs": 3, "lr": 0.1, "class_weights": { "a b": 2.0, "c": 1.0 } }));
    let flags = object(json!({ "lr": 0.2, "until": "val_accuracy=0.9", "save_every": "5m" }));
    let config = RunConfig::resolve(file.clone(), flags.clone()).unwrap();
    let origins = Origins::new(&config, &[(Origin::File, &file), (Origin::Flag, &flags)]).unwrap();
    let text = origins.to_toml();
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    assert!(line("epochs = 3 ").ends_with("# file"));
    assert!(line("lr = 0.2 ").ends_with("# flag"));
    assert!(line("batch_size = 128 ").ends_with("# default"));
    assert!(line("# threads: one per core ").ends_with("# default"));
    assert!(origins.given().contains(&"lr = 0.2 (flag)".to_owned()), "{:?}", origins.given());
    let keys: Map<String, Value> = toml::from_str(&text).unwrap();
    assert_eq!(RunConfig::resolve(keys, Map::new()).unwrap(), config);
    assert_eq!(origins.to_json()["lr"], json!({ "value": 0.2, "origin": "flag" }));
}
