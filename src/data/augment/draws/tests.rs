use super::*;

/// The definition, on the host.
fn split_mix(key: u64, place: u64) -> f32 {
    let z = (place + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(key);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
}

#[test]
fn they_are_split_mix_s_words_whatever_the_batch() {
    let draws = Draws::new(&Tensor::from_slice(&[7i64, 0, 99_999_999]), 0xFEDC_BA98_7654_3210);
    let alone = Draws::new(&Tensor::from_slice(&[0i64]), 0xFEDC_BA98_7654_3210);
    for (row, sample) in [7u64, 0, 99_999_999].into_iter().enumerate() {
        for draw in [Draw::Flip, Draw::Zoom, Draw::EraseValue] {
            let expected = split_mix(0xFEDC_BA98_7654_3210, sample * NUM_DRAWS as u64 + draw as u64);
            assert_eq!(draws.unit(draw).double_value(&[row as i64]) as f32, expected);
        }
    }
    assert_eq!(alone.unit(Draw::Flip).double_value(&[0]), draws.unit(Draw::Flip).double_value(&[1]));
}

#[test]
fn they_are_even() {
    let samples = Tensor::arange(20_000, (Kind::Int64, tch::Device::Cpu));
    let draws = Draws::new(&samples, 3);
    let mean = draws.0.mean_dim([0i64].as_slice(), false, None);
    let distance = (mean - 0.5).abs().max().double_value(&[]);
    assert!(distance < 0.01, "{distance}"); // five standard deviations
    let correlation = (draws.around_zero(Draw::ShiftX, 1.0) * draws.around_zero(Draw::ShiftY, 1.0)).mean(None);
    assert!(correlation.double_value(&[]).abs() < 0.012);
}
