use std::collections::HashSet;

use rayon::prelude::*;

use super::*;

#[test]
fn work_runs_on_as_many_threads_as_the_pool_has() {
    let threads = |pool: &ThreadPool| -> HashSet<Option<usize>> {
        let turn = |_| {
            thread::yield_now();
            install(rayon::current_thread_index).unwrap()
        };
        pool.install(|| (0..1000).into_par_iter().map(turn).collect())
    };
    assert_eq!(threads(&build(1).unwrap()), [Some(0)].into());
    assert!(threads(&build(3).unwrap()).len() <= 3);
    assert_eq!(install(rayon::current_num_threads).unwrap(), pool().unwrap().current_num_threads());
}
