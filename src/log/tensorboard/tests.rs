use std::sync::Arc;

use protobuf::Message;
use tensorboard_proto::api::Status;
use tensorboard_proto::event::Event as EventProto;
use tensorboard_proto::plugin_hparams::HParamsPluginData;
use tensorboard_proto::summary::Summary_Value;

use super::super::Start;
use super::super::event_file::tests::{read_events, read_scalars};
use super::*;
use crate::data::batches::SingleImages;
use crate::data::{ImageShape, Samples};
use crate::evaluate::Predictions;

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

/// What a model says about `num_images` images of `num_classes` classes: right for most, more or less sure.
fn predictions(num_images: usize, num_classes: usize) -> Predictions {
    let mut predictions = Predictions { num_classes, ..Predictions::default() };
    for image in 0..num_images {
        let label = image % num_classes;
        let class = if image % 7 == 0 { (label + 1 + image % 3) % num_classes } else { label };
        let sure = 0.5 + (image * 37 % 100) as f32 / 210.0;
        let rest = (1.0 - sure) / (num_classes - 1) as f32;
        predictions.labels.push(label);
        predictions.classes.push(class);
        predictions.losses.push(0.1);
        predictions.probabilities.extend((0..num_classes).map(|other| if other == class { sure } else { rest }));
    }
    predictions
}

/// `num_images` images of noise.
fn images(num_images: usize, side: usize, num_classes: usize) -> Samples {
    let shape = ImageShape { height: side, width: side, channels: 3 };
    let mut random = 1u32;
    let noise = (0..num_images * side * side * 3).map(|_| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 24) as u8
    });
    let labels = (0..num_images).map(|image| (image % num_classes) as i64).collect();
    Samples::new(shape, noise.collect(), labels, num_classes).unwrap()
}

fn details(num_images: usize, num_classes: usize) -> Details {
    let settings = serde_json::json!({ "lr": 0.002, "model": "keras-cnn", "shuffle": true, "until": null });
    Details {
        settings: settings.as_object().unwrap().clone(),
        texts: vec![("command", "convnet train".to_owned())],
        samples: Some(image::RgbImage::new(4, 2)),
        classes: (0..num_classes).map(|class| format!("class {class}")).collect(),
        validation: Some(SingleImages::of(images(num_images, 8, num_classes))),
        first_epoch: 0,
    }
}

fn validated_event(epoch: u64, predictions: &Arc<Predictions>) -> Event {
    Event::Validated(Validated { epoch, predictions: Arc::clone(predictions) })
}

/// The values under `folder`: tag, step, and the value.
fn values(folder: &Path) -> Vec<(String, i64, Summary_Value)> {
    let of = |event: EventProto| {
        let step = event.get_step();
        event.get_summary().get_value().iter().map(|value| (value.tag.clone(), step, value.clone())).collect::<Vec<_>>()
    };
    read_events(folder).into_iter().flat_map(of).collect()
}

fn tags(folder: &Path) -> Vec<(String, i64)> {
    values(folder).into_iter().map(|(tag, step, _)| (tag, step)).collect()
}

/// A run of 3 epochs that is told everything, to its end.
fn whole_run(folder: &Path, first_epoch: u64, epochs: u64, ending: Ending) {
    let told = Arc::new(predictions(60, 3));
    let details = Details { first_epoch: first_epoch - 1, ..details(60, 3) };
    let mut sink = TensorBoardSink::with_details(folder, details).unwrap();
    sink.on(&Event::Start(Start { epochs, ..start(first_epoch) })).unwrap();
    for number in first_epoch..=epochs {
        sink.on(&validated_event(number, &told)).unwrap();
        sink.on(&Event::Epoch(epoch(number, validated()))).unwrap();
    }
    sink.on(&Event::End).unwrap();
    sink.on(&Event::Over { ending, test: validated() }).unwrap();
}

