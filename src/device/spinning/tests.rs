use super::*;

fn num_threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn counted_threads_are_there_until_they_are_dropped() {
    let parallel = libgomp().expect("libtorch uses libgomp");
    let before = num_threads();
    let counted = CountedThreads::start(parallel).unwrap();
    let until = |is_so: &dyn Fn() -> bool| {
        let started = Instant::now();
        while !is_so() && started.elapsed() < Duration::from_secs(60) {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(is_so(), "{before} threads before, {} now", num_threads());
    };
    // other tests begin and end threads meanwhile
    until(&|| num_threads() > before);
    let owner = counted.owner.as_ref().unwrap().thread().id();
    assert_ne!(owner, thread::current().id());
    drop(counted);
}

#[test]
fn a_thread_s_wait_for_a_processor_only_grows() {
    let delay = RunDelay::of_this_thread().expect("Linux counts it");
    let before = delay.seconds().unwrap();
    for _ in 0..20 {
        thread::yield_now();
    }
    assert!(before >= 0.0 && delay.seconds().unwrap() >= before);
}
