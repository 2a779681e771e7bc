use super::*;

fn suspect(label: &str, score: f32) -> Suspect {
    Suspect {
        rank: 1,
        split: Split::Train,
        index: 7,
        path: None,
        label: label.into(),
        suggested: "b".into(),
        score,
        place: 0,
    }
}

#[test]
fn the_hardest_class_comes_first() {
    let ranking = [suspect("a", -1.0), suspect("b", 0.5), suspect("a", 5.0), suspect("b", 1.5)];
    let classes = by_class(&["a".into(), "b".into(), "c".into()], &ranking);
    let class = |label: &str, margin, negative| ClassMargin { label: label.into(), margin, count: 2, negative };
    assert_eq!(classes, [class("b", 1.0, 0), class("a", 2.0, 1)]);
}

#[test]
fn the_list_is_the_contracts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("suspects.csv");
    write_csv(&path, &[suspect("a, the first", -1.5), Suspect { path: Some("d/x.png".into()), ..suspect("a", 2.0) }])
        .unwrap();
    let expected =
        "rank,split,index,path,label,suggested,score\n1,train,7,,\"a, the first\",b,-1.5\n1,train,7,d/x.png,a,b,2.0\n";
    assert_eq!(std::fs::read_to_string(path).unwrap(), expected);
}
