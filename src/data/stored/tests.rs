use std::time::Duration;

use super::*;

fn identity(image: &ImageSource) -> [u8; 32] {
    let mut identifier = Identifier::default();
    identifier.add(image);
    identifier.finish()
}

#[test]
fn an_image_is_known_by_where_it_lies_not_by_how_that_is_written() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["v1", "v2"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("1.png"), b"same size").unwrap();
        let file = File::options().write(true).open(folder.path().join(name).join("1.png")).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(9)).unwrap();
    }
    let at = |path: &str| identity(&ImageSource::File(folder.path().join(path)));
    assert_eq!(at("v1/1.png"), at("v2/../v1/1.png"));
    assert_ne!(at("v1/1.png"), at("v2/1.png"));
    #[cfg(unix)]
    {
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("v1", &link).unwrap();
        let before = at("link/1.png");
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink("v2", &link).unwrap();
        assert_ne!(at("link/1.png"), before, "the link leads elsewhere now");
    }
}

#[test]
fn a_part_of_an_archive_is_another_when_the_archive_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let archive: Arc<Path> = folder.path().join("a.tar").into();
    let part = ImageSource::Part {
        archive: archive.clone(),
        name: "cat/1.png".into(),
        start: 512,
        length: 3,
        is_deflated: false,
        checksum: None,
    };
    let write = |bytes: &[u8], seconds| {
        std::fs::write(&archive, bytes).unwrap();
        let file = File::options().write(true).open(&archive).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        identity(&part)
    };
    let first = write(&[1; 2048], 7);
    assert_eq!(write(&[2; 2048], 7), first, "it cannot be told");
    assert_ne!(write(&[2; 2048], 8), first);
    assert_ne!(write(&[2; 4096], 7), first);
}
