//! From a request's bytes to images of a model's shape.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::body::Held;
use super::failure::Failure;
use super::multipart;
use crate::data::image::{self, Preprocessing};

/// What an image is called that came without a name.
const UNNAMED: &str = "image";
/// Pixels that one permit stands for.
const UNIT: usize = 1 << 10;
/// How many of the largest images may be decoded at a time.
const LARGEST_TOGETHER: usize = 2;

/// Decodes images, a few at a time.
#[derive(Debug)]
pub struct Decoders {
    max_images: usize,
    max_pixels: usize,
    /// A permit for each thread that may decode.
    threads: Arc<Semaphore>,
    /// A permit for each [`UNIT`] of pixels that may be in memory.
    pixels: Arc<Semaphore>,
}

/// An image of a request, in a model's shape.
#[derive(Debug)]
pub struct Decoded {
    /// Its file's name.
    pub input: String,
    /// `u8 [H, W, C]`.
    pub pixels: Vec<u8>,
}

/// How a request's bytes are to be read.
#[derive(Debug)]
enum Form {
    One,
    Several { boundary: String },
}

impl Decoders {
    /// At most `max_images` a request, each of at most `max_pixels`, on `num_threads` threads.
    pub fn new(max_images: usize, max_pixels: usize, num_threads: usize) -> Self {
        let permits = (LARGEST_TOGETHER * max_pixels.div_ceil(UNIT)).min(Semaphore::MAX_PERMITS);
        let (threads, pixels) = (Arc::new(Semaphore::new(num_threads)), Arc::new(Semaphore::new(permits)));
        Decoders { max_images, max_pixels, threads, pixels }
    }

    /// The images of a body of this `content_type`, prepared as `preparation` says: one, or the files of a form.
    ///
    /// # Errors
    /// 400 where a form does not hold together or there is no image, 413 where there are too many or one has too many pixels, 415
    /// where something is not an image of a kind that is read, 422 where an image is damaged.
    pub async fn decode(
        &self,
        body: Held,
        content_type: Option<&str>,
        preparation: Preprocessing,
    ) -> Result<Vec<Decoded>, Failure> {
        let form = Form::of(content_type)?;
        let (max_images, max_pixels) = (self.max_images, self.max_pixels);
        let thread = Arc::clone(&self.threads).acquire_owned().await.map_err(|_| Failure::stopping())?;
        let (body, form, pixels) = joined(spawn_blocking(move || {
            let most = largest(&images(&body, &form, max_images)?, max_pixels)?;
            Ok((body, form, most))
        }))
        .await?;
        let units = u32::try_from(pixels.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let memory = Arc::clone(&self.pixels).acquire_many_owned(units).await.map_err(|_| Failure::stopping())?;
        joined(spawn_blocking(move || {
            let _held = (thread, memory);
            let decode = |(input, bytes): (String, &[u8])| match image::decode_bytes(bytes, preparation) {
                Ok(pixels) => Ok(Decoded { input, pixels }),
                Err(error) => Err(failure(error, &input)),
            };
            images(&body, &form, max_images)?.into_iter().map(decode).collect()
        }))
        .await
    }
}

/// What a thread gave.
async fn joined<T>(task: tokio::task::JoinHandle<Result<T, Failure>>) -> Result<T, Failure> {
    let internal = |_| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the image could not be decoded");
    task.await.map_err(internal)?
}

impl Form {
    /// # Errors
    /// 415 where the type is neither an image's, nor a form's, nor one that says nothing.
    fn of(content_type: Option<&str>) -> Result<Self, Failure> {
        let Some(text) = content_type.filter(|text| !text.trim().is_empty()) else { return Ok(Form::One) };
        if let Some(boundary) = multipart::boundary(text)? {
            return Ok(Form::Several { boundary });
        }
        let kind = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        // the last is what curl says where it is told nothing
        let says_nothing = ["application/octet-stream", "application/x-www-form-urlencoded"].contains(&&*kind);
        match kind.starts_with("image/") || says_nothing {
            true => Ok(Form::One),
            false => Err(unsupported(format!(
                "the request's Content-Type is {kind:?}: expected an image's, application/octet-stream or multipart/form-data"
            ))),
        }
    }
}

fn unsupported(message: String) -> Failure {
    Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported", message)
}

/// The images of `body` with their names: as many as there are, at most `max`.
fn images<'a>(body: &'a Held, form: &Form, max: usize) -> Result<Vec<(String, &'a [u8])>, Failure> {
    let found = match form {
        Form::One => vec![(UNNAMED.to_owned(), &body.bytes[..])],
        Form::Several { boundary } => {
            let parts = multipart::parts(&body.bytes, boundary, max)?.into_iter();
            parts.map(|part| (part.file_name.unwrap_or_else(|| UNNAMED.to_owned()), part.bytes)).collect()
        }
    };
    match found.iter().all(|(_, bytes)| bytes.is_empty()) {
        true => Err(Failure::malformed("there is no image in the request")),
        false => Ok(found),
    }
}

/// The pixels of the largest image, of which none may have more than `max`.
fn largest(images: &[(String, &[u8])], max: usize) -> Result<usize, Failure> {
    let mut largest = 0;
    for (input, bytes) in images {
        image::check_kind(bytes).map_err(|error| unsupported(crate::error::describe(&error)).of_image(input))?;
        let header = image::header(bytes).map_err(|error| failure(error, input))?;
        let (height, width) = (header.shape.height, header.shape.width);
        let pixels = height.saturating_mul(width);
        if pixels > max {
            let message = format!("the image is too large: expected at most {max} pixels, got {width}×{height}");
            return Err(Failure::too_large(message).of_image(input));
        }
        largest = largest.max(pixels);
    }
    Ok(largest)
}

fn failure(error: crate::error::Error, input: &str) -> Failure {
    match image::is_too_large(&error) {
        true => Failure::too_large(crate::error::describe(&error)).of_image(input),
        false => Failure::from(error).of_image(input),
    }
}
