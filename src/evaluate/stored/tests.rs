use super::*;

fn three_images() -> Predictions {
    Predictions {
        num_classes: 2,
        labels: vec![0, 1, 1],
        classes: vec![0, 0, 1],
        losses: vec![0.1, 1.5, -1e-7],
        probabilities: vec![0.9, 0.1, 0.8, 0.2, 0.0, 1.000_000_1],
        logits: vec![1.0, -1.0, 0.5, -0.5, -9.0, 9.0],
    }
}

fn origin() -> PredictionsOrigin {
    PredictionsOrigin { images: Some("abc".into()), weights_sha256: None }
}

/// What the file of `predictions` is read as, with `old` in its bytes replaced by `new` once.
fn read_changed(predictions: &Predictions, old: &[u8], new: &[u8]) -> Result<StoredPredictions> {
    let mut bytes = to_bytes(predictions, &origin()).unwrap();
    let at = bytes.windows(old.len()).position(|window| window == old).expect("it is in the file");
    bytes[at..at + new.len()].copy_from_slice(new);
    from_bytes(&bytes)
}

#[test]
fn what_is_saved_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("predictions/test.safetensors");
    save(&path, &three_images(), &origin()).unwrap();
    assert_eq!(load(&path).unwrap(), StoredPredictions { predictions: three_images(), origin: origin() });
    let without = Predictions { logits: Vec::new(), probabilities: Vec::new(), ..three_images() };
    save(&path, &without, &PredictionsOrigin::default()).unwrap();
    assert_eq!(load(&path).unwrap().predictions, without);
}

#[test]
fn too_many_probabilities_are_left_out() {
    let (images, num_classes) = (MAX_STORED_VALUES / 4 + 1, 4);
    let probabilities = vec![0.25; images * num_classes];
    let (labels, classes, losses) = (vec![1; images], vec![2; images], vec![1.4; images]);
    let many = Predictions { num_classes, labels, classes, losses, logits: probabilities.clone(), probabilities };
    let read = from_bytes(&to_bytes(&many, &origin()).unwrap()).unwrap().predictions;
    assert_eq!(read, Predictions { probabilities: Vec::new(), logits: Vec::new(), ..many });
}

#[test]
fn each_lie_of_a_file_is_an_error() {
    let is_refused = |old: &[u8], new: &[u8], message: &str| {
        let error = read_changed(&three_images(), old, new).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    };
    is_refused(b"\"format_version\":\"1\"", b"\"format_version\":\"2\"", "version");
    is_refused(b"\"num_classes\":\"2\"", b"\"num_classes\":\"0\"", "num_classes");
    is_refused(b"\"num_classes\":\"2\"", b"\"num_classes\":\"3\"", "another shape");
    is_refused(b"\"labels\"", b"\"lapels\"", "no labels");
    is_refused(b"\"losses\"", b"\"lasses\"", "no losses");
    is_refused(&1.5f32.to_le_bytes(), &f32::NAN.to_le_bytes(), "not finite");
    is_refused(&(-9f32).to_le_bytes(), &f32::INFINITY.to_le_bytes(), "not finite");
    is_refused(&0.8f32.to_le_bytes(), &1.5f32.to_le_bytes(), "probability");
    let labels: Vec<u8> = [0i32, 1, 1].iter().flat_map(|label| label.to_le_bytes()).collect();
    for label in [2i32, -1] {
        is_refused(&labels, &label.to_le_bytes(), "a class that is none");
    }
    let whole = to_bytes(&three_images(), &origin()).unwrap();
    for length in [0, 7, 8, 20, whole.len() - 1] {
        assert!(from_bytes(&whole[..length]).is_err(), "{length} bytes");
    }
    assert!(load(Path::new("/nowhere/test.safetensors")).unwrap_err().to_string().contains("/nowhere"));
}
