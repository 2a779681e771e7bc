use super::*;

#[test]
fn presets_are_listed_with_their_parameters() {
    let text = list(&summarize_presets().unwrap());
    for Preset { name, purpose, .. } in PRESETS {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        assert!(line.ends_with(purpose), "{line}");
    }
    let line = text.lines().find(|line| line.starts_with("keras-cnn ")).unwrap();
    assert!(line.contains(" 34,826  "), "{line}");
}

#[test]
fn networks_are_found_by_name_and_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.json");
    let json = preset(PRESETS[0].name).unwrap().to_json().to_string();
    std::fs::write(&path, &json).unwrap();
    let named = find(PRESETS[0].name).unwrap().spec(USUAL_SHAPE, 10).unwrap();
    assert_eq!(find(path.to_str().unwrap()).unwrap(), Architecture::Keras(named.clone()));
    let short = folder.path().join("net.txt");
    std::fs::write(&short, named.to_short(true).unwrap()).unwrap();
    assert_eq!(find(short.to_str().unwrap()).unwrap().spec(USUAL_SHAPE, 10).unwrap().layers, named.layers);
    std::fs::write(&path, "{}").unwrap();
    let error = find(path.to_str().unwrap()).unwrap_err();
    assert!(error.to_string().contains("net.json"), "{error}");
    let error = find("no-such-network").unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("presets: keras-cnn"), "{error}");
}

#[test]
fn shapes_are_height_width_channels() {
    assert_eq!(shape("32,48,3"), Ok(ImageShape { height: 32, width: 48, channels: 3 }));
    for wrong in ["32", "32,32", "0,28,1", "a,b,c", "1,2,3,4", ""] {
        assert!(shape(wrong).is_err(), "{wrong}");
    }
}
