use super::*;

/// An epoch whose validation loss is `val_loss`.
fn epoch(number: u64, val_loss: f64, learning_rate: f64) -> Epoch {
    let scores = |loss| Scores::new(loss, 0.5);
    Epoch {
        epoch: number,
        step: number,
        train: scores(1.0),
        validation: Some(scores(val_loss)),
        learning_rate,
        seconds: 1.0,
        images_per_second: 1.0,
        is_best: false,
    }
}

/// The epoch after which training ends, and the best one.
fn ends(stopping: EarlyStopping, losses: &[f64]) -> (Option<u64>, u64) {
    let mut watch = EarlyStoppingState::default();
    let stopped = (1..).zip(losses).find(|&(number, &loss)| {
        stopping.update(&mut watch, &epoch(number, loss, 0.1));
        watch.exhausted
    });
    (stopped.map(|(number, _)| number), watch.best_epoch)
}

#[test]
fn early_stopping_ends_where_keras_does() {
    // keras.callbacks.EarlyStopping 3.15.1, fed with these logs (epochs from 0 there)
    let losses = [1.0, 0.9, 0.95, 0.85, 0.86, 0.87, 0.84, 0.9, 0.9, 0.9];
    let stopping = EarlyStopping { monitor: Monitor::VAL_LOSS, ..EarlyStopping::default() };
    let patience = |patience| EarlyStopping { patience: Some(patience), ..stopping };
    assert_eq!(ends(stopping, &losses), (None, 7));
    assert_eq!(ends(patience(0), &losses), (Some(3), 2));
    assert_eq!(ends(patience(1), &losses), (Some(3), 2));
    assert_eq!(ends(patience(2), &losses), (Some(6), 4));
    assert_eq!(ends(patience(3), &losses), (Some(10), 7));
    assert_eq!(ends(EarlyStopping { min_delta: 0.06, ..patience(2) }, &losses), (Some(4), 2));
    assert_eq!(ends(EarlyStopping { start_from_epoch: 4, ..patience(2) }, &losses), (Some(9), 7));
    assert_eq!(ends(EarlyStopping { baseline: Some(0.5), ..patience(3) }, &losses), (Some(3), 2));
    assert_eq!(ends(patience(0), &[1.0, 1.0]), (Some(2), 1));
}

#[test]
fn the_rate_falls_where_keras_lets_it_fall() {
    // keras.callbacks.ReduceLROnPlateau 3.15.1, fed with these logs
    let losses = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.49995, 0.5, 0.5];
    let rates = |rule: ReduceOnPlateau| {
        let mut state = Plateau::default();
        let after = |(number, &loss)| {
            let rate = 0.1 * state.scale;
            rule.update(&mut state, &epoch(number, loss, rate));
            (0.1 * state.scale * 1e6).round() / 1e6
        };
        (1..).zip(&losses).map(after).collect::<Vec<f64>>()
    };
    let rule = ReduceOnPlateau { factor: 0.5, patience: 2, ..ReduceOnPlateau::default() };
    assert_eq!(rates(rule), [0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.025, 0.025, 0.0125, 0.0125]);
    let cool = ReduceOnPlateau { cooldown: 2, ..rule };
    assert_eq!(rates(cool), [0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.0125, 0.0125]);
    let bounded = ReduceOnPlateau { min_rate: 0.04, ..rule };
    assert_eq!(rates(bounded), [0.1, 0.1, 0.05, 0.05, 0.04, 0.04, 0.04, 0.04, 0.04, 0.04]);
}

#[test]
fn names_are_the_history_s_columns() {
    let names: Vec<String> = Monitor::all().map(|monitor| monitor.to_string()).collect();
    let expected = ["loss", "accuracy", "top_5_accuracy", "val_loss", "val_accuracy", "val_top_5_accuracy"];
    assert_eq!(names, expected);
    for monitor in Monitor::all() {
        let text = serde_json::to_string(&monitor).unwrap();
        assert_eq!(text, format!("\"{monitor}\""));
        assert_eq!(serde_json::from_str::<Monitor>(&text).unwrap(), monitor);
    }
    let top_5 = Monitor { metric: Metric::Top5Accuracy, of_validation: true };
    assert!(top_5.is_better(0.6, Some(0.5), 0.0) && !Monitor::VAL_LOSS.is_better(0.6, Some(0.5), 0.0));
    assert!(top_5.check_classes(6).is_ok() && Monitor::VAL_ACCURACY.check_classes(2).is_ok());
    let error = top_5.check_classes(5).unwrap_err().to_string();
    assert!(error.contains("expected 6 classes or more, got 5"), "{error}");
}

#[test]
fn an_older_checkpoint_s_scores_are_read() {
    let read = |json: &str| serde_json::from_str::<EpochScores>(json).unwrap();
    let old = EpochScores { train: Scores::new(0.5, 0.25), validation: Some(Scores::new(1.5, 0.125)) };
    assert_eq!(read("[0.5,0.25,1.5,0.125]"), old);
    assert_eq!(read("[0.5,0.25,null,null]"), EpochScores { validation: None, ..old });
    assert_eq!(read("[null,null,null,null]"), EpochScores::default());
    assert_eq!(read(&serde_json::to_string(&old).unwrap()), old);
}

#[test]
fn targets_are_words() {
    let target: Target = "val_accuracy=0.92".parse().unwrap();
    assert_eq!(target, Target { monitor: Monitor::VAL_ACCURACY, value: 0.92 });
    assert!(target.is_reached_by(0.92) && !target.is_reached_by(0.9199));
    assert!("loss=0.1".parse::<Target>().unwrap().is_reached_by(0.05));
    for (text, word) in
        [("val_acuracy=1", "did you mean 'val_accuracy'"), ("0.92", "val_accuracy=0.92"), ("loss=x", "number")]
    {
        let error = text.parse::<Target>().unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let text = serde_json::to_string(&target).unwrap();
    assert_eq!(serde_json::from_str::<Target>(&text).unwrap(), target);
}
