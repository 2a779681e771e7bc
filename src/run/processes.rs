//! A run in several processes: whether they agree on what they train, and what each did.

use std::time::Duration;

use super::record::{DataRecord, ProcessShare, Processes};
use crate::config::{RunConfig, keys_of};
use crate::distributed::{Carrier, Group};
use crate::error::Result;
use crate::log::Sinks;
use crate::model::Model;
use crate::train::{TrainState, weights_hash};

/// Settings that may differ between processes: where things lie, and what computes.
const OWN_SETTINGS: [&str; 5] = ["data", "logs", "models", "device", "threads"];

/// What processes have to agree on besides their settings: the images, the network, and where the run stands.
#[derive(Clone, Copy)]
pub(super) struct Trained<'a> {
    pub data: &'a DataRecord,
    pub model: &'a Model,
    pub state: &'a TrainState,
}

/// Refuses to train where the processes have other programs, settings, images or weights than the main one.
fn check_agreement(group: &Group, config: &RunConfig, trained: Trained) -> Result<()> {
    let Trained { data, model, state } = trained;
    let images = data.relative_fingerprint.clone().or_else(|| data.fingerprint.clone().flatten());
    let count = |images: Option<usize>| images.unwrap_or(0);
    let (validation, test) = (count(data.validation), count(data.test));
    let sizes = format!("{}, {} training, {validation} validation and {test} test images", data.name, data.train);
    let settings = keys_of(config)?.into_iter().filter(|(key, _)| !OWN_SETTINGS.contains(&key.as_str()));
    let mut facts = vec![("version of convnet".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
    facts.extend(settings.map(|(key, value)| (format!("`{key}`"), value.to_string())));
    facts.extend([
        ("data set".to_owned(), format!("{sizes} ({})", images.unwrap_or_default())),
        ("place in the run".to_owned(), format!("step {}", state.batches_seen)),
        ("weights of the network".to_owned(), weights_hash(model)),
    ]);
    group.check_same(&facts)
}

/// The processes of `group` with their hosts, for `run.json`, once they agree on `config` and on the `trained`, and their GPUs are
/// connected; none where there is one. They are told.
///
/// # Errors
/// A configuration error that names process and difference, a device error where the GPUs cannot be connected, and what another process
/// failed at.
pub(super) fn agree(
    group: &Group,
    config: &RunConfig,
    trained: Trained,
    sinks: &mut Sinks,
) -> Result<Option<Processes>> {
    if group.is_alone() {
        return Ok(None);
    }
    check_agreement(group, config, trained)?;
    let Carrier { name: backend, warning } = group.connect_gpus(trained.model.device())?;
    warning.into_iter().for_each(|sentence| sinks.note(format!("warning: {sentence}")));
    let hosts = group.gather_texts("host", &hostname())?;
    let mut different = hosts.clone();
    different.dedup();
    let (count, threads) = (group.size(), tch::get_num_threads());
    let noun = if threads == 1 { "thread" } else { "threads" };
    sinks.note(format!("processes: {count} ({backend}), {threads} {noun} each, on {}", different.join(", ")));
    Ok(Some(Processes { count, backend, hosts }))
}

/// What a process did in a training.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    /// The images that it computed, each as often as it did.
    pub images: u64,
    /// How long it waited for the others.
    pub waited: Duration,
    /// How long all of it took.
    pub time: Duration,
}

/// What each process of `group` did, `work` this one. Nothing where there is one.
///
/// # Errors
/// What another process failed at.
pub(super) fn shares(group: &Group, work: Work) -> Result<Vec<ProcessShare>> {
    if group.is_alone() {
        return Ok(Vec::new());
    }
    let own = [work.images as i64, work.waited.as_micros() as i64, work.time.as_micros() as i64];
    let share = |numbers: &Vec<i64>| {
        let [images, waited, time] = [numbers[0], numbers[1], numbers[2]].map(|number| number as f64);
        let images_per_second = images * 1e6 / time.max(1.0);
        ProcessShare { images: images as u64, images_per_second, waiting: (waited / time.max(1.0)).min(1.0) }
    };
    Ok(group.gather(&own)?.iter().map(share).collect())
}

/// This machine's name; empty where the system has none.
fn hostname() -> String {
    let mut name = [0u8; 256];
    // SAFETY: it writes at most so many bytes there, and the last one stays 0.
    let failed = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) } != 0;
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(0);
    if failed { String::new() } else { String::from_utf8_lossy(&name[..end]).into_owned() }
}
