//! A run in several processes: whether they agree on what they train, what each did, and the part of those that write nothing.

use std::time::Duration;

use serde_json::Value;

use super::execute::{Ready, Run};
use super::record::{DataRecord, ProcessShare, Processes};
use super::resume;
use crate::config::{RunConfig, keys_of};
use crate::distributed::Group;
use crate::error::Result;
use crate::model::Model;
use crate::train::{Checkpoints, Margins, StopReason, TrainState, weights_hash};

/// Settings that may differ between processes: where things lie, and what computes.
const OWN_SETTINGS: [&str; 5] = ["data", "logs", "models", "device", "threads"];

/// Refuses to train where the processes have other programs, settings, images or weights than the main one.
fn check_agreement(
    group: &Group,
    config: &RunConfig,
    data: &DataRecord,
    model: &Model,
    state: &TrainState,
) -> Result<()> {
    let mut settings = keys_of(config)?;
    settings.retain(|key, _| !OWN_SETTINGS.contains(&key.as_str()));
    let images = data.relative_fingerprint.clone().or_else(|| data.fingerprint.clone().flatten());
    let sizes = format!("{} training, {:?} validation and {:?} test images", data.train, data.validation, data.test);
    group.check_same(&[
        ("version of convnet", env!("CARGO_PKG_VERSION").to_owned()),
        ("configuration", Value::Object(settings).to_string()),
        ("data set", format!("{sizes} of {} ({})", data.name, images.unwrap_or_default())),
        ("place in the run", format!("step {}", state.batches_seen)),
        ("network's weights", weights_hash(model)),
    ])
}

/// The processes of `run` with their hosts, for `run.json`, once they agree on what they train; none where there is one. They are told.
///
/// # Errors
/// A configuration error that names process and difference, and what another process failed at.
pub(super) fn agree(run: &mut Run, ready: &Ready) -> Result<Option<Processes>> {
    let Run { group, config, launch, sinks, .. } = run;
    if group.is_alone() {
        return Ok(None);
    }
    check_agreement(group, config, &ready.data, &ready.network.model, &ready.state)?;
    let hosts = group.gather_texts("host", &hostname())?;
    let mut different = hosts.clone();
    different.dedup();
    let (count, threads) = (group.size(), tch::get_num_threads());
    let noun = if threads == 1 { "thread" } else { "threads" };
    sinks.note(format!("processes: {count} (gloo), {threads} {noun} each, on {}", different.join(", ")));
    Ok(Some(Processes { count, backend: "gloo".to_owned(), hosts, launch: launch.clone() }))
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

impl Run {
    /// The part of a process that is not the main one: it trains and evaluates with the others, and writes nothing.
    ///
    /// # Errors
    /// As [`Run::execute`], and what another process failed at.
    pub fn follow(mut self) -> Result<StopReason> {
        let ready = self.prepare()?;
        agree(&mut self, &ready)?;
        let Ready { selected, state, is_resumed, mut network, images, labels, .. } = ready;
        let mut margins = Margins::new(images.train.num_images(), selected.device);
        let resumed = self.resume.take();
        let folder = resumed.map(|resume| resume.folder.checkpoints()).unwrap_or_default();
        let checkpoints = Checkpoints::new(&folder, &labels).read_only();
        if is_resumed {
            resume::restore(&self.config, &checkpoints, &state, &mut network.optimizer, &mut margins)?;
        }
        let group = self.group.clone();
        group.wait_for_all("the start")?;
        let fitted = self.fit(network, state, margins, &images, &checkpoints, None)?;
        if !matches!(fitted.outcome.ending, StopReason::Signal(_)) {
            images.measure(&fitted.model, &mut self.sinks)?;
        }
        shares(&group, fitted.work)?;
        Ok(fitted.outcome.ending)
    }
}

/// This machine's name; empty where the system has none.
fn hostname() -> String {
    let mut name = [0u8; 256];
    // SAFETY: it writes at most so many bytes there, and the last one stays 0.
    let failed = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) } != 0;
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(0);
    if failed { String::new() } else { String::from_utf8_lossy(&name[..end]).into_owned() }
}
