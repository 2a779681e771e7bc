use super::*;

/// Each row's line and fields.
fn rows(text: &'static str) -> Result<Vec<String>> {
    let mut table = Table::new(text.as_bytes(), "the list", &["path", "label"])?;
    let mut rows = Vec::new();
    while let Some(record) = table.next().map_err(|error| error.at(format!("line {}", table.line())))? {
        rows.push(format!("{}: {}", table.line(), record.iter().collect::<Vec<_>>().join("|")));
    }
    Ok(rows)
}

#[test]
fn lines_are_counted_as_an_editor_does() {
    for text in ["path,label\n\n\na,b\nc,d", "path,label\r\n\r\n  \r\na,b\r\nc,d\r\n"] {
        assert_eq!(rows(text).unwrap(), ["4: a|b", "5: c|d"]);
    }
    assert_eq!(
        rows("# a list\n\npath,label\n# of mine, too\n#1.png,x\n").unwrap(),
        ["4: # of mine|too", "5: #1.png|x"]
    );
    assert_eq!(rows("path,label\n# mine\na,b\n").unwrap(), ["3: a|b"]);
    for (text, line) in [
        ("path,label\n\na,b\n\nc\n", "line 5"),
        ("path,label\n\na,\"b\nc\",d\n", "line 3"),
        ("path,label\n\n\na,b,c\r\n", "line 4"),
    ] {
        let error = rows(text).unwrap_err().to_string();
        assert!(error.contains(line), "{text}: {error}");
    }
}

#[test]
fn the_first_line_says_what_separates_fields() {
    for text in ["path;label\na,1.png;b\n", "Label\tPATH\n b\t a,1.png\n", "\"path\";\"label\"\n\"a,1.png\";b\n"] {
        let rows = rows(text).unwrap();
        assert!(rows == ["2: a,1.png|b"] || rows == ["2: b|a,1.png"], "{rows:?}");
    }
    let error = rows("\u{feff}File Name,Label\n").unwrap_err().to_string();
    assert!(error.contains("no column \"path\"") && error.contains("got \"File Name\", \"Label\""), "{error}");
    let error = rows("").unwrap_err().to_string();
    assert!(error.contains("got none"), "{error}");
}
