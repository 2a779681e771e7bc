use super::*;
use crate::data::ImageShape;
use crate::data::image::Preprocessing;
use crate::data::stored::ImageSource;
use crate::device::threads;

const SHAPE: ImageShape = ImageShape { height: 1, width: 1, channels: 1 };

fn pool(num_threads: usize) -> Arc<ThreadPool> {
    Arc::new(threads::build(num_threads).unwrap())
}

/// `count` images of one pixel, whose value is their number.
fn samples(count: usize) -> Samples {
    let pixels = (0..count).map(|index| index as u8).collect();
    Samples::new(SHAPE, pixels, vec![0; count], 1).unwrap()
}

/// Of `count` images, `size` each.
fn batches(count: usize, size: usize) -> Vec<Range<usize>> {
    (0..count).step_by(size).map(|start| start..(start + size).min(count)).collect()
}

#[test]
fn batches_come_in_order_whatever_the_number_of_threads() {
    let order = Numbers::listed((0..100).rev().collect());
    for num_threads in [1, 2, 8] {
        let prefetch = Prefetch::new(samples(100), order.clone(), batches(100, 7), 2, pool(num_threads));
        let mut pixels = Vec::new();
        for number in 2..15 {
            assert_eq!(prefetch.next(), number);
            pixels.extend(prefetch.take().unwrap());
        }
        assert_eq!(pixels, (0..86).rev().collect::<Vec<u8>>());
        assert!(prefetch.take().is_err());
    }
}

#[test]
fn no_more_than_a_few_batches_are_decoded_ahead() {
    let prefetch = Prefetch::new(samples(200), Numbers::InOrder(200), batches(200, 1), 0, pool(3));
    for taken in 0..20 {
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(prefetch.shared.lock().next_to_begin <= taken + 3 + WAITING);
        prefetch.take().unwrap();
    }
}

#[test]
fn an_image_that_cannot_be_read_is_an_error_in_its_place() {
    let files = ["none.png", "neither.png"].map(|name| ImageSource::File(name.into())).into_iter().collect();
    let preparation = Preprocessing::from(SHAPE);
    let samples = Samples::stored(files, preparation, vec![0; 2], 1).unwrap();
    let prefetch = Prefetch::new(samples, Numbers::listed(vec![1, 0]), batches(2, 1), 0, pool(2));
    for name in ["neither.png", "none.png"] {
        let error = prefetch.take().unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn one_thread_serves_several_that_are_taken_in_turns_or_given_up() {
    let pool = pool(1);
    let begin = || Prefetch::new(samples(200), Numbers::InOrder(200), batches(200, 1), 0, pool.clone());
    let (first, second) = (begin(), begin());
    drop(begin());
    for number in 0..200 {
        assert_eq!((first.take().unwrap(), second.take().unwrap()), (vec![number], vec![number]));
    }
}
