use super::*;

#[test]
fn sizes_and_channels_are_text_there_and_back() {
    for (text, height, width) in [("32", 32, 32), ("28x32", 28, 32)] {
        let size: ImageSize = text.parse().unwrap();
        assert_eq!((size, size.to_string().as_str()), (ImageSize { height, width }, text));
    }
    assert_eq!("28×32".parse::<ImageSize>().unwrap().width, 32);
    for wrong in ["", "0", "0x3", "3x", "-3", "3x3x3", "big", "99999999999999999999"] {
        assert_eq!(wrong.parse::<ImageSize>().unwrap_err().exit_code(), 2, "{wrong}");
    }
    for text in ["auto", "1", "3"] {
        assert_eq!(text.parse::<Channels>().unwrap().to_string(), text);
    }
    assert!("2".parse::<Channels>().is_err() && "rgb".parse::<Channels>().is_err());
    assert_eq!(serde_json::from_str::<Channels>("3").unwrap(), Channels::Rgb);
    assert_eq!(serde_json::from_str::<ImageSize>("\"8x9\"").unwrap(), ImageSize { height: 8, width: 9 });
    assert!(serde_json::from_str::<ImageSize>("1.5").is_err());
}
