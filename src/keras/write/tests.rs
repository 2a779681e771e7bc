use super::*;

#[test]
fn long_lists_of_names_are_split() {
    let names: Vec<String> = (0..1000).map(|index| format!("{index:0100}")).collect();
    let pieces = name_list("layer_names", &names);
    let titles: Vec<&str> = pieces.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(titles, ["layer_names0", "layer_names1"]);
    assert_eq!(pieces.iter().map(|(_, piece)| piece.as_strings().unwrap().len()).sum::<usize>(), 1000);
    assert_eq!(name_list("x", &[]), [("x".to_owned(), AttrValue::F64Array(Vec::new()))]);
}

#[test]
fn json_is_written_in_ascii() {
    assert_eq!(ascii(&serde_json::json!({ "é": "a😀\"" })), r#"{"\u00e9":"a\ud83d\ude00\""}"#);
}
