//! What is answered at which path.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::access::{check_origin, check_token};
use super::body::Bodies;
use super::config::ServeConfig;
use super::control::{Control, Listener, ServeEvent};
use super::failure::Failure;
use super::images::{Decoded, Decoders};
use super::linger::lingering;
use super::metrics::{Exposition, ServerMetrics, write_models};
use super::models::{Job, Loaded, Served, find};
use super::page;
use super::queue::Refused;
use crate::predict::{InputImage, PredictDocument, Record};

/// Security headers of every answer.
const HEADERS: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// What all requests share.
pub(super) struct Shared {
    pub config: ServeConfig,
    pub models: Vec<Arc<Served>>,
    pub bodies: Bodies,
    pub decoders: Decoders,
    pub metrics: ServerMetrics,
    pub control: Control,
    pub listener: Listener,
}

/// What a request for predictions may say behind its path.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    model: Option<String>,
    top: Option<usize>,
}

/// All paths.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(page::html))
        .route("/page.css", get(page::css))
        .route("/page.js", get(page::script))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .route("/v1/model", get(model))
        .route("/v1/models", get(models))
        .route("/v1/models/{name}", get(model_of_name))
        .route("/v1/predict", post(predict))
        .route("/v1/models/{name}/predict", post(predict_by_name))
        .fallback(async || Failure::not_found("there is nothing at this path: see docs/serving.md"))
        .method_not_allowed_fallback(async || {
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path takes another method")
        })
        .layer(from_fn_with_state(Arc::clone(&shared), around))
        .with_state(shared)
}

/// The path as it is counted: one of the router's.
fn counted(path: &str) -> &'static str {
    match path {
        "/" | "/page.css" | "/page.js" => "/",
        "/healthz" => "/healthz",
        "/metrics" => "/metrics",
        "/v1/model" => "/v1/model",
        "/v1/models" => "/v1/models",
        "/v1/predict" => "/v1/predict",
        _ if path.starts_with("/v1/models/") && path.ends_with("/predict") => "/v1/predict",
        _ if path.starts_with("/v1/models/") => "/v1/model",
        _ => "other",
    }
}

/// Checks who asks, and counts, times and notes each request.
async fn around(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let request = lingering(request, shared.config.timeout);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let counted = counted(&path);
    let mut response = match allowed(&shared, counted, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    };
    let (status, seconds) = (response.status().as_u16(), start.elapsed().as_secs_f64());
    shared.metrics.answered(counted, status);
    if counted == "/v1/predict" {
        shared.metrics.request_seconds.note(seconds);
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if shared.control.is_stopping() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    (shared.listener)(&ServeEvent::Answered { method: method.to_string(), path, status, seconds });
    response
}

/// The page and the state are for all, so that browsers and probes need no token.
fn allowed(shared: &Shared, path: &str, headers: &HeaderMap) -> Result<(), Failure> {
    let token = shared.config.token.as_ref();
    check_origin(token.is_none(), headers)?;
    match path {
        "/" | "/healthz" => Ok(()),
        _ => check_token(token, headers),
    }
}

/// A JSON document as an answer.
fn answer(document: &impl serde::Serialize) -> Result<Response, Failure> {
    let internal = |error: serde_json::Error| {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("the answer cannot be written: {error}"))
    };
    let text = serde_json::to_string(document).map_err(internal)? + "\n";
    Ok(([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], text).into_response())
}

