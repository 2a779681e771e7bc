use super::*;
use crate::rng::{Stream, generator};

fn points(nodes: &[(f32, f32)]) -> Vec<Point> {
    nodes.iter().map(|&(x, y)| Point { x, y }).collect()
}

#[test]
fn a_curve_passes_its_nodes_and_is_round_between_them() {
    let nodes = points(&[(50.0, 0.0), (0.0, 50.0), (-50.0, 0.0), (0.0, -50.0)]);
    let mut curve = vec![nodes[0]];
    trace_curve(&nodes, &mut curve);
    for (node, point) in nodes.iter().zip(curve.iter().step_by(PIECES_PER_CURVE)) {
        assert!((*node - *point).length() < 1e-3, "{node:?} {point:?}");
    }
    // the nodes lie on a circle of radius 50, the middles of the straight lines between them at 35
    for point in &curve {
        assert!((42.0..51.0).contains(&point.length()), "{point:?}");
    }
}

#[test]
fn nodes_that_meet_leave_finite_points() {
    let mut curve = Vec::new();
    trace_curve(&points(&[(1.0, 1.0), (1.0, 1.0), (1.0, 1.0)]), &mut curve);
    assert!(curve.iter().all(|point| (*point - Point { x: 1.0, y: 1.0 }).length() < 1e-6), "{curve:?}");
}

#[test]
fn every_way_of_writing_can_be_traced() {
    let mut rng = generator(0, Stream::Sample(0));
    for digit in 0..10 {
        for glyph in ways_of_writing(digit) {
            assert!(glyph.iter().all(|stroke| stroke.len() >= 2), "{digit}");
            assert!(trace(glyph, &mut rng).iter().flatten().all(|point| point.length().is_finite()), "{digit}");
        }
    }
}

#[test]
fn both_bells_have_the_deviation_they_name() {
    let mut rng = generator(0, Stream::Sample(0));
    let draws = 20_000;
    let variance = |draw: &mut dyn FnMut() -> f32| (0..draws).map(|_| draw().powi(2)).sum::<f32>() / draws as f32;
    // the variance's own standard deviation is below 0.01
    assert!((variance(&mut || bell(&mut rng, 1.0)) - 1.0).abs() < 0.05);
    assert!((variance(&mut || pixel_bell(&mut rng)) - 1.0).abs() < 0.05);
}
