//! Answers that say what is wrong: `{"error":{"code","message"}}`.

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::{Error, ErrorKind, describe};

/// The most letters of a message.
const MAX_LETTERS: usize = 1000;

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    pub status: StatusCode,
    /// A word for programs.
    code: &'static str,
    /// A sentence for people.
    message: String,
}

impl Failure {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Failure { status, code, message: message.into() }
    }

    /// What was sent cannot be understood.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    /// More was sent than is taken.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// More is asked than can be answered just now.
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", message)
    }

    /// The server ends.
    pub fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the server is stopping")
    }

    /// That image number `index` of the request is the cause.
    pub fn of_image(mut self, input: &str) -> Self {
        self.message = format!("{input}: {}", self.message);
        self
    }
}

/// What a model made of images fails at is the server's or the model's fault; an image that cannot be used is the client's.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = describe(&error);
        match error.kind() {
            ErrorKind::Data => Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "unusable_image", message),
            ErrorKind::Numeric => Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "not_finite", message),
            ErrorKind::Internal
            | ErrorKind::Config
            | ErrorKind::Model
            | ErrorKind::Device
            | ErrorKind::Check
            | ErrorKind::Stopped { .. } => Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let message: String = self.message.chars().take(MAX_LETTERS).collect();
        let body = json!({"error": {"code": self.code, "message": message}}).to_string() + "\n";
        let mut response = (self.status, [(CONTENT_TYPE, "application/json")], body).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // the rest of the body is not read
            StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}
