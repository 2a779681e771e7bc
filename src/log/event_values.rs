//! The values that TensorBoard's plugins show, as its event files have them: tag, kind of plugin, content.
//!
//! Scalars, images and histograms are in the form that every version of TensorBoard reads; the others are tensors with the
//! plugin's name in their metadata. All were seen in TensorBoard 2.21 with both of its loaders.

use protobuf::well_known_types;
use protobuf::{Message, RepeatedField};
use serde_json::{Map, Value};
use tensorboard_proto::api::Status;
use tensorboard_proto::layout::{Category, Chart, Layout, MultilineChartContent};
use tensorboard_proto::plugin_hparams::{HParamsPluginData, SessionEndInfo, SessionStartInfo};
use tensorboard_proto::plugin_pr_curve::PrCurvePluginData;
use tensorboard_proto::summary::{
    HistogramProto, Summary_Image, Summary_Value, SummaryMetadata, SummaryMetadata_PluginData,
};
use tensorboard_proto::tensor::TensorProto;
use tensorboard_proto::tensor_shape::{TensorShapeProto, TensorShapeProto_Dim};
use tensorboard_proto::types::DataType;

use super::histogram::Histogram;
use super::pr_curve::PrCurve;

/// What the tags of the HParams plugin begin with.
pub(super) const HPARAMS: &str = "_hparams_/";

pub(super) fn scalar(tag: &str, number: f32) -> Summary_Value {
    let mut value = tagged(tag);
    value.set_simple_value(number);
    value
}

/// A Keras model's JSON, for the page of graphs.
pub(super) fn keras_graph(model_json: &str) -> Summary_Value {
    of_plugin("keras", "graph_keras_model", b"1".to_vec(), string(model_json.as_bytes().to_vec()))
}

/// Markdown, for the page of texts.
pub(super) fn text(tag: &str, markdown: &str) -> Summary_Value {
    of_plugin(tag, "text", Vec::new(), string(markdown.as_bytes().to_vec()))
}

/// A picture of three channels, as PNG.
pub(super) fn picture(tag: &str, [width, height]: [u32; 2], png: Vec<u8>) -> Summary_Value {
    let mut image = Summary_Image::new();
    image.set_width(width.cast_signed());
    image.set_height(height.cast_signed());
    image.set_colorspace(3);
    image.set_encoded_image_string(png);
    let mut value = tagged(tag);
    value.set_image(image);
    value
}

pub(super) fn histogram(histogram: &Histogram) -> Summary_Value {
    let Histogram { min, max, counts, .. } = histogram;
    let width = (max - min) / counts.len() as f64;
    let mut limits: Vec<f64> = (1..=counts.len()).map(|bucket| min + width * bucket as f64).collect();
    if let Some(last) = limits.last_mut() {
        *last = *max;
    }
    let mut content = HistogramProto::new();
    content.set_min(*min);
    content.set_max(*max);
    content.set_num(counts.iter().sum());
    content.set_sum(histogram.sum);
    content.set_sum_squares(histogram.sum_squares);
    content.set_bucket_limit(limits);
    content.set_bucket(counts.clone());
    let mut value = tagged(&histogram.tag);
    value.set_histo(content);
    value
}

pub(super) fn pr_curve(tag: &str, curve: &PrCurve) -> Summary_Value {
    let rows = curve.rows();
    let mut content = PrCurvePluginData::new();
    content.set_num_thresholds(rows[0].len() as u32);
    let sizes = [rows.len(), rows[0].len()];
    of_plugin(tag, "pr_curves", bytes_of(&content), floats(&sizes, rows.concat()))
}

