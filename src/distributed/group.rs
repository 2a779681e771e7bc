//! The processes of a training, as all others see them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::native::{GradientReducer, Reduction, ReductionUnderWay};

use super::gpus::Carrier;
use super::launch::Launch;
use super::peers::Peers;
use super::rows::Rows;

/// The processes that train together; this process alone by default. A clone is the same group.
#[derive(Debug, Clone, Default)]
pub struct Group(Option<Arc<Peers>>);

impl Group {
    /// This process alone.
    pub fn alone() -> Self {
        Group(None)
    }

    /// The group that `launch` tells of, once all its processes are there; this process alone where there are no others.
    ///
    /// # Errors
    /// A configuration error where a process is missing after a minute, a device error where they cannot be connected.
    pub fn join(launch: &Launch) -> Result<Self> {
        match launch.size {
            1 => Ok(Group::alone()),
            _ => Ok(Group(Some(Arc::new(Peers::meet(launch)?)))),
        }
    }

    /// This process's number, from 0.
    pub fn rank(&self) -> usize {
        self.0.as_ref().map_or(0, |peers| peers.rank)
    }

    /// How many processes there are.
    pub fn size(&self) -> usize {
        self.0.as_ref().map_or(1, |peers| peers.size)
    }

    /// This process's number on its machine, from 0, and how many there are on it.
    pub fn local(&self) -> (usize, usize) {
        self.0.as_ref().map_or((0, 1), |peers| peers.local)
    }

    /// Whether this process writes logs, checkpoints and models: one does.
    pub fn is_main(&self) -> bool {
        self.rank() == 0
    }

    /// Whether there are no other processes.
    pub fn is_alone(&self) -> bool {
        self.0.is_none()
    }

    /// The rows of a batch of `total` images that are this process's.
    pub fn rows(&self, total: usize) -> Rows {
        Rows::of(self.rank(), self.size(), total)
    }

    /// Has GPUs sum what lies on them, by NCCL, where all processes can: `device` is this one's. All come to this once. It says what
    /// carries the sums from now on.
    ///
    /// # Errors
    /// A configuration error where some processes compute on the CPU, a device error where the GPUs cannot be connected, what another
    /// process failed at, or which one is gone.
    pub fn connect_gpus(&self, device: Device) -> Result<Carrier> {
        self.0.as_ref().map_or(Ok(Carrier::default()), |peers| peers.connect_gpus(device))
    }

