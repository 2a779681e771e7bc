//! Where a training's time goes: how long each part of a step takes, as a table and as a trace.
//!
//! Only clocks are read: the numbers of the training are the same bits with and without. On CUDA each part waits for the GPU at its
//! end, which a training without a profile does not: the parts are told apart so, and the whole is slower.

use std::cell::RefCell;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use strum::{Display, VariantArray};
use tch::{Cuda, Device};

use crate::error::{Error, Result};
use crate::files::write_atomically;

/// The spans that a trace keeps: 20 MB, and as much as a browser shows well. Later ones are in the sums alone.
const MAX_SPANS: usize = 200_000;

/// A part of a training, in the order in which a step has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, Serialize, VariantArray)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Phase {
    /// For images that threads still decode.
    Waiting,
    /// A batch is gathered from memory, and augmented.
    Data,
    /// The network and the loss.
    Forward,
    /// Metrics, and whether the loss is finite.
    Metrics,
    /// The gradients.
    Backward,
    /// Waiting for the other processes, their sums included.
    Communication,
    /// The weights change.
    Optimizer,
    /// Console, history, TensorBoard.
    Logging,
    /// The validation images after an epoch.
    Validation,
    /// Checkpoints.
    Saving,
}

/// Something that took a while.
#[derive(Debug, Clone, Copy)]
struct Span {
    phase: Phase,
    start: Duration,
    length: Duration,
}

/// The clocks of a training under way.
#[derive(Debug)]
pub struct Profile {
    device: Device,
    started: Instant,
    kept: RefCell<Kept>,
}

/// What the clocks said.
#[derive(Debug, Default)]
struct Kept {
    /// The trace.
    spans: Vec<Span>,
    /// By phase, the time and the number of spans.
    sums: [(Duration, u64); Phase::VARIANTS.len()],
}

/// How long a phase took, over the whole training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PhaseTime {
    /// Which.
    pub phase: Phase,
    /// In all.
    pub seconds: f64,
    /// How often.
    pub count: u64,
}

impl Profile {
    /// Of a training on `device`, from now on.
    pub fn new(device: Device) -> Self {
        Profile { device, started: Instant::now(), kept: RefCell::default() }
    }

    /// Does `work`, which is of `phase`, and notes how long it takes.
    pub(super) fn time<T>(&self, phase: Phase, work: impl FnOnce() -> T) -> T {
        let start = self.started.elapsed();
        let value = work();
        if let Device::Cuda(index) = self.device {
            Cuda::synchronize(index as i64); // waits for the device
        }
        let length = self.started.elapsed().saturating_sub(start);
        let Kept { spans, sums } = &mut *self.kept.borrow_mut();
        sums[phase as usize].0 += length;
        sums[phase as usize].1 += 1;
        if spans.len() < MAX_SPANS {
            spans.push(Span { phase, start, length });
        }
        value
    }

    /// The phases that there were.
    pub fn phases(&self) -> Vec<PhaseTime> {
        let Kept { sums, .. } = &*self.kept.borrow();
        let time = |(&phase, &(time, count)): (&Phase, &(Duration, u64))| PhaseTime {
            phase,
            seconds: time.as_secs_f64(),
            count,
        };
        Phase::VARIANTS.iter().zip(sums).map(time).filter(|time| time.count > 0).collect()
    }

    /// Writes the spans to `path` as Chrome's trace events, which Perfetto (<https://ui.perfetto.dev>) and `chrome://tracing` open
    /// (<https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>). It appears whole.
    ///
    /// # Errors
    /// An internal error where the disk does not take it.
    pub fn write_trace(&self, path: &Path) -> Result<()> {
        write_atomically(path, |writer| self.trace(writer))
            .map_err(|error| Error::internal("cannot write the trace").at_path(path).because(error))
    }

    fn trace(&self, writer: &mut dyn Write) -> io::Result<()> {
        let Kept { spans, .. } = &*self.kept.borrow();
        let name =
            |name: &str, value: &str| json!({ "name": name, "ph": "M", "pid": 1, "tid": 1, "args": { "name": value } });
        write!(writer, "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n{}", name("process_name", "convnet train"))?;
        write!(writer, ",\n{}", name("thread_name", "training"))?;
        let microseconds = |time: Duration| time.as_nanos() as f64 / 1000.0;
        for Span { phase, start, length } in spans {
            let (start, length) = (microseconds(*start), microseconds(*length));
            let event =
                json!({ "name": phase, "cat": "train", "ph": "X", "pid": 1, "tid": 1, "ts": start, "dur": length });
            write!(writer, ",\n{event}")?;
        }
        writer.write_all(b"\n]}\n")
    }
}

/// Does `work`; where there is a profile, it notes how long that takes.
pub(super) fn timed<T>(profile: Option<&Profile>, phase: Phase, work: impl FnOnce() -> T) -> T {
    match profile {
        Some(profile) => profile.time(phase, work),
        None => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_chrome_s_and_sums_are_by_phase() {
        let profile = Profile::new(Device::Cpu);
        let pause = || std::thread::sleep(Duration::from_millis(2));
        profile.time(Phase::Forward, pause);
        profile.time(Phase::Forward, pause);
        assert_eq!(timed(Some(&profile), Phase::Data, || 7), 7);
        let phases = profile.phases();
        assert_eq!(
            phases.iter().map(|time| (time.phase, time.count)).collect::<Vec<_>>(),
            [(Phase::Data, 1), (Phase::Forward, 2)]
        );
        assert!((0.004..1.0).contains(&phases[1].seconds), "{phases:?}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.json");
        profile.write_trace(&path).unwrap();
        let trace: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        assert_eq!((events.len(), &events[2]["name"], &events[2]["ph"]), (5, &json!("forward"), &json!("X")));
        assert!(events[3]["ts"].as_f64().unwrap() >= 2000.0 && events[3]["dur"].as_f64().unwrap() >= 2000.0);
        assert!(profile.write_trace(Path::new("/nowhere/trace.json")).is_err());
    }
}
