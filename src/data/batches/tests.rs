use tch::Kind;

use super::*;
use crate::data::ImageShape;

fn samples(count: usize) -> DataLoader {
    let shape = ImageShape { height: 1, width: 2, channels: 1 };
    let pixels = (0..count).flat_map(|index| [index as u8, 0]).collect();
    let labels = (0..count).map(|index| (index % 3) as i64).collect();
    DataLoader::new(&Samples::new(shape, pixels, labels, 3).unwrap(), Device::Cpu).unwrap()
}

#[test]
fn an_epoch_shows_every_image_once_with_its_label() {
    let samples = samples(10);
    let order = samples.shuffled(1, 0);
    assert_eq!(samples.num_batches(4), 3);
    let mut seen = Vec::new();
    for index in 0..3 {
        let (images, labels) = samples.batch_of(&order, index, 4).unwrap();
        assert_eq!(images.size()[1..], [1, 2, 1]);
        let first = Vec::<i64>::try_from(images.select(2, 0).flatten(0, -1).to_kind(Kind::Int64)).unwrap();
        let labels = Vec::<i64>::try_from(labels).unwrap();
        assert!(first.iter().zip(&labels).all(|(pixel, label)| pixel % 3 == *label));
        seen.extend(first);
    }
    assert_ne!(seen, (0..10).collect::<Vec<_>>());
    seen.sort_unstable();
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
    assert_eq!(samples.shuffled(1, 0).numbers(), order.numbers());
    assert_ne!(samples.shuffled(1, 1).numbers(), order.numbers());
}

#[test]
fn batches_in_file_order_keep_the_last_one() {
    let samples = samples(5);
    let sizes: Vec<i64> =
        (0..samples.num_batches(2)).map(|index| samples.batch(index, 2).unwrap().1.size()[0]).collect();
    assert_eq!(sizes, [2, 2, 1]);
}

#[test]
fn an_image_that_cannot_be_read_says_what_to_do() {
    let files = [crate::data::stored::ImageSource::File("none.png".into())].into_iter().collect();
    let shape = ImageShape { height: 1, width: 2, channels: 1 };
    let samples = Samples::stored(files, shape.into(), vec![0], 1).unwrap();
    let error = DataLoader::new(&samples, Device::Cpu).unwrap().batch(0, 1).unwrap_err().to_string();
    assert!(error.contains("none.png") && error.contains("`exclude`"), "{error}");
}

#[test]
fn streaming_gives_what_is_given_from_the_device() {
    let shape = ImageShape { height: 1, width: 2, channels: 1 };
    let pixels = (0..100).map(|value| value as u8).collect();
    let host = Samples::new(shape, pixels, (0..50).map(|index| index % 3).collect(), 3).unwrap();
    let resident = DataLoader::new(&host, Device::Cpu).unwrap();
    for num_threads in [1, 2, 8] {
        let streaming =
            DataLoader::streaming(host.clone(), Device::Cpu, Arc::new(threads::build(num_threads).unwrap())).unwrap();
        for epoch in 0..2 {
            let (order, same) = (streaming.shuffled(1, epoch), resident.shuffled(1, epoch));
            // a run that is resumed begins in the middle
            for index in 3 * epoch..streaming.num_batches(8) {
                let expected = resident.batch_of(&same, index, 8).unwrap();
                assert_eq!(streaming.batch_of(&order, index, 8).unwrap(), expected);
            }
            for index in 0..resident.num_batches(9) {
                assert_eq!(streaming.batch(index, 9).unwrap(), resident.batch(index, 9).unwrap());
            }
        }
    }
}