/// The settings of a run, for the page of hyperparameters: numbers, words and truth values as what they are, everything else as
/// JSON. `seconds`: when it began, since 1970.
pub(super) fn session_start(settings: &Map<String, Value>, seconds: f64) -> Summary_Value {
    let mut start = SessionStartInfo::new();
    start.set_start_time_secs(seconds);
    for (key, setting) in settings {
        let mut value = well_known_types::Value::new();
        match setting {
            Value::Null => continue,
            Value::Bool(truth) => value.set_bool_value(*truth),
            Value::Number(number) => value.set_number_value(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(word) => value.set_string_value(word.clone()),
            Value::Array(_) | Value::Object(_) => value.set_string_value(setting.to_string()),
        }
        start.mut_hparams().insert(key.clone(), value);
    }
    let mut content = HParamsPluginData::new();
    content.set_session_start_info(start);
    of_hparams("session_start_info", &content)
}

/// The end of a run, `seconds` since 1970.
pub(super) fn session_end(status: Status, seconds: f64) -> Summary_Value {
    let mut end = SessionEndInfo::new();
    end.set_status(status);
    end.set_end_time_secs(seconds);
    let mut content = HParamsPluginData::new();
    content.set_session_end_info(end);
    of_hparams("session_end_info", &content)
}

/// A chart of the page of custom scalars.
pub(super) struct Lines {
    pub title: String,
    /// The tags that it shows, as regular expressions.
    pub tags: Vec<String>,
}

/// Charts by category for the page of custom scalars.
pub(super) fn layout(categories: &[(&str, Vec<Lines>)]) -> Summary_Value {
    let mut layout = Layout::new();
    for (title, charts) in categories {
        let mut category = Category::new();
        category.set_title((*title).to_owned());
        for Lines { title, tags } in charts {
            let mut lines = MultilineChartContent::new();
            lines.set_tag(RepeatedField::from_vec(tags.clone()));
            let mut chart = Chart::new();
            chart.set_title(title.clone());
            chart.set_multiline(lines);
            category.mut_chart().push(chart);
        }
        layout.mut_category().push(category);
    }
    of_plugin("custom_scalars__config__", "custom_scalars", Vec::new(), string(bytes_of(&layout)))
}

fn of_hparams(name: &str, content: &HParamsPluginData) -> Summary_Value {
    of_plugin(&format!("{HPARAMS}{name}"), "hparams", bytes_of(content), floats(&[0], Vec::new()))
}

fn tagged(tag: &str) -> Summary_Value {
    let mut value = Summary_Value::new();
    value.set_tag(tag.to_owned());
    value
}

fn of_plugin(tag: &str, plugin_name: &str, content: Vec<u8>, tensor: TensorProto) -> Summary_Value {
    let mut plugin = SummaryMetadata_PluginData::new();
    plugin.set_plugin_name(plugin_name.to_owned());
    plugin.set_content(content);
    let mut metadata = SummaryMetadata::new();
    metadata.set_plugin_data(plugin);
    let mut value = tagged(tag);
    value.set_metadata(metadata);
    value.set_tensor(tensor);
    value
}

/// A string tensor of shape `[]`.
fn string(bytes: Vec<u8>) -> TensorProto {
    let mut tensor = TensorProto::new();
    tensor.set_dtype(DataType::DT_STRING);
    tensor.set_tensor_shape(TensorShapeProto::new());
    tensor.set_string_val(RepeatedField::from_vec(vec![bytes]));
    tensor
}

/// `f32` values of shape `sizes`, row by row.
fn floats(sizes: &[usize], values: Vec<f32>) -> TensorProto {
    let mut shape = TensorShapeProto::new();
    for &size in sizes {
        let mut dimension = TensorShapeProto_Dim::new();
        dimension.set_size(size as i64);
        shape.mut_dim().push(dimension);
    }
    let mut tensor = TensorProto::new();
    tensor.set_dtype(DataType::DT_FLOAT);
    tensor.set_tensor_shape(shape);
    tensor.set_float_val(values);
    tensor
}

fn bytes_of(message: &impl Message) -> Vec<u8> {
    message.write_to_bytes().expect("every field of the message is optional")
}
