//! What operations may answer besides what was asked for: problems, in the words of the OpenAPI document.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::admin::problem::CONTENT;

/// Why a request got nothing else (RFC 9457). Some problems have more members, which say where something is wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// `urn:hookgate:problem:NAME`: the name is for programs to rely on.
    #[serde(rename = "type")]
    #[schema(example = "urn:hookgate:problem:not-found")]
    pub kind: String,
    /// What the status means.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong, for people.
    pub detail: String,
}

/// Of operations that look at something that is always there.
pub struct Looking;

/// Of operations that look at one of many.
pub struct Finding;

/// Of operations that change something.
pub struct Changing;

/// Of operations that change one of many.
pub struct ChangingOne;

const BAD: (&str, &str) = ("400", "A parameter, the path or the body makes no sense; the detail says where.");
const TOKEN: (&str, &str) = ("401", "No token, a wrong one, or a session that is over.");
const FORBIDDEN: (&str, &str) = (
    "403",
    "A reader asks for what only operators may, another site sent it, or the host is not a loopback one where no token is configured.",
);
const MISSING: (&str, &str) = ("404", "There is no such thing, or not any more.");
const CONFLICT: (&str, &str) = ("409", "How things are does not allow it; nothing was changed.");
const LARGE: (&str, &str) = ("413", "The body is larger than is taken.");
const MEDIA: (&str, &str) = ("415", "The body does not say that it is JSON.");
const TRIES: (&str, &str) = ("429", "Too many wrong tokens came from this address.");
const TROUBLE: (&str, &str) = ("503", "The store is in trouble, or too much is asked at once; try again later.");

impl IntoResponses for Looking {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[BAD, TOKEN, FORBIDDEN, TRIES, TROUBLE])
    }
}

impl IntoResponses for Finding {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[BAD, TOKEN, FORBIDDEN, MISSING, TRIES, TROUBLE])
    }
}

impl IntoResponses for Changing {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[BAD, TOKEN, FORBIDDEN, CONFLICT, LARGE, MEDIA, TRIES, TROUBLE])
    }
}

impl IntoResponses for ChangingOne {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[BAD, TOKEN, FORBIDDEN, MISSING, CONFLICT, LARGE, MEDIA, TRIES, TROUBLE])
    }
}

fn problems(all: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let problem = |(status, means): &(&str, &str)| {
        let schema = Ref::from_schema_name("Problem");
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response = ResponseBuilder::new().description(*means).content(CONTENT, content).build();
        ((*status).to_owned(), RefOr::T(response))
    };
    all.iter().map(problem).collect()
}
