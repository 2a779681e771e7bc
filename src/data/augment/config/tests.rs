use super::*;

#[test]
fn presets_and_amounts_survive_their_text() {
    for text in ["none", "light", "strong", "flip=0.5,erase=0.25", "mixup=0.2,cutmix=1"] {
        let config: AugmentConfig = text.parse().unwrap();
        assert_eq!(config.to_string(), text);
    }
    let config: AugmentConfig = "light, flip=0".parse().unwrap();
    assert_eq!(config, AugmentConfig { shift: LIGHT.shift, ..NONE });
    assert!("flip=0".parse::<AugmentConfig>().unwrap().is_none());
}

#[test]
fn what_cannot_be_done_is_refused() {
    for (text, word) in [
        ("ligth", "did you mean 'light'"),
        ("flip=2", "0 to 1"),
        ("rotate=-3", "0 to 180"),
        ("flop=1", "did you mean 'flip'"),
        ("shift=NaN", "0 to 1"),
        ("", "light"),
        ("flip=0.5,light", "amounts"),
    ] {
        let error = text.parse::<AugmentConfig>().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(word), "{text}: {error}");
    }
}
