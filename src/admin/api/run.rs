//! `POST /api/v1/run` and `/cases`: a request on trial. Nothing is sent or kept, and no record is made.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::admin::access::Operator;
use crate::admin::api::answers;
use crate::admin::api::ask::{Asked, Nothing, Sent};
use crate::admin::desk::Desk;
use crate::admin::problem::Problem;
use hookgate_engine::trial::diff::diff;
use hookgate_engine::trial::tried::Tried;
use hookgate_engine::trial::{Order, Subject, TrialError};

/// The largest body: a mebibyte of scripts and words around it, and the largest request that a route may take by default.
const MAX_BYTES: usize = 1024 * 1024 + 4 * 1024 * 1024;

/// What a request is tried on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// The release in force.
    #[default]
    Running,
    /// The files as they are now, whether or not they could go live.
    OnDisk,
}

/// A request on trial.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The name of a route.
    pub route: String,
    /// Of an event route: this rule alone, whether or not it wants the event.
    #[serde(default)]
    pub rule: Option<String>,
    /// The body as the provider would send it: any JSON, or a text that is sent as it is.
    #[schema(value_type = serde_json::Value)]
    pub request: Value,
    #[serde(default)]
    #[schema(inline)]
    pub on: On,
    /// Texts in the place of saved files, by path below the scripts folder: `registration.rhai`. Then it is tried on the files,
    /// whatever `on` says.
    #[serde(default)]
    pub scripts: BTreeMap<String, String>,
    /// Tell line by line what the script did.
    #[serde(default)]
    pub trace: bool,
    /// Try it on the release in force, too, and tell what came out different.
    #[serde(default)]
    pub compare: bool,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Outcome {
    #[serde(flatten)]
    pub tried: Tried,
    /// A unified diff of what came of it on the release in force and here; empty where both are the same, `null` where no
    /// comparison was asked for.
    pub difference: Option<String>,
}

/// A request to be saved as a test.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCase {
    /// Letters, digits, `_` and `-`.
    #[schema(pattern = "^[A-Za-z0-9_-]+$", max_length = 100)]
    pub name: String,
    /// The name of a route.
    pub route: String,
    /// Of an event route with several rules: which one it is for.
    #[serde(default)]
    pub rule: Option<String>,
    /// The body as the provider would send it. What is secret in it does not get into the file: see `redacted`.
    #[schema(value_type = serde_json::Value)]
    pub request: Value,
    #[serde(default)]
    #[schema(inline)]
    pub on: On,
    /// Write the file below the bundle; otherwise only its text is made.
    #[serde(default)]
    pub write: bool,
}

/// A golden case: a request and what came of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Case {
    /// Path below the bundle.
    pub file: String,
    pub text: String,
    /// Members of the request that were replaced by `***` before the case was made, as JSON Pointers.
    pub redacted: Vec<String>,
    pub written: bool,
}

impl From<TrialError> for Problem {
    fn from(error: TrialError) -> Self {
        match error {
            TrialError::Busy => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many requests are being tried already")
                    .retry_after()
            }
            TrialError::NotReady => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "no release is in force yet").retry_after()
            }
            TrialError::Unbuildable(findings) => {
                let detail = "what is to be tried cannot be built; `findings` says why";
                Self::conflict("unbuildable", detail).with("findings", serde_json::json!(findings))
            }
            TrialError::Unusable(reason) => Self::bad_request("unusable", reason),
        }
    }
}

fn order(route: String, rule: Option<String>, request: Value, trace: bool) -> Order {
    let body = match request {
        Value::String(text) => text,
        value => value.to_string(),
    };
    Order { route, rule, body: body.into(), trace }
}

/// Tries a request.
///
/// # Errors
/// It cannot be tried, and why.
pub async fn tried(desk: &Desk, who: &Operator, run: Run) -> Result<Outcome, Problem> {
    let Run { route, rule, request, on, scripts, trace, compare } = run;
    let order = order(route, rule, request, trace);
    let subject = match on {
        _ if !scripts.is_empty() => {
            Subject::Edited(scripts.into_iter().map(|(file, text)| (file, Arc::from(text))).collect())
        }
        On::Running => Subject::Running,
        On::OnDisk => Subject::OnDisk,
    };
    let tried = desk.try_out(who, subject, &order).await?;
    let mut difference = None;
    if compare {
        let order = Order { trace: false, ..order };
        let before = desk.try_out(who, Subject::Running, &order).await?;
        difference = Some(diff(&before, &tried));
    }
    Ok(Outcome { tried, difference })
}

/// Makes a case, and writes it where that was asked for.
///
/// # Errors
/// It cannot be tried, or there is such a file already.
pub async fn made(desk: &Desk, who: &Operator, wanted: NewCase) -> Result<Case, Problem> {
    let NewCase { name, route, rule, request, on, write } = wanted;
    let order = order(route, rule, request, false);
    let subject = if on == On::OnDisk { Subject::OnDisk } else { Subject::Running };
    let draft = desk.draft(who, subject, &order, &name).await?;
    let (file, text, redacted) = (draft.file.clone(), draft.text.clone(), draft.redacted.clone());
    let case = Case { file, text, redacted, written: write };
    if write {
        desk.save(who, draft).await.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Problem::conflict("exists", format!("there is `{}` already", case.file)),
            _ => Problem::conflict("unwritable", format!("`{}` cannot be written: {}", case.file, error.kind())),
        })?;
        desk.note(who, "case saved", &case.file, &Value::Null).await;
    }
    Ok(case)
}

/// Try a request.
///
/// Its script runs as it would for a call, and lookups reach their systems; nothing is sent or kept, and no record is made.
#[utoipa::path(
    post,
    path = "/api/v1/run",
    tag = "trial",
    request_body = Run,
    responses((status = 200, description = "What came of it; `refused` where the gateway would refuse such a call.", body = Outcome), answers::Changing)
)]
pub(super) async fn run(
    State(desk): State<Arc<Desk>>,
    who: Operator,
    Asked(Nothing {}): Asked<Nothing>,
    Sent(wanted): Sent<Run, MAX_BYTES>,
) -> Result<Json<Outcome>, Problem> {
    tried(&desk, &who, wanted).await.map(Json)
}

/// Save a request as a test of its script.
#[utoipa::path(
    post,
    path = "/api/v1/cases",
    tag = "trial",
    request_body = NewCase,
    responses(
        (status = 200, description = "The case, which is not written.", body = Case),
        (status = 201, description = "The case, which is written.", body = Case),
        answers::Changing,
    )
)]
pub(super) async fn case(
    State(desk): State<Arc<Desk>>,
    who: Operator,
    Asked(Nothing {}): Asked<Nothing>,
    Sent(wanted): Sent<NewCase, MAX_BYTES>,
) -> Result<(StatusCode, Json<Case>), Problem> {
    let case = made(&desk, &who, wanted).await?;
    Ok((if case.written { StatusCode::CREATED } else { StatusCode::OK }, Json(case)))
}
