use super::*;

/// How many of this process's threads are called `counted`: those of a team are called as the thread that began it.
fn num_counted() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    // other tests end threads meanwhile
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "counted").count()
}

#[test]
fn counted_threads_are_there_until_they_are_dropped() {
    let parallel = libgomp().expect("libtorch uses libgomp");
    let counted = CountedThreads::start(parallel).unwrap();
    let started = Instant::now();
    while num_counted() < 2 {
        assert!(started.elapsed() < Duration::from_secs(60), "{} counted threads", num_counted());
        thread::sleep(Duration::from_millis(1));
    }
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

#[test]
fn libtorch_s_operators_and_ours_share_one_libgomp() {
    assert!(libgomp().is_some());
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let files = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).filter(|file| file.contains("/libgomp"));
    assert_eq!(files.collect::<std::collections::BTreeSet<_>>().len(), 1, "two would have twice the threads");
}
