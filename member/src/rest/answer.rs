//! An answer: status, headers, body.
//!
//! Law: an empty body has no type; JSON is compact. Must not know: what was asked.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use jet_admin_api::rest::reply::Reply;
use serde::Serialize;

/// What is sent back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers beside the length.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// A status alone.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// 200 with a JSON value.
    pub fn json(value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => {
                let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
                Self { status: StatusCode::OK, headers: headers.into_iter().collect(), body: body.into() }
            }
            Err(_) => Self::empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// A yes or no of a probe.
    pub fn yes_or_no(yes: bool) -> Self {
        Self::empty(if yes { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE })
    }

    /// A failure with its reason.
    pub fn failed(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, ..Self::json(&Reply::failed(message)) }
    }

    /// Whatever could not be done, for whatever reason: 500, as every exception of the original.
    pub fn error(message: impl Into<String>) -> Self {
        Self::failed(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// Headers alone, for `HEAD`.
    pub fn head(headers: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let mut answer = Self::empty(StatusCode::OK);
        answer.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                answer.headers.insert(HeaderName::from_static(name), value);
            }
        }
        answer
    }
}

impl From<Answer> for Response<Full<Bytes>> {
    fn from(answer: Answer) -> Self {
        let mut response = Response::new(Full::new(answer.body));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        response
    }
}
