//! `convnet explain`: the nearest training images of an image, and where the network looks.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tch::Tensor;

use super::indices::Indices;
use super::labelled::{self, LabelledSplit, Wanted};
use super::{Globals, output};
use crate::cli::at_least_one;
use crate::cli::names::names;
use convnet::data::batches::DataLoader;
use convnet::data::grid::{check_png, write_png};
use convnet::data::sheet::{SecondLine, Sheet, Tile, contact_sheet};
use convnet::data::{ImageShape, Split, image};
use convnet::device::{self, DeviceChoice};
use convnet::error::{Error, Result, nearest as did_you_mean};
use convnet::explain::{GradCam, HeatMap, Neighbours, nearest, overlay, to_rgb};
use convnet::model::thousands;
use convnet::predict::{InputImage, Prediction, Predictor};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: a stem (models/model), either of its two files, or a run's name or folder
    #[arg(value_name = "MODEL")]
    model: String,
    /// The image file
    #[arg(value_name = "IMAGE", required_unless_present = "index", conflicts_with_all = ["split", "index"])]
    image: Option<PathBuf>,
    /// The data set with the training images: a known name or a path [default: the one that the model was trained on]
    #[arg(short, long, value_name = "DATA")]
    data: Option<String>,
    /// Explain an image of this split of the data set [default: test, or what there is]
    #[arg(long, value_parser = names::<Split>(), requires = "index")]
    split: Option<Split>,
    /// The image's number in the split, counted from 0
    #[arg(long, value_name = "I")]
    index: Option<usize>,
    /// How many of the nearest training images to show
    #[arg(long, value_name = "N", default_value = "8", value_parser = at_least_one)]
    neighbours: NonZeroUsize,
    /// The class to explain: its name or its number [default: the predicted one]
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// The layer whose map of features Grad-CAM looks at [default: the last one behind a convolution]
    #[arg(long, value_name = "LAYER")]
    layer: Option<String>,
    /// Draw the image, Grad-CAM over it, and the nearest training images
    #[arg(short, long, value_name = "FILE.png")]
    out: Option<PathBuf>,
    /// Match classes by number, whatever their names
    #[arg(long)]
    match_by_number: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
    /// The device: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// CPU threads [default: one per core]
    #[arg(short = 'j', long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

#[derive(Serialize)]
struct ExplainDocument<'a> {
    #[serde(flatten)]
    origin: &'a InputImage,
    #[serde(flatten)]
    prediction: &'a Prediction,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<usize>,
    gradcam: Option<GradCamDocument<'a>>,
    neighbours: Option<NeighboursDocument<'a>>,
}

#[derive(Serialize)]
struct GradCamDocument<'a> {
    layer: &'a str,
    class: usize,
    label: &'a str,
    /// `[h][w]`.
    values: Vec<&'a [f32]>,
}

#[derive(Serialize)]
struct NeighboursDocument<'a> {
    layer: &'a str,
    distance: &'static str,
    looked_at: usize,
    images: &'a [NeighbourImage],
}

/// A training image near the explained one.
#[derive(Serialize)]
struct NeighbourImage {
    split: Split,
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    label: String,
    distance: f32,
    #[serde(skip)]
    number: usize,
}

/// The image to explain.
struct Explained {
    origin: InputImage,
    /// `u8 [H, W, C]`.
    pixels: Vec<u8>,
    /// Its split and number, where it is one of the data set's.
    place: Option<(Split, usize)>,
}

/// What was found.
struct Explanation {
    prediction: Prediction,
    class: usize,
    /// With the layer's path; or why there is none.
    grad_cam: Result<(String, HeatMap)>,
    neighbours: Result<(Neighbours, Vec<NeighbourImage>)>,
}

pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    args.out.as_deref().map_or(Ok(()), check_png)?;
    device::configure(args.threads.map(NonZeroUsize::get))?;
    let selected = device::select(args.device)?;
    let predictor = Predictor::load(&args.model, selected.device)?;
    let explained = read_image(&args, &predictor, globals)?;
    let prediction = predictor.predict_u8(&explained.pixels, 1)?.remove(0);
    let class = args.class.as_deref().map(|name| class_of(name, predictor.labels())).transpose()?;
    let class = class.unwrap_or(prediction.class);
    let image = tensor_of(&explained.pixels, predictor.shape()).to_device(selected.device);
    let mut grad_cam = grad_cam(&args, &predictor, &image, class);
    if args.layer.is_some() {
        grad_cam = Ok(grad_cam?);
    }
    let train = training_images(&args, &predictor, globals)?;
    let mut neighbours = neighbours(&args, &predictor, &image, &explained, &train, globals);
    if grad_cam.is_err() {
        neighbours = Ok(neighbours?);
    }
    let explanation = Explanation { prediction, class, grad_cam, neighbours };
    if let Some(path) = &args.out {
        draw(path, &predictor, &explained, &explanation, &train, globals)?;
    }
    match args.json {
        true => print_json(&predictor, &explained, &explanation)?,
        false => output::result(&describe(&predictor, &explained, &explanation))?,
    }
    Ok(())
}

