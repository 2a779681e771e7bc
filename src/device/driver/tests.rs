use super::*;

#[test]
fn a_driver_that_is_too_old_says_which_is_needed() {
    let sentence = too_old(12_080, 13).unwrap();
    assert!(sentence.contains("CUDA 12.8") && sentence.contains("580"), "{sentence}");
    assert_eq!(too_old(13_000, 13), None);
    assert_eq!(too_old(13_010, 12), None, "newer drivers run older programs");
    assert!(too_old(11_040, 12).unwrap().contains("525"));
}

#[test]
fn each_refusal_has_a_sentence_of_its_own() {
    let sentences: Vec<String> = [
        (NO_DEVICE, None),
        (NO_DEVICE, Some("")),
        (NO_DEVICE, Some("7")),
        (SYSTEM_NOT_READY, None),
        (SYSTEM_DRIVER_MISMATCH, None),
        (COMPAT_NOT_SUPPORTED, None),
        (STUB_LIBRARY, None),
        (DEVICE_UNAVAILABLE, None),
        (UNKNOWN, None),
        (1, None),
    ]
    .map(|(result, visible)| refusal(result, visible))
    .to_vec();
    for (index, sentence) in sentences.iter().enumerate() {
        assert!(!sentences[..index].contains(sentence), "{sentence}");
    }
    assert!(sentences[2].contains("CUDA_VISIBLE_DEVICES=7"));
}
