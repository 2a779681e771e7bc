use super::*;

#[test]
fn a_bomb_is_read_up_to_the_bound() {
    assert_eq!((max_unpacked(0), max_unpacked(2 << 20)), (256 << 20, 400 << 20));
    let read = |count: u64, reader: fn(io::Take<io::Repeat>) -> BoundedReader<io::Take<io::Repeat>>| {
        io::copy(&mut reader(io::repeat(0).take(count)), &mut io::sink())
    };
    assert_eq!(read(100_000, |reader| BoundedReader::new(reader, 100_000)).unwrap(), 100_000);
    let error = read(100_001, |reader| BoundedReader::new(reader, 100_000)).unwrap_err().to_string();
    assert!(error.contains("more than 100000 bytes"), "{error}");
    assert_eq!(read(256 << 20, |reader| BoundedReader::unpacking(reader, 1)).unwrap(), 256 << 20);
    let error = read((256 << 20) + 1, |reader| BoundedReader::unpacking(reader, 1)).unwrap_err().to_string();
    assert!(error.contains("200 times its size"), "{error}");
}

#[test]
fn more_than_is_wanted_is_none() {
    let read = |count| read_up_to(io::repeat(7).take(count), 5).unwrap();
    assert_eq!((read(0), read(5), read(6)), (Some(vec![]), Some(vec![7; 5]), None));
    assert_eq!(read_up_to(io::repeat(7), 3).unwrap(), None);
}
