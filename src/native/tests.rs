use super::*;

#[test]
fn tf32_is_what_was_asked_for() {
    for allowed in [true, false] {
        allow_tf32(allowed).unwrap();
        assert_eq!(tf32_is_allowed().unwrap(), allowed);
    }
}

#[test]
fn cudnn_is_deterministic_where_asked_for() {
    for deterministic in [true, false] {
        set_deterministic(deterministic).unwrap();
        assert_eq!(is_deterministic().unwrap(), deterministic);
    }
}

#[test]
fn a_seed_is_that_of_tch() {
    let numbers = || Vec::<f32>::try_from(tch::Tensor::rand([4], (tch::Kind::Float, Device::Cpu))).unwrap();
    manual_seed(u64::MAX, Device::Cpu).unwrap();
    let ours = numbers();
    #[expect(clippy::disallowed_methods, reason = "the one that is replaced")]
    tch::manual_seed(-1);
    assert_eq!(ours, numbers());
}