#[test]
fn a_run_s_details_are_where_its_plugins_look() {
    let folder = tempfile::tempdir().unwrap();
    whole_run(folder.path(), 1, 3, Ending::Success);
    let run = values(folder.path());
    let plugin = |value: &Summary_Value| value.get_metadata().get_plugin_data().get_plugin_name().to_owned();
    let found: Vec<_> = run.iter().map(|(tag, step, value)| (tag.as_str(), *step, plugin(value))).collect();
    let expected = [
        ("_hparams_/session_start_info", 0, "hparams"),
        ("custom_scalars__config__", 0, "custom_scalars"),
        ("command", 0, "text"),
        ("test_loss", 3, ""),
        ("test_accuracy", 3, ""),
        ("_hparams_/session_end_info", 0, "hparams"),
    ];
    assert_eq!(found, expected.map(|(tag, step, plugin)| (tag, step, plugin.to_owned())));
    let content = |index: usize| {
        HParamsPluginData::parse_from_bytes(run[index].2.get_metadata().get_plugin_data().get_content()).unwrap()
    };
    let settings = content(0);
    let settings = settings.get_session_start_info().get_hparams();
    assert_eq!(settings.len(), 3, "what is absent is left out: {settings:?}");
    assert_eq!(settings["lr"].get_number_value(), 0.002);
    assert_eq!(settings["model"].get_string_value(), "keras-cnn");
    assert!(settings["shuffle"].get_bool_value());
    assert_eq!(content(5).get_session_end_info().get_status(), Status::STATUS_SUCCESS);
    assert_eq!(tags(&folder.path().join("train"))[1], ("training_images".to_owned(), 0));
    // pictures of epochs 1 and 2, and of the last one when the run is over
    let validation = tags(&folder.path().join("validation"));
    let steps = |wanted: &str| -> Vec<i64> {
        validation.iter().filter(|(tag, _)| tag == wanted).map(|(_, step)| *step).collect()
    };
    assert_eq!((steps("confusion_matrix"), steps("mistakes")), (vec![0, 1, 2], vec![0, 1, 2]));
    assert_eq!(steps("pr_curve/class 2"), [0, 1, 2]);
}

#[test]
fn a_picture_is_a_png_of_the_size_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    whole_run(folder.path(), 1, 1, Ending::Success);
    let pictures = values(&folder.path().join("validation"));
    let mut pictures = pictures.iter().filter(|(.., value)| value.has_image()).map(|(.., value)| value.get_image());
    for picture in pictures.by_ref().take(2) {
        let decoded = image::load_from_memory(picture.get_encoded_image_string()).unwrap();
        assert_eq!((decoded.width() as i32, decoded.height() as i32), (picture.width, picture.height));
    }
    assert!(pictures.next().is_none());
}

#[test]
fn an_interrupted_run_goes_on_without_repeating_or_contradicting_itself() {
    let folder = tempfile::tempdir().unwrap();
    let whole = tempfile::tempdir().unwrap();
    whole_run(folder.path(), 1, 2, Ending::Interrupted);
    whole_run(folder.path(), 3, 4, Ending::Success);
    whole_run(whole.path(), 1, 4, Ending::Success);
    let sorted = |folder: &Path, part: &str| {
        let mut tags = tags(&folder.join(part));
        tags.sort();
        tags
    };
    for part in ["train", "validation"] {
        assert_eq!(sorted(folder.path(), part), sorted(whole.path(), part), "{part}");
    }
    let ends: Vec<_> =
        values(folder.path()).into_iter().filter(|(tag, ..)| tag.starts_with(HPARAMS)).map(|(tag, ..)| tag).collect();
    assert_eq!(ends, ["_hparams_/session_start_info", "_hparams_/session_end_info"]);
    let commands: Vec<_> = tags(folder.path()).into_iter().filter(|(tag, _)| tag == "command").collect();
    assert_eq!(commands, [("command".to_owned(), 0), ("command".to_owned(), 2)]);
}

