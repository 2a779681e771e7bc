use super::*;

#[test]
#[cfg(unix)]
fn links_in_a_circle_hidden_files_and_names_that_are_no_utf_8() {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    for class in ["a", "b", ".hidden"] {
        fs::create_dir(folder.path().join(class)).unwrap();
        for name in [&b"1.png"[..], b"._1.png", b"notes.txt", b"\xff\xfe.png"] {
            fs::write(folder.path().join(class).join(OsStr::from_bytes(name)), b"").unwrap();
        }
    }
    std::os::unix::fs::symlink(folder.path(), folder.path().join("b/circle")).unwrap();
    assert_eq!(read_folder(folder.path()).unwrap().images.len(), 4);
    fs::create_dir(folder.path().join(OsStr::from_bytes(b"\xff"))).unwrap();
    assert!(read_folder(folder.path()).unwrap_err().to_string().contains("not UTF-8"));
}
