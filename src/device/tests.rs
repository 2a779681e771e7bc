use super::*;

#[test]
fn choices_read_and_print() {
    for (text, choice) in [
        ("auto", DeviceChoice::Auto),
        ("cpu", DeviceChoice::Cpu),
        ("cuda:0", DeviceChoice::Cuda(0)),
        ("cuda:3", DeviceChoice::Cuda(3)),
    ] {
        assert_eq!(text.parse(), Ok(choice));
        assert_eq!(choice.to_string(), text);
    }
    assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
    for wrong in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CPU"] {
        assert!(wrong.parse::<DeviceChoice>().is_err(), "{wrong}");
    }
}
