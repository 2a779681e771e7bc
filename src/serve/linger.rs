//! What a client still sends behind its answer.
//!
//! A connection that is closed while the other side sends breaks there, often before the answer was read: a proxy makes a 502 of
//! it. So a body that nobody read to its end is read on and thrown away, for as long as the whole request might have taken.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::EXPECT;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, timeout_at};

/// `request`, of whose body the rest is read and thrown away where whoever takes it drops it before its end.
///
/// `timeout`: how long after now the rest may come. Needs tokio's runtime.
pub(super) fn lingering(request: Request, timeout: Duration) -> Request {
    // such a client sends nothing until it is told to
    if request.headers().contains_key(EXPECT) {
        return request;
    }
    let deadline = Instant::now() + timeout;
    request.map(|body| Body::new(Lingering { body: Some(body), deadline }))
}

struct Lingering {
    /// `None` behind its end.
    body: Option<Body>,
    deadline: Instant,
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if let Some(rest) = self.body.take().filter(|body| !body.is_end_stream()) {
            tokio::spawn(discard(rest, self.deadline));
        }
    }
}

async fn discard(mut rest: Body, deadline: Instant) {
    while let Ok(Some(Ok(_))) = timeout_at(deadline, rest.frame()).await {}
}