async fn healthz(State(shared): State<Arc<Shared>>) -> Result<Response, Failure> {
    match shared.control.is_stopping() {
        true => Err(Failure::stopping()),
        false => answer(&json!({"status": "ok"})),
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let mut text = Exposition::default();
    text.family("convnet_build_info", "gauge", "The program's version.");
    text.sample("convnet_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    shared.metrics.write(&mut text);
    let models: Vec<_> =
        shared.models.iter().map(|served| (&*served.source.name, served.queue.waiting(), &served.metrics)).collect();
    write_models(&mut text, &models);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.0).into_response()
}

async fn model(
    State(shared): State<Arc<Shared>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Failure> {
    let wanted = understood(wanted)?;
    answer(&find(&shared.models, wanted.model.as_deref())?.current().description)
}

async fn model_of_name(
    State(shared): State<Arc<Shared>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    answer(&find(&shared.models, Some(&named(name)?))?.current().description)
}

fn named(name: Result<Path<String>, PathRejection>) -> Result<String, Failure> {
    name.map(|Path(name)| name).map_err(|error| Failure::malformed(format!("the path cannot be read: {error}")))
}

async fn models(State(shared): State<Arc<Shared>>) -> Result<Response, Failure> {
    let models: Vec<Value> = shared.models.iter().map(|served| served.current().description.clone()).collect();
    answer(&json!({"models": models}))
}

fn understood(wanted: Result<Query<Wanted>, QueryRejection>) -> Result<Wanted, Failure> {
    let Query(wanted) = wanted.map_err(|error| Failure::malformed(format!("{error}: expected ?model=NAME&top=K")))?;
    match wanted.top {
        Some(0) => Err(Failure::malformed("top cannot be used: expected 1 or more, got 0")),
        _ => Ok(wanted),
    }
}

async fn predict(
    State(shared): State<Arc<Shared>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let wanted = understood(wanted)?;
    let served = find(&shared.models, wanted.model.as_deref())?;
    answer_images(&shared, served, wanted.top, &headers, body).await
}

async fn predict_by_name(
    State(shared): State<Arc<Shared>>,
    name: Result<Path<String>, PathRejection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let (name, wanted) = (named(name)?, understood(wanted)?);
    if wanted.model.as_ref().is_some_and(|other| *other != name) {
        return Err(Failure::malformed("the path and ?model name two models"));
    }
    answer_images(&shared, find(&shared.models, Some(&name))?, wanted.top, &headers, body).await
}

async fn answer_images(
    shared: &Shared,
    served: &Served,
    top: Option<usize>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let body = shared.bodies.read(headers, body).await?;
    let coming = served.queue.announce();
    let model = served.current();
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("unreadable"));
    let images = shared.decoders.decode(body, content_type, model.preparation).await?;
    let (inputs, replies) = push(served, &model, images)?;
    drop(coming);
    let mut records = Vec::with_capacity(inputs.len());
    for (input, reply) in inputs.into_iter().zip(replies) {
        let prediction = reply.await.map_err(|_| Failure::stopping())?.map_err(|failure| failure.of_image(&input))?;
        let origin = InputImage { input, index: None, expected: None };
        records.push(Record::new(origin, prediction, &model.labels, top.unwrap_or(shared.config.top_k)));
    }
    answer(&PredictDocument { predictions: &records })
}

type Reply = oneshot::Receiver<Result<crate::predict::Prediction, Failure>>;

/// Puts the images into the queue of `served`: their names, and where their predictions will come.
fn push(served: &Served, model: &Arc<Loaded>, images: Vec<Decoded>) -> Result<(Vec<String>, Vec<Reply>), Failure> {
    let (mut inputs, mut replies, mut jobs) = (Vec::new(), Vec::new(), Vec::new());
    for Decoded { input, pixels } in images {
        let (reply, receiver) = oneshot::channel();
        jobs.push(Job { model: Arc::clone(model), pixels, reply });
        inputs.push(input);
        replies.push(receiver);
    }
    served.queue.push(jobs).map_err(|refused| match refused {
        Refused::Full => Failure::busy("too many images wait for the model"),
        Refused::Closed => Failure::stopping(),
    })?;
    Ok((inputs, replies))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_asked_for_few_paths_are_counted() {
        assert_eq!(counted("/v1/models/a/predict"), "/v1/predict");
        assert_eq!(counted("/v1/models/a"), "/v1/model");
        assert_eq!(counted("/wp-admin"), "other");
    }
}