    /// Fails where sums on GPUs were given up, as of a process that is gone: what was read from the device is wrong then.
    ///
    /// # Errors
    /// What another process failed at, or which one is gone.
    pub fn check_intact(&self) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |peers| peers.check_intact())
    }

    /// Puts the sum over all processes, or the largest values, into `tensor`, of any shape; f32, f64, bf16 or i64. All processes come to
    /// this in one order. Waits for the device, but not where GPUs sum: what is read from them counts once [`Group::check_intact`] says
    /// so.
    ///
    /// # Errors
    /// What another process failed at, or which one is gone.
    pub fn all_reduce(&self, tensor: &mut Tensor, reduction: Reduction) -> Result<()> {
        let Some(peers) = &self.0 else { return Ok(()) };
        self.waiting(|| peers.gloo.all_reduce(tensor, reduction))
    }

    /// The sum over all processes of `x`, through which gradients go; `x` itself where there is one process.
    ///
    /// # Errors
    /// As [`Group::all_reduce`].
    pub fn differentiable_sum(&self, x: &Tensor) -> Result<Tensor> {
        match &self.0 {
            None => Ok(x.shallow_clone()),
            Some(peers) => self.waiting(|| peers.gloo.differentiable_sum(x)),
        }
    }

    /// The largest of each number over all processes.
    ///
    /// # Errors
    /// As [`Group::all_reduce`].
    pub fn largest<const N: usize>(&self, numbers: [i64; N]) -> Result<[i64; N]> {
        if self.is_alone() {
            return Ok(numbers);
        }
        let mut all = Tensor::from_slice(&numbers);
        self.all_reduce(&mut all, Reduction::Max)?;
        let all = Vec::<i64>::try_from(all).expect("a flat i64 tensor");
        Ok(all.try_into().expect("as many as before"))
    }

    /// As [`Group::largest`], on its way while this process goes on: none where it is alone. All processes come to this in one order
    /// with their other sums.
    ///
    /// # Errors
    /// As [`Group::all_reduce`].
    pub fn begin_largest(&self, numbers: &[i64]) -> Result<Option<ReductionUnderWay>> {
        let begin = |peers: &Arc<Peers>| peers.gloo.begin_all_reduce(Tensor::from_slice(numbers), Reduction::Max);
        self.0.as_ref().map(begin).transpose().map_err(|error| self.blamed(error))
    }

    /// The numbers of each process, `[N][count]`: all give as many.
    ///
    /// # Errors
    /// As [`Group::all_reduce`].
    pub fn gather(&self, numbers: &[i64]) -> Result<Vec<Vec<i64>>> {
        let count = numbers.len() as i64;
        let mut all = Tensor::zeros([self.size() as i64, count], (Kind::Int64, Device::Cpu));
        all.select(0, self.rank() as i64).copy_(&Tensor::from_slice(numbers));
        self.all_reduce(&mut all, Reduction::Sum)?;
        let rows = (0..self.size() as i64).map(|rank| Vec::try_from(all.select(0, rank).contiguous()));
        Ok(rows.map(|row| row.expect("a flat i64 tensor")).collect())
    }

    /// What sums the gradients of `parameters` during the backward pass; none where there is one process.
    ///
    /// # Errors
    /// A device error where libtorch fails.
    pub fn reducer(
        &self,
        parameters: &[&Tensor],
        bucket_size: usize,
        is_bf16: bool,
    ) -> Result<Option<GradientReducer>> {
        let reducer = |peers: &Arc<Peers>| GradientReducer::new(&peers.gloo, parameters, bucket_size, is_bf16);
        self.0.as_ref().map(reducer).transpose()
    }

    /// Does `call`, which waits for the others: the time counts as such, and an error says which process it comes from.
    ///
    /// # Errors
    /// What another process failed at, or which one is gone.
    pub fn waiting<T>(&self, call: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some(peers) = &self.0 else { return call() };
        let started = Instant::now();
        let done = call();
        peers.waited.fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
        let done = done.map_err(|error| peers.blame(error))?;
        peers.check_intact()?;
        Ok(done)
    }

    /// Which process an error comes from that libtorch may have met in a call with the others; other errors are this process's own.
    #[must_use]
    pub fn blamed(&self, error: Error) -> Error {
        match &self.0 {
            Some(peers) => peers.blamed(error),
            None => error,
        }
    }

    /// How long this process has waited for the others so far, sums included.
    pub fn waited(&self) -> Duration {
        self.0.as_ref().map_or(Duration::ZERO, |peers| Duration::from_nanos(peers.waited.load(Ordering::Relaxed)))
    }

    /// Waits until all processes have come here, which may take as long as it likes where they are alive.
    ///
    /// # Errors
    /// What another process failed at, or which one is gone.
    pub fn wait_for_all(&self, place: &str) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |peers| peers.wait_for_all(place))
    }

    /// Gives all processes the main one's `text` of this name; others need none.
    ///
    /// # Errors
    /// As [`Group::wait_for_all`].
    pub fn told_by_main(&self, name: &str, text: Option<String>) -> Result<String> {
        match &self.0 {
            None => Ok(text.unwrap_or_default()),
            Some(peers) => peers.told_by_main(name, text.as_deref().unwrap_or_default()),
        }
    }

    /// Every process's `text` of this name, in the order of their numbers.
    ///
    /// # Errors
    /// As [`Group::wait_for_all`].
    pub fn gather_texts(&self, name: &str, text: &str) -> Result<Vec<String>> {
        match &self.0 {
            None => Ok(vec![text.to_owned()]),
            Some(peers) => peers.gather_texts(name, text),
        }
    }

    /// Refuses to train where the processes disagree: `facts` are their names and what this process has for each.
    ///
    /// # Errors
    /// A configuration error that names process and fact.
    pub fn check_same(&self, facts: &[(String, String)]) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |peers| peers.check_same(facts))
    }

    /// Tells the others what this process failed at, before it ends.
    pub fn tell_failure(&self, error: &Error) {
        if let Some(peers) = &self.0 {
            peers.tell_failure(error);
        }
    }

    /// Ends this process's part: the others need nothing of it any more.
    pub fn leave(&self) {
        if let Some(peers) = &self.0 {
            peers.leave();
        }
    }
}
