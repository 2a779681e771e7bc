use super::*;

fn broken() -> Error {
    Error::data("its decoder fails on it")
}

#[test]
fn a_panic_is_a_data_error() {
    let numbers = [1, 2, 3];
    let at = numbers.len() + 4;
    for error in
        [caught(broken, || Ok(numbers[at])), caught::<i32>(broken, || panic!("two\nlines"))].map(Result::unwrap_err)
    {
        assert_eq!(error.exit_code(), 3);
        assert!(crate::error::describe(&error).contains("its decoder fails on it"));
        assert!(!crate::error::describe(&error).contains("two\n"));
    }
    assert!(!DECODES.get());
    assert_eq!(caught(broken, || Ok(5)).unwrap(), 5);
    assert_eq!(caught(broken, || Ok(caught(broken, || Ok(5)).unwrap() + i32::from(DECODES.get()))).unwrap(), 6);
}
