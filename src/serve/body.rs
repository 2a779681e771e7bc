//! The reading of a request's body, within limits of size, time and memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use super::failure::Failure;

/// What all bodies together may take, in bytes; one of the largest size at least.
const MAX_BYTES_TOGETHER: usize = 256 << 20;
/// Bytes that one permit stands for.
const UNIT: usize = 1 << 10;

/// Reads bodies.
#[derive(Debug)]
pub struct Bodies {
    max_bytes: usize,
    timeout: Duration,
    memory: Arc<Semaphore>,
}

/// A request's body, and the memory that was set aside for it.
#[derive(Debug)]
pub struct Held {
    /// The whole body.
    pub bytes: Vec<u8>,
    _memory: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Bodies of at most `max_bytes`, each of which has to be there after `timeout`.
    pub fn new(max_bytes: usize, timeout: Duration) -> Self {
        let together = MAX_BYTES_TOGETHER.max(max_bytes).div_ceil(UNIT).min(Semaphore::MAX_PERMITS);
        Bodies { max_bytes, timeout, memory: Arc::new(Semaphore::new(together)) }
    }

    /// Reads `body`, whose request has `headers`. Memory is taken as bytes come, not as they are announced.
    ///
    /// # Errors
    /// 413 where it is too large, 408 where it does not come in time, 400 where it is cut short, 429 where other requests' bodies
    /// take all the memory there is for them.
    pub async fn read(&self, headers: &HeaderMap, mut body: Body) -> Result<Held, Failure> {
        let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > self.max_bytes) {
            return Err(self.too_large());
        }
        let deadline = tokio::time::Instant::now() + self.timeout;
        let mut held = Held { bytes: Vec::new(), _memory: None };
        loop {
            let frame = timeout_at(deadline, body.frame()).await.map_err(|_| self.too_slow())?;
            let Some(frame) = frame else { return Ok(held) };
            let frame = frame.map_err(|_| Failure::malformed("the request's body is cut short or malformed"))?;
            let Some(data) = frame.data_ref() else { continue };
            if held.bytes.len() + data.len() > self.max_bytes {
                return Err(self.too_large());
            }
            self.take(&mut held, data)?;
        }
    }

    fn take(&self, held: &mut Held, data: &[u8]) -> Result<(), Failure> {
        let units = |bytes: usize| bytes.div_ceil(UNIT);
        let more = units(held.bytes.len() + data.len()) - units(held.bytes.len());
        let memory = Arc::clone(&self.memory).try_acquire_many_owned(u32::try_from(more).unwrap_or(u32::MAX));
        let memory = memory.map_err(|_| Failure::busy("too many large requests at a time"))?;
        match &mut held._memory {
            Some(all) => all.merge(memory),
            none => *none = Some(memory),
        }
        held.bytes.extend_from_slice(data);
        Ok(())
    }

    fn too_large(&self) -> Failure {
        Failure::too_large(format!("the request is too large: at most {} bytes", self.max_bytes))
    }

    fn too_slow(&self) -> Failure {
        let message = format!("the request took longer than {} s to arrive", self.timeout.as_secs_f64());
        Failure::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message)
    }
}
