use super::*;

#[test]
fn files_are_named_after_the_main_one() {
    let paths = |format: ExportFormat, out: &str| {
        let paths = format.paths(Path::new(out))?;
        Ok::<_, Error>(paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>())
    };
    assert_eq!(paths(ExportFormat::Keras, "a/b.keras").unwrap(), ["a/b.keras"]);
    assert_eq!(paths(ExportFormat::Keras, "a/b.v2").unwrap(), ["a/b.v2.keras"]);
    assert_eq!(paths(ExportFormat::KerasJson, "b").unwrap(), ["b.json", "b.weights.h5"]);
    assert_eq!(paths(ExportFormat::Portable, "b.json").unwrap(), ["b.json", "b.h5"]);
    for out in ["b.h5", ".keras", "", "b.json.keras", "m.onnx", "m.PT", "m.zip", "m.py", "m.safetensors"] {
        assert_eq!(paths(ExportFormat::Keras, out).unwrap_err().exit_code(), 2, "{out}");
    }
}
