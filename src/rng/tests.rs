use super::*;
use std::collections::HashSet;

#[test]
fn streams_do_not_collide() {
    let mut seen = HashSet::new();
    for seed in 0..50 {
        for n in 0..50 {
            for stream in [Stream::Epoch(n), Stream::Step(n), Stream::Sample(n)] {
                assert!(seen.insert(derive(seed, stream)), "{seed} {stream:?}");
            }
        }
        for stream in [Stream::Init, Stream::Split, Stream::Show] {
            assert!(seen.insert(derive(seed, stream)), "{seed} {stream:?}");
        }
    }
}

#[test]
fn shuffle_keeps_every_item_and_depends_on_the_seed_alone() {
    let shuffled = |seed| {
        let mut items: Vec<u32> = (0..1000).collect();
        shuffle(&mut generator(seed, Stream::Epoch(3)), &mut items);
        items
    };
    assert_eq!(shuffled(7), shuffled(7));
    assert_ne!(shuffled(7), shuffled(8));
    let mut sorted = shuffled(7);
    sorted.sort_unstable();
    assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
}

#[test]
fn below_is_even() {
    let mut rng = generator(0, Stream::Init);
    let mut counts = [0u32; 7];
    for _ in 0..70_000 {
        counts[below(&mut rng, 7) as usize] += 1;
    }
    // 10,000 each, standard deviation 93
    assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
}
