use super::*;

#[test]
fn rows_are_aligned() {
    let rows = [Feature::new("CUDA", false, "no driver"), Feature::new("libtorch", true, "2.11.0")];
    assert_eq!(table(&rows), "CUDA      not used  no driver\nlibtorch  used      2.11.0\n");
}

#[test]
fn cpu_features_come_from_the_flags() {
    let rows = cpu("model name\t: Some CPU @ 3 GHz\nflags\t\t: fpu avx2 amx_bf16\n");
    assert_eq!(rows[0].detail, "Some CPU @ 3 GHz");
    let used: Vec<bool> = rows[1..5].iter().map(|row| row.used).collect();
    assert_eq!(used, [true, false, false, false]);
    assert!(rows[4].detail.contains("bfloat16"), "{}", rows[4].detail);
}
