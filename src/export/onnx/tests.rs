use super::*;

#[test]
fn what_no_file_of_onnx_holds_is_refused() {
    assert!(check_size(100, 100).is_ok());
    let error = check_size(101, 100).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("too large for a file of ONNX"), "{error}");
}
