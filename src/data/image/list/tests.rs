use std::fs;

use super::*;

#[test]
fn images_are_listed_in_order_without_hidden_ones_and_links_in_a_circle() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["b/2.PNG", "b/1.jpeg", "a/x/3.webp", "a/notes.txt", "a/._1.jpg", ".cache/4.png", "0.gif", "png"] {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), b"").unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(root, root.join("b/circle")).unwrap();
    let expected = ["0.gif", "a/x/3.webp", "b/1.jpeg", "b/2.PNG"].map(|name| root.join(name));
    assert_eq!(list_images(root).unwrap(), expected);
    assert_eq!(list_folder(root).unwrap().note.unwrap(), "left out: 1 without an extension, 1 .txt");
    let phone = tempfile::tempdir().unwrap();
    fs::write(phone.path().join("1.HEIC"), b"").unwrap();
    let error = list_images(phone.path()).unwrap_err().to_string();
    assert!(error.contains("got 1 .heic") && error.contains("convert"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    assert!(list_images(empty.path()).unwrap_err().to_string().contains("no image in the folder"));
    assert!(list_images(&root.join("0.gif")).unwrap_err().to_string().contains("cannot list"));
}
