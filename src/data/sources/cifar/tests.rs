use super::*;

#[test]
fn records_become_images_with_their_colours_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let record = |labels: &[u8], red: u8| [labels, &[red; PLANE], &[2; PLANE], &[3; PLANE]].concat();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("data_batch_10.bin"), record(&[9], 30)).unwrap();
    fs::write(path("data_batch_2.bin"), [record(&[1], 10), record(&[0], 20)].concat()).unwrap();
    fs::write(path("test_batch.bin"), record(&[4], 40)).unwrap();
    let dataset = read_folder(folder.path()).unwrap().into_dataset().unwrap();
    assert_eq!(dataset.train.labels(), [1, 0, 9]);
    assert_eq!(dataset.train.image(2).unwrap()[..6], [30, 2, 3, 30, 2, 3]);
    assert_eq!((dataset.test.unwrap().len(), dataset.classes[9].as_str()), (1, "9"));
    fs::write(path("batches.meta.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n").unwrap();
    assert_eq!(read_folder(folder.path()).unwrap().into_dataset().unwrap().classes[9], "j");
    fs::write(path("batches.meta.txt"), "a\n").unwrap();
    assert!(read_folder(folder.path()).unwrap_err().to_string().contains("expected 10, got 1"));
    fs::remove_file(path("batches.meta.txt")).unwrap();
    fs::write(path("test_batch.bin"), record(&[10], 40)).unwrap();
    assert!(read_folder(folder.path()).unwrap_err().to_string().contains("0 to 9, got 10"));
    fs::write(path("test_batch.bin"), &record(&[1], 40)[1..]).unwrap();
    assert!(read_folder(folder.path()).unwrap_err().to_string().contains("got 3072"));
}

#[test]
fn the_finer_of_two_labels_counts() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.bin"), [&[19, 99][..], &[7; 3 * PLANE]].concat()).unwrap();
    let dataset = read_folder(folder.path()).unwrap().into_dataset().unwrap();
    assert_eq!((dataset.train.labels(), dataset.classes.len(), dataset.test), (&[99][..], 100, None));
}