#[test]
fn rewinding_takes_out_what_lies_behind_the_checkpoint() {
    for (tag, step, is_kept) in [
        ("keras", 0, true),
        ("epoch_loss", 1, true),
        ("epoch_loss", 2, false),
        ("batch_loss", 860, true),
        ("batch_loss", 861, false),
        ("evaluation_loss_vs_iterations", 861, false),
        ("batch_normalization/gamma/histogram", 1, true),
        ("batch_normalization/gamma/histogram", 2, false),
        ("pr_curve/batch_1", 2, false),
        ("mistakes", 2, false),
        ("confusion_matrix", 1, true),
        ("command", 2, false),
        ("command", 0, true),
        ("test_loss", 2, false),
    ] {
        assert_eq!(is_before(tag, step, 2, 860), is_kept, "{tag} {step}");
    }
    // in its first epoch
    assert!(!is_before("pr_curve/a", 0, 0, 10) && !is_before("epoch_loss", 0, 0, 10) && is_before("keras", 0, 0, 10));
    let folder = tempfile::tempdir().unwrap();
    whole_run(folder.path(), 1, 4, Ending::Success);
    rewind(folder.path(), 2, 860).unwrap();
    assert!(
        tags(&folder.path().join("validation")).iter().all(|(tag, step)| *step < 2 || tag.starts_with("evaluation_"))
    );
    assert!(tags(&folder.path().join("train")).contains(&("training_images".to_owned(), 0)));
}

#[test]
fn a_hundred_epochs_take_less_than_20_mb() {
    let folder = tempfile::tempdir().unwrap();
    let (num_images, num_classes, epochs) = (5000, 30, 100);
    let told = Arc::new(predictions(num_images, num_classes));
    let validation = Some(SingleImages::of(images(num_images, 32, num_classes)));
    let details = Details { validation, ..details(10, num_classes) };
    let mut sink = TensorBoardSink::with_details(folder.path(), details).unwrap();
    sink.on(&Event::Start(Start { epochs, ..start(1) })).unwrap();
    for number in 1..=epochs {
        sink.on(&validated_event(number, &told)).unwrap();
        for twentieth in 1..=20 {
            sink.on(&Event::Batch(batch(number, twentieth * 20))).unwrap();
        }
        sink.on(&Event::Epoch(epoch(number, validated()))).unwrap();
    }
    sink.on(&Event::Over { ending: Ending::Success, test: None }).unwrap();
    let bytes: u64 = ["", "train", "validation"]
        .into_iter()
        .flat_map(|part| event_records::event_files(&folder.path().join(part)).unwrap())
        .map(|file| file.metadata().unwrap().len())
        .sum();
    assert!((5_000_000..20_000_000).contains(&bytes), "{bytes} bytes");
}

#[test]
fn long_runs_keep_a_hundred_curves() {
    let folder = tempfile::tempdir().unwrap();
    let told = Arc::new(predictions(6, 3));
    let mut sink = TensorBoardSink::with_details(folder.path(), Details { validation: None, ..details(6, 3) }).unwrap();
    sink.on(&Event::Start(Start { epochs: 1000, ..start(1) })).unwrap();
    for number in 1..=1000 {
        sink.on(&validated_event(number, &told)).unwrap();
    }
    let tags = tags(&folder.path().join("validation"));
    assert_eq!(tags.iter().filter(|(tag, _)| tag == "pr_curve/class 0").count(), 100);
    assert_eq!(tags.iter().filter(|(tag, _)| tag == "confusion_matrix").count(), 11, "1, 2, 4 … 512, 1000");
}

#[test]
fn many_predictions_are_not_asked_for() {
    assert!(Details::want_predictions(5000, 10) && Details::want_predictions(10_000, 1000));
    assert!(!Details::want_predictions(50_000, 1000) && !Details::want_predictions(0, 10));
}
