use super::*;

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    write_atomically(&path, |writer| writer.write_all(b"old")).unwrap();
    let failed = write_atomically(&path, |writer| {
        writer.write_all(b"new")?;
        Err(io::Error::other("no"))
    });
    assert!(failed.is_err());
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn folders_are_made_for_outputs_and_the_temporary_name_is_nobody_s() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/c.txt");
    let error = write_atomically(&path, |_| Ok(())).unwrap_err();
    assert!(!error.to_string().contains(".unfinished"), "{error}");
    write_output(&path, |writer| writer.write_all(b"x")).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"x");
    let error = write_output(&path.join("d"), |_| Ok(())).unwrap_err();
    assert!(!error.to_string().contains(".unfinished"), "{error}");
}

#[test]
#[cfg(unix)]
fn others_may_read_what_was_written() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, "x").unwrap();
    let path = folder.path().join("atomic");
    write_atomically(&path, |writer| writer.write_all(b"x")).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&path), mode(&plain));
}
