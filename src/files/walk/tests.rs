use super::*;

#[test]
fn hidden_and_system_files_are_passed_over() {
    for name in [".DS_Store", "._cat.jpg", "@eaDir", "$RECYCLE.BIN", "lost+found", "Thumbs.db", "__MACOSX"] {
        assert!(is_hidden(name), "{name}");
    }
    for name in ["cat", "test", "found", "Icon", "tmp", "Éclair"] {
        assert!(!is_hidden(name), "{name}");
    }
}

#[test]
fn entries_come_in_order_and_each_folder_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["b/2.png", "b/1.png", "a/x/3.png", "__MACOSX/b/._1.png", ".cache/4.png", "0.gif", "b/Thumbs.db"] {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), b"").unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(root, root.join("b/circle")).unwrap();
    let mut found = Vec::new();
    let visit = &mut |entry: &Entry| {
        let slash = if entry.is_folder { "/" } else { "" };
        found.push(format!("{}{slash}", entry.path.strip_prefix(root).unwrap().display()));
        Ok(())
    };
    walk(root, visit).unwrap();
    let mut expected = vec!["0.gif", "a/", "a/x/", "a/x/3.png", "b/", "b/1.png", "b/2.png"];
    expected.extend(cfg!(unix).then_some("b/circle/"));
    assert_eq!(found, expected);
    let deep = (0..=MAX_DEPTH).fold(root.join("deep"), |path, _| path.join("d"));
    fs::create_dir_all(&deep).unwrap();
    assert!(walk(root, &mut |_| Ok(())).unwrap_err().to_string().contains("deep"));
    assert!(walk(&root.join("0.gif"), &mut |_| Ok(())).unwrap_err().to_string().contains("cannot list"));
}
