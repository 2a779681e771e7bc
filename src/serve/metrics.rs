//! Counts and times, as Prometheus reads them (text format 0.0.4,
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Upper bounds of times, in seconds.
pub const SECONDS: [f64; 14] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
/// Upper bounds of batches, in images.
pub const IMAGES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// How many values lie below each of some bounds, their sum and count.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    state: Mutex<(Vec<u64>, f64)>,
}

impl Histogram {
    /// None yet.
    pub fn new(bounds: &'static [f64]) -> Self {
        Histogram { bounds, state: Mutex::new((vec![0; bounds.len() + 1], 0.0)) }
    }

    /// Notes a value.
    pub fn note(&self, value: f64) {
        let bucket = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0[bucket] += 1;
        state.1 += value;
    }

    fn write(&self, text: &mut Exposition, name: &str, labels: &[(&str, &str)]) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut below = 0;
        let bounds = self.bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&state.0) {
            below += count;
            text.sample(&format!("{name}_bucket"), &[labels, &[("le", &bound)]].concat(), below as f64);
        }
        text.sample(&format!("{name}_sum"), labels, state.1);
        text.sample(&format!("{name}_count"), labels, below as f64);
    }
}

/// What happened to all requests.
#[derive(Debug)]
pub struct ServerMetrics {
    /// Answers by path and status.
    answers: Mutex<BTreeMap<(&'static str, u16), u64>>,
    /// From the head of a request for predictions to its answer.
    pub request_seconds: Histogram,
    /// How many connections are open.
    pub connections: AtomicI64,
}

impl Default for ServerMetrics {
    fn default() -> Self {
        let request_seconds = Histogram::new(&SECONDS);
        ServerMetrics { answers: Mutex::default(), request_seconds, connections: AtomicI64::new(0) }
    }
}

impl ServerMetrics {
    /// Counts an answer of `status` to a request for `path`, which is one of the server's own.
    pub fn answered(&self, path: &'static str, status: u16) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner).entry((path, status)).or_default() += 1;
    }

    /// Writes them.
    pub fn write(&self, text: &mut Exposition) {
        text.family("convnet_requests_total", "counter", "Requests that were answered.");
        for ((path, code), count) in self.answers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            text.sample("convnet_requests_total", &[("path", path), ("code", &code.to_string())], *count as f64);
        }
        text.family(
            "convnet_request_seconds",
            "histogram",
            "From the head of a request for predictions to its answer.",
        );
        self.request_seconds.write(text, "convnet_request_seconds", &[]);
        text.family("convnet_connections", "gauge", "Open connections.");
        text.sample("convnet_connections", &[], self.connections.load(Relaxed) as f64);
    }
}

/// What happened to one model.
#[derive(Debug)]
pub struct ModelMetrics {
    /// Images that were predicted.
    pub images: AtomicU64,
    /// Images that were sent through the network at once.
    pub batch_images: Histogram,
    /// How long it took.
    pub batch_seconds: Histogram,
    /// How long loading the model took, in microseconds.
    pub load_micros: AtomicU64,
    /// How often it was loaded again, and how often that failed.
    pub reloads: [AtomicU64; 2],
}

impl Default for ModelMetrics {
    fn default() -> Self {
        ModelMetrics {
            images: AtomicU64::new(0),
            batch_images: Histogram::new(&IMAGES),
            batch_seconds: Histogram::new(&SECONDS),
            load_micros: AtomicU64::new(0),
            reloads: Default::default(),
        }
    }
}

/// Writes those of all models: their names, how many images wait, and what happened to them.
pub fn write_models(text: &mut Exposition, models: &[(&str, usize, &ModelMetrics)]) {
    let mut single = |name: &str, kind: &str, help: &str, value: &dyn Fn(usize, &ModelMetrics) -> f64| {
        text.family(name, kind, help);
        models.iter().for_each(|(model, waiting, own)| text.sample(name, &[("model", model)], value(*waiting, own)));
    };
    single("convnet_images_total", "counter", "Images that were predicted.", &|_, own| own.images.load(Relaxed) as f64);
    single("convnet_queue_images", "gauge", "Images that wait for the network.", &|waiting, _| waiting as f64);
    single("convnet_model_load_seconds", "gauge", "How long loading the model took.", &|_, own| {
        own.load_micros.load(Relaxed) as f64 / 1e6
    });
    text.family(
        "convnet_model_reloads_total",
        "counter",
        "How often a model was loaded again, and how often that failed.",
    );
    for (model, _, own) in models {
        for (outcome, count) in ["loaded", "failed"].into_iter().zip(&own.reloads) {
            let labels = [("model", *model), ("outcome", outcome)];
            text.sample("convnet_model_reloads_total", &labels, count.load(Relaxed) as f64);
        }
    }
    text.family("convnet_batch_images", "histogram", "Images that went through the network at once.");
    models.iter().for_each(|(model, _, own)| own.batch_images.write(text, "convnet_batch_images", &[("model", model)]));
    text.family("convnet_batch_seconds", "histogram", "How long that took.");
    models
        .iter()
        .for_each(|(model, _, own)| own.batch_seconds.write(text, "convnet_batch_seconds", &[("model", model)]));
}

/// Text that Prometheus reads.
#[derive(Debug, Default)]
pub struct Exposition(pub String);

impl Exposition {
    /// Says what the samples of `name` are.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a string takes all text");
    }

    /// One value.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let label = |(key, value): &(&str, &str)| format!("{key}=\"{}\"", escaped(value));
        let labels = labels.iter().map(label).collect::<Vec<_>>().join(",");
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        writeln!(self.0, "{name}{labels} {value}").expect("a string takes all text");
    }
}

/// A label's value, with backslashes before what would end it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_models_cannot_break_the_lines() {
        let own = ModelMetrics::default();
        own.batch_images.note(3.0);
        own.batch_images.note(999.0);
        let mut text = Exposition::default();
        write_models(&mut text, &[("a\"b\\c\nd", 7, &own)]);
        assert!(text.0.contains("convnet_queue_images{model=\"a\\\"b\\\\c\\nd\"} 7\n"), "{}", text.0);
        for line in
            ["le=\"2\"} 0\n", "le=\"4\"} 1\n", "le=\"256\"} 1\n", "le=\"+Inf\"} 2\n", "_sum{", "} 1002\n", "} 2\n"]
        {
            assert!(text.0.contains(line), "{line}: {}", text.0);
        }
    }

    #[test]
    fn answers_are_counted_by_path_and_status() {
        let metrics = ServerMetrics::default();
        [200, 200, 404].iter().for_each(|status| metrics.answered("/v1/predict", *status));
        let mut text = Exposition::default();
        metrics.write(&mut text);
        assert!(text.0.contains("convnet_requests_total{path=\"/v1/predict\",code=\"200\"} 2\n"), "{}", text.0);
        assert!(text.0.contains("# TYPE convnet_request_seconds histogram\n"), "{}", text.0);
    }
}
