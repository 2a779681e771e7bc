use super::*;

#[test]
fn one_name_has_one_spelling() {
    assert_eq!(composed("cafe\u{301}"), "café");
    assert!(matches!(composed("café"), Cow::Borrowed("café")));
}

#[test]
fn names_are_listed_in_quotes() {
    assert_eq!(quoted(&["a, b", "c"]), "\"a, b\", \"c\"");
    assert_eq!(quoted::<&str>(&[]), "none");
    let many: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    assert!(quoted(&many).ends_with("\"7\", 2 more"));
    assert!(are_numbers(&many) && !are_numbers(&["1", "0"]) && !are_numbers(&["00"]));
}