/// The image of a file, or of a data set's split.
fn read_image(args: &Args, predictor: &Predictor, globals: Globals) -> Result<Explained> {
    let Some(index) = args.index else {
        let path = args.image.as_deref().expect("clap requires one of them");
        let pixels = image::decode(path, predictor.preparation())?;
        let origin = InputImage { input: path.display().to_string(), index: None, expected: None };
        return Ok(Explained { origin, pixels, place: None });
    };
    let wanted = Wanted { source: args.data.as_deref(), split: args.split, by_number: args.match_by_number };
    let found = labelled::find(&args.model, predictor.info(), predictor.shape(), wanted, globals)?;
    let name = format!("{} {}", found.source, found.split);
    Indices::Some(vec![index..=index]).of(found.samples.len()).map_err(|error| error.at(&name))?;
    let expected = found.samples.labels().get(index).and_then(|&label| usize::try_from(label).ok());
    let pixels = found.samples.image(index)?.into_owned();
    check_shape(predictor.shape(), found.samples.shape())?;
    Ok(Explained {
        origin: InputImage { input: name, index: Some(index), expected },
        pixels,
        place: Some((found.split, index)),
    })
}

fn check_shape(model: ImageShape, images: ImageShape) -> Result<()> {
    match model == images {
        true => Ok(()),
        false => Err(Error::data("the images have another shape than the model's input").expected(model).got(images)),
    }
}

/// The training images of the data set.
fn training_images(args: &Args, predictor: &Predictor, globals: Globals) -> Result<LabelledSplit> {
    let wanted = Wanted { source: args.data.as_deref(), split: Some(Split::Train), by_number: args.match_by_number };
    let train = labelled::find(&args.model, predictor.info(), predictor.shape(), wanted, globals)?;
    check_shape(predictor.shape(), train.samples.shape()).map(|()| train)
}

fn grad_cam(args: &Args, predictor: &Predictor, image: &Tensor, class: usize) -> Result<(String, HeatMap)> {
    let grad_cam = GradCam::new(predictor.model(), args.layer.as_deref())?;
    Ok((grad_cam.layer().to_owned(), grad_cam.heat_map(image, class)?))
}

fn neighbours(
    args: &Args,
    predictor: &Predictor,
    image: &Tensor,
    explained: &Explained,
    train: &LabelledSplit,
    globals: Globals,
) -> Result<(Neighbours, Vec<NeighbourImage>)> {
    let loader = DataLoader::new(&train.samples, predictor.model().device())?;
    let itself = explained.place.filter(|(split, _)| *split == train.split).map(|(_, index)| index);
    let mut task = output::task(globals, "comparing", "images", loader.num_images() as u64);
    let count = args.neighbours.get();
    let found = nearest(predictor.model(), image, &loader, count, itself, |done, _| task.show(done as u64, ""))?;
    drop(task);
    let image_of = |number: usize, distance: f32| NeighbourImage {
        split: train.split,
        index: train.samples.number(number),
        path: train.samples.file(number).map(|file| file.to_string()),
        label: train.classes[train.samples.labels()[number] as usize].clone(),
        distance,
        number,
    };
    let images = found.nearest.iter().map(|one| image_of(one.number, one.distance)).collect();
    if found.looked_at < train.samples.len() {
        let (some, all) = (thousands(found.looked_at), thousands(train.samples.len()));
        output::note(globals, &format!("note: {some} of {all} training images were compared, spread evenly"));
    }
    Ok((found, images))
}

/// A class by its name or its number.
fn class_of(text: &str, labels: &[String]) -> Result<usize> {
    let by_name = labels.iter().position(|label| label == text);
    let by_number = || text.parse().ok().filter(|&class: &usize| class < labels.len());
    by_name.or_else(by_number).ok_or_else(|| {
        let known: Vec<&str> = labels.iter().map(String::as_str).collect();
        Error::config(format!("the model has no class '{text}'{}", did_you_mean(text, &known)))
    })
}

/// Images in a row of the picture.
const COLUMNS: usize = 10;

/// `u8 [1, H, W, C]`.
fn tensor_of(pixels: &[u8], shape: ImageShape) -> Tensor {
    let ImageShape { height, width, channels } = shape;
    Tensor::from_slice(pixels).reshape([1, height, width, channels].map(|size| size as i64))
}

