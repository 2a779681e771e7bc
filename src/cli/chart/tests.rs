use super::*;

#[test]
fn ticks_are_round_numbers() {
    let labels = |range| ticks(range).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
    assert_eq!(labels([0.312, 2.749]), ["0.5", "1.0", "1.5", "2.0", "2.5"]);
    assert_eq!(labels([2.25, 2.31]), ["2.26", "2.28", "2.30"]);
    assert_eq!(labels([0.0, 1.0]), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    assert_eq!(labels([3.0, 480.0]), ["100", "200", "300", "400"]);
    assert_eq!(labels([0.0, 3e-7]), ["0.0000000", "0.0000001", "0.0000002", "0.0000003"]);
    assert!(labels([1e30, 1e30 + 1e14]).len() <= 21);
}

#[test]
fn the_line_goes_through_its_points_and_the_mark_stands_at_its_place() {
    let points = [(1e-4, 2.0), (1e-3, 1.0), (1e-1, 3.0)];
    let chart = Chart { title: "a title", x_label: "rate", points: &points, mark: Some(1e-2) };
    let canvas = chart.draw();
    for (x, y) in points {
        assert_eq!(*canvas.get_pixel(chart.x(x).round() as u32, chart.y(y).round() as u32), LINE);
    }
    assert_eq!((chart.x(1e-4), chart.y(1.0)), (f64::from(LEFT), f64::from(SIZE[1] - BOTTOM)));
    assert_eq!(*canvas.get_pixel(chart.x(1e-2).round() as u32, TOP + 1), MARK);
    let text = canvas.enumerate_pixels().filter(|(_, y, pixel)| *y < TOP - 10 && **pixel != PAPER).count();
    assert!(text > 100, "the title is there");
}
