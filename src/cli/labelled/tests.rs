use super::*;

fn names(text: &str) -> Vec<String> {
    text.split(' ').map(String::from).collect()
}

fn matching(classes: &str, labels: &str, naming: Naming) -> std::result::Result<Matching, String> {
    let classes = names(classes);
    let used = (0..classes.len()).collect();
    matched(&classes, &used, &names(labels), naming).map_err(|error| error.to_string())
}

#[test]
fn classes_are_matched_by_name_in_any_order_and_spelling() {
    let plain = Naming::default();
    assert_eq!(matching("dog cat", "cat dog owl", plain), Ok(Matching::Names(vec![1, 0])));
    assert_eq!(matching("cafe\u{301}", "tea caf\u{e9}", plain), Ok(Matching::Names(vec![1])));
    assert_eq!(matching("0 1", "0 1 2", plain), Ok(Matching::Names(vec![0, 1])));
    let classes = names("dog ant");
    let dogs = matched(&classes, &[0].into(), &names("cat dog"), plain).unwrap();
    assert_eq!(dogs, Matching::Names(vec![1, 0]), "a class without images need not be known");
}

#[test]
fn numbers_are_compared_only_where_one_side_has_nothing_else() {
    let plain = Naming::default();
    assert_eq!(matching("0 1", "cat dog", plain), Ok(Matching::Numbers));
    assert_eq!(matching("cat dog", "0 1 2", plain), Ok(Matching::Numbers));
    let digits = Naming { labels_are_names: true, ..plain };
    assert!(matching("cat dog", "0 1 2", digits).unwrap_err().contains("--match-by-number"));
    assert!(matching("0 1 2", "cat dog", plain).unwrap_err().contains("more classes"));
    let error = matching("T-shirt-top Coat", "T-shirt/top Coat", plain).unwrap_err();
    assert!(error.contains("does not know all") && error.contains("got \"T-shirt-top\""), "{error}");
    let error = matching("owl bat", "cat dog", plain).unwrap_err();
    assert!(error.contains("others than the model's: expected \"cat\", \"dog\", got \"owl\", \"bat\""), "{error}");
    let by_number = Naming { by_number: true, ..plain };
    assert_eq!(matching("owl bat", "cat dog", by_number), Ok(Matching::Numbers));
    assert_eq!(matching("dog cat", "cat dog", by_number), Ok(Matching::Numbers));
}
