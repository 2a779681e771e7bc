use super::*;

#[test]
fn the_mapped_library_is_found() {
    let maps = "7f0 r-xp 0 08:01 1 /usr/lib/libc.so.6\n7f1 rw-p 0 0 0\n7f2 r-xp 0 08:01 2 /a b/libtorch_cpu.so\n";
    assert_eq!(mapped_in(maps, "libtorch_cpu.so"), Some("/a b/libtorch_cpu.so".into()));
    assert_eq!(mapped_in(maps, "libc.so"), Some("/usr/lib/libc.so.6".into()));
    assert_eq!(mapped_in(maps, "torch_cpu.so"), None);
}

#[test]
fn a_library_that_is_not_there_is_named() {
    let Err(reason) = load("libnone_of_these.so.7", false) else { panic!("there is none") };
    assert!(reason.is_missing("libnone_of_these.so.7"), "{reason}");
    assert!(!reason.is_missing("libcuda.so.1"));
}
