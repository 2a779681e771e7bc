use super::super::Start;
use super::super::event_file::tests::{read_events, read_scalars};
use super::*;

/// A run of 3 epochs of 430 batches, 55,000 images.
pub fn start(first_epoch: u64) -> Start {
    Start {
        run: "run".to_owned(),
        model_json: "{}".to_owned(),
        epochs: 3,
        first_epoch,
        steps_per_epoch: 430,
        num_images: 55_000,
        first_step: (first_epoch - 1) * 430,
    }
}

/// Batch `batch` of epoch `epoch`.
pub fn batch(epoch: u64, batch: u64) -> Batch {
    let scores = Scores::new(0.3012, 0.8921);
    let step = (epoch - 1) * 430 + batch;
    Batch { epoch, batch, step, scores, images_per_second: 9_100.0, learning_rate: 0.002, is_recorded: true }
}

/// The end of epoch `epoch`.
pub fn epoch(epoch: u64, validation: Option<Scores>) -> Epoch {
    Epoch {
        epoch,
        step: epoch * 430,
        train: Scores::new(0.3012, 0.8921),
        validation,
        learning_rate: 0.002,
        seconds: 7.1,
        images_per_second: 9_100.0,
        is_best: false,
    }
}

fn validated() -> Option<Scores> {
    Some(Scores::new(0.25, 0.5))
}

fn point(tag: &str, step: i64, value: f32) -> (String, i64, f32) {
    (tag.to_owned(), step, value)
}

#[test]
fn tags_and_steps_are_keras_s() {
    let folder = tempfile::tempdir().unwrap();
    let (train, validation) = (folder.path().join("train"), folder.path().join("validation"));
    let mut sink = TensorBoardSink::create(folder.path()).unwrap();
    sink.on(&Event::Start(start(1))).unwrap();
    sink.on(&Event::Batch(batch(1, 5))).unwrap();
    sink.on(&Event::Validating).unwrap();
    assert!(!validation.exists());
    sink.on(&Event::Epoch(epoch(1, validated()))).unwrap();
    sink.on(&Event::Epoch(epoch(2, validated()))).unwrap();
    sink.on(&Event::End).unwrap();
    assert_eq!(read_events(&train)[1].get_summary().get_value()[0].get_tag(), "keras");
    let mut expected = vec![point("batch_loss", 5, 0.3012), point("batch_accuracy", 5, 0.8921)];
    for step in 0..2 {
        expected.push(point("epoch_loss", step, 0.3012));
        expected.push(point("epoch_accuracy", step, 0.8921));
        expected.push(point("epoch_learning_rate", step, 0.002));
    }
    assert_eq!(read_scalars(&train), expected);
    let of_epoch = |step| {
        let batches = (step + 1) * 430;
        [
            point("evaluation_loss_vs_iterations", batches, 0.25),
            point("evaluation_accuracy_vs_iterations", batches, 0.5),
            point("epoch_loss", step, 0.25),
            point("epoch_accuracy", step, 0.5),
        ]
    };
    assert_eq!(read_scalars(&validation), [of_epoch(0), of_epoch(1)].concat());
    assert_eq!((num_files(&train), num_files(&validation)), (1, 1));
}

#[test]
fn without_validation_there_is_no_folder_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = TensorBoardSink::create(folder.path()).unwrap();
    sink.on(&Event::Start(start(1))).unwrap();
    sink.on(&Event::Epoch(epoch(1, None))).unwrap();
    assert_eq!(num_files(folder.path()), 1);
}

#[test]
fn only_recorded_batches_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = TensorBoardSink::create(folder.path()).unwrap();
    for number in 1..30 {
        sink.on(&Event::Batch(Batch { is_recorded: number % 10 == 1, ..batch(1, number) })).unwrap();
    }
    let train = folder.path().join("train");
    assert_eq!(steps(&train, "batch_loss"), [1, 11, 21]);
    assert_eq!(steps(&train, "batch_accuracy"), [1, 11, 21]);
}

#[test]
fn a_resumed_run_goes_on_in_new_files_without_repeating_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let (train, validation) = (folder.path().join("train"), folder.path().join("validation"));
    let mut killed = TensorBoardSink::create(folder.path()).unwrap();
    killed.on(&Event::Start(start(1))).unwrap();
    killed.on(&Event::Epoch(epoch(1, validated()))).unwrap();
    killed.on(&Event::Batch(batch(2, 100))).unwrap(); // after the checkpoint
    drop(killed);
    let mut resumed = TensorBoardSink::create(folder.path()).unwrap();
    resumed.on(&Event::Start(start(2))).unwrap();
    for number in [50, 100, 150] {
        resumed.on(&Event::Batch(batch(2, number))).unwrap();
    }
    resumed.on(&Event::Epoch(epoch(2, validated()))).unwrap();
    assert_eq!((num_files(&train), num_files(&validation)), (2, 2));
    assert_eq!(steps(&train, "batch_loss"), [530, 580]);
    assert_eq!(steps(&train, "epoch_loss"), [0, 1]);
    assert_eq!(steps(&validation, "evaluation_loss_vs_iterations"), [430, 860]);
    let events = read_events(&train);
    let graphs = events.iter().flat_map(|event| event.get_summary().get_value()).filter(|value| value.tag == "keras");
    assert_eq!(graphs.count(), 1);
}

#[test]
fn a_functional_in_a_sequential_has_its_input_s_name_for_the_graph_page() {
    let inner = r#"{"class_name":"Functional","config":{"input_layers":["in",0,0],"layers":[]}}"#;
    let of = |class_name: &str| format!(r#"{{"class_name":"{class_name}","config":{{"layers":[{inner}]}}}}"#);
    assert!(for_graph_page(&of("Sequential")).contains(r#""input_layers":["in"]"#));
    assert!(for_graph_page(&of("Functional")).contains(r#""input_layers":["in",0,0]"#));
    assert_eq!(for_graph_page("{}"), "{}");
}

/// The steps of `tag` under `folder`.
fn steps(folder: &Path, tag: &str) -> Vec<i64> {
    read_scalars(folder).into_iter().filter(|(found, ..)| found == tag).map(|(_, step, _)| step).collect()
}

fn num_files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn a_run_that_goes_on_otherwise_loses_the_points_behind_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = TensorBoardSink::create(folder.path()).unwrap();
    let events = [Event::Start(start(1)), Event::Batch(batch(1, 400)), Event::Epoch(epoch(1, validated()))];
    let later = [Event::Batch(batch(2, 10)), Event::Batch(batch(2, 20)), Event::Epoch(epoch(2, validated()))];
    events.iter().chain(&later).for_each(|event| sink.on(event).unwrap());
    drop(sink);
    let [train, validation] = ["train", "validation"].map(|part| folder.path().join(part));
    rewind(folder.path(), 1, 440).unwrap();
    let points = |path: &Path| read_scalars(path).into_iter().map(|(tag, step, _)| (tag, step)).collect::<Vec<_>>();
    let expected = [
        ("batch_loss", 400),
        ("batch_accuracy", 400),
        ("epoch_loss", 0),
        ("epoch_accuracy", 0),
        ("epoch_learning_rate", 0),
        ("batch_loss", 440),
        ("batch_accuracy", 440),
    ];
    assert_eq!(points(&train), expected.map(|(tag, step)| (tag.to_owned(), step)));
    assert_eq!(points(&validation).len(), 4);
    assert!(
        read_events(&train).iter().any(|event| event.get_summary().get_value().iter().any(|v| v.get_tag() == "keras"))
    );
    rewind(&folder.path().join("nowhere"), 1, 440).unwrap();
}
