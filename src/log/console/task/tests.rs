use super::*;

#[test]
fn a_task_s_line_fits_its_terminal() {
    let task = Task::new(ProgressMode::None, "evaluating", "images", 10_000);
    let line = |columns| {
        let line = task.fields(2_500, "", 1.25, columns, true).fit(false);
        (line.has_bar, format!("{}|{}", line.before, line.after))
    };
    let full = "evaluating  |   25 %   2500/10000 images   1.2 s  ETA 0:04  2.0k images/s";
    assert_eq!(line(198), (true, full.to_owned()));
    assert_eq!(line(58), (true, "evaluating  |   25 %   2500/10000   1.2 s  ETA 0:04".to_owned()));
    assert_eq!(line(38), (false, "evaluating   25 %  ETA 0:04|".to_owned()));
    let with_note = task.fields(2_500, "loss 0.3012", 1.25, usize::MAX, false).fit(false).before;
    let plain = "evaluating  loss 0.3012   25 %   2500/10000 images   1.2 s  ETA 0:04  2.0k images/s";
    assert_eq!(with_note, plain);
}