fn draw(
    path: &Path,
    predictor: &Predictor,
    explained: &Explained,
    explanation: &Explanation,
    train: &LabelledSplit,
    globals: Globals,
) -> Result<()> {
    let (shape, labels) = (predictor.shape(), predictor.labels());
    let Explanation { prediction, class, grad_cam, neighbours } = explanation;
    let truth = explained.origin.expected.and_then(|class| labels.get(class));
    let truth = truth.map_or("the image".to_owned(), |label| format!("true {label}"));
    let said = vec![prediction.label.clone(), format!("p {:.3}", prediction.probability), truth];
    let mut tiles = vec![Tile { pixels: to_rgb(&explained.pixels, shape), lines: said }];
    if let Ok((layer, map)) = grad_cam {
        let lines = vec![labels[*class].clone(), "Grad-CAM".into(), layer.clone()];
        tiles.push(Tile { pixels: overlay(&explained.pixels, shape, map), lines });
    }
    for near in neighbours.iter().flat_map(|(_, images)| images) {
        let pixels = train.samples.image(near.number)?;
        let lines =
            vec![near.label.clone(), format!("d {:.3}", near.distance), format!("{} {}", near.split, near.index)];
        tiles.push(Tile { pixels: to_rgb(&pixels, shape), lines });
    }
    tiles.truncate(convnet::data::sheet::MAX_TILES);
    let note = "the image · where the network sees the class · the nearest training images with their cosine distance";
    let written = output::written(path);
    let title = explained.origin.to_string();
    let sheet = Sheet { title, note: note.to_owned(), columns: COLUMNS, second: SecondLine::Note, tiles };
    write_png(path, &contact_sheet(ImageShape { channels: 3, ..shape }, &sheet)?)?;
    output::note(globals, &written);
    Ok(())
}

fn print_json(predictor: &Predictor, explained: &Explained, explanation: &Explanation) -> Result<()> {
    let Explanation { prediction, class, grad_cam, neighbours } = explanation;
    let gradcam = grad_cam.as_ref().ok().map(|(layer, map)| GradCamDocument {
        layer,
        class: *class,
        label: &predictor.labels()[*class],
        values: map.values.chunks(map.width).collect(),
    });
    let neighbours = neighbours.as_ref().ok().map(|(found, images)| NeighboursDocument {
        layer: &found.layer,
        distance: "cosine",
        looked_at: found.looked_at,
        images,
    });
    let (origin, expected) = (&explained.origin, explained.origin.expected);
    output::json(&ExplainDocument { origin, prediction, expected, gradcam, neighbours })
}

/// For people.
fn describe(predictor: &Predictor, explained: &Explained, explanation: &Explanation) -> String {
    let Explanation { prediction, class, grad_cam, neighbours } = explanation;
    let Prediction { label, probability, .. } = prediction;
    let mut text = format!("{}: {} ({label}) {probability:.4}", explained.origin, prediction.class);
    if let Some(expected) = explained.origin.expected {
        text += &format!("  true {expected} ({})", predictor.labels().get(expected).map_or("?", String::as_str));
    }
    text += &match grad_cam {
        Ok((layer, map)) => format!("\n\n{}\n", describe_map(layer, map, &predictor.labels()[*class])),
        Err(error) => format!("\n\nGrad-CAM: {}\n", error.fault()),
    };
    text += &match neighbours {
        Err(error) => format!("\nnearest training images: {}\n", error.fault()),
        Ok((found, images)) => {
            let width = images.iter().map(|one| one.label.chars().count()).max().unwrap_or(0);
            let line = |near: &NeighbourImage| {
                let NeighbourImage { split, index, path, label, distance, .. } = near;
                let path = path.as_ref().map(|path| format!("  {path}")).unwrap_or_default();
                format!("  {label:<width$}  {distance:.4}  {split} {index}{path}\n")
            };
            let lines: String = images.iter().map(line).collect();
            format!("\nnearest training images by what layer {} takes (cosine distance):\n{lines}", found.layer)
        }
    };
    text
}

/// Which part of the image speaks for the class the most.
fn describe_map(layer: &str, map: &HeatMap, label: &str) -> String {
    let HeatMap { height, width, values } = map;
    let hottest = (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0);
    let size = format!("{height} × {width}");
    match values.get(hottest) {
        Some(&value) if value > 0.0 => format!(
            "Grad-CAM of {label} in layer {layer} ({size}): strongest in row {}, column {}; --out FILE.png draws it",
            hottest / width + 1,
            hottest % width + 1
        ),
        _ => format!("Grad-CAM of {label} in layer {layer} ({size}): no place speaks for this class"),
    }
}
