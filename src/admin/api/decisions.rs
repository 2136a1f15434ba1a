//! `/api/v1/decisions`: what scripts decided, and why.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::admin::access::Identity;
use crate::admin::access::sight::{Disclosure, Sight, WithheldNotice};
use crate::admin::api::answers;
use crate::admin::api::ask::{Asked, Limit, Named, Nothing};
use crate::admin::api::cursor::Cursor;
use crate::admin::desk::Desk;
use crate::admin::desk::decisions::DecisionView;
use crate::admin::problem::Problem;
use hookgate_model::decision::{Capture, Page, Query, Record, Subject};
use hookgate_model::moment::{When, exact};

/// Rows of a page unless told otherwise.
const PAGE: usize = 50;

/// The name of the list, for cursors.
const LIST: &str = "decisions";

/// Which decisions are wanted; all conditions hold together.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DecisionsAsked {
    /// Of this route.
    pub route: Option<String>,
    /// `failed`, `refused`, or a word of the hook, such as `denied`.
    pub outcome: Option<String>,
    /// About this user: the provider's id, or a login. Not together with `id`.
    pub user: Option<String>,
    /// Known by this id: of the decision, of the provider's call or request, of the event.
    pub id: Option<String>,
    /// Known by this id or login; where nothing is, those of the newest ten thousand that have this in an id, a login, the names
    /// of route, rule and script, the outcome or the headline. Alone, without `user` and `id`.
    pub find: Option<String>,
    /// Made at this time or later: RFC 3339, a date, or an age such as `2h`.
    #[param(inline)]
    pub since: Option<When>,
    /// Made before this time, or longer ago than this age.
    #[param(inline)]
    pub until: Option<When>,
    /// `next` of the page before; the other parameters must be the same.
    pub cursor: Option<String>,
    /// Rows of a page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 50)]
    pub limit: Option<Limit<500>>,
}

/// A decision in a list, and as it is told live.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DecisionLine {
    /// Also in the reply's `debugContext`.
    pub id: String,
    /// When the call arrived, or the run of a rule began.
    #[schema(format = DateTime)]
    pub time: String,
    /// Empty for a call to a path that no route has.
    pub route: String,
    pub rule: Option<String>,
    pub hook: String,
    /// How it ended, in one word.
    pub outcome: String,
    /// What a list says of it: why it failed or was denied, else what comes of it.
    pub headline: String,
    /// Why it came out so, in one line, with the script and its line.
    pub why: String,
    /// What the script said with `reason("…")`.
    pub reason: Option<String>,
    /// What the provider does to its user, in one sentence.
    pub effect: Option<String>,
    pub subject: Subject,
    /// The provider's id of the call or of the event.
    pub event_id: Option<String>,
    /// Of an event: its type.
    pub event_type: Option<String>,
    /// The provider's id of the request that caused it.
    pub request_id: Option<String>,
    pub trace_id: Option<String>,
    pub script: Option<String>,
    /// HTTP status of the reply.
    pub status: Option<u16>,
    /// A try-out from the provider's console.
    pub preview: bool,
    /// From the first byte of the call to its answer, in microseconds.
    pub total_us: u64,
    /// Whether the request was captured, and is still there.
    pub captured: bool,
}

impl DecisionLine {
    pub fn of(record: &Record) -> Self {
        Self {
            id: record.id.clone(),
            time: exact(record.at),
            route: record.route.clone(),
            rule: record.rule.clone(),
            hook: record.hook.clone(),
            outcome: record.outcome.clone(),
            headline: record.headline(),
            why: record.why(),
            reason: record.reason.clone(),
            effect: record.effect.clone(),
            subject: record.subject.clone(),
            event_id: record.event_id.clone(),
            event_type: record.event_type.clone(),
            request_id: record.request_id.clone(),
            trace_id: record.trace_id.clone(),
            script: record.script.clone(),
            status: record.status,
            preview: record.preview,
            total_us: record.times.total_us,
            captured: record.captured,
        }
    }
}

/// Decisions, newest first.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Decisions {
    pub decisions: Vec<DecisionLine>,
    /// `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

/// Everything about one decision.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DecisionDetail {
    #[serde(flatten)]
    pub record: Record,
    /// When the call arrived, or the run of a rule began.
    #[schema(format = DateTime)]
    pub time: String,
    /// Why it came out so, in one line.
    pub why: String,
    /// `null` where nothing was captured, and for readers.
    pub capture: Option<Captured>,
    /// Stands there where `capture` is `null` because a reader asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld: Option<WithheldNotice>,
}

/// What was kept of a call, without what is secret.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Captured {
    /// The body of the call; `null` where it was too large.
    #[schema(value_type = serde_json::Value)]
    pub request: Value,
    /// The body of the reply.
    #[schema(value_type = serde_json::Value)]
    pub reply: Value,
    /// It was larger than may be captured.
    pub too_large: bool,
    /// Members that were replaced, as JSON Pointers.
    pub redacted: Vec<String>,
    /// When it is removed.
    #[schema(format = DateTime)]
    pub until: String,
}

impl Captured {
    fn of(capture: Capture) -> Self {
        let Capture { request, reply, too_large, redacted, until } = capture;
        Self { request, reply, too_large, redacted, until: exact(until) }
    }
}

impl DecisionsAsked {
    /// What a cursor belongs to: the question without the page.
    fn question(&self) -> String {
        format!("{:?}", Self { cursor: None, limit: None, ..self.clone() })
    }
}

/// What is looked for in one go.
enum Search {
    All,
    /// A whole id or login, as it was recorded.
    Name(String),
    /// A part of one, or of what a list says.
    Part(String),
}

impl Search {
    fn parts(&self) -> (Option<String>, Option<String>) {
        match self {
            Self::All => (None, None),
            Self::Name(name) => (Some(name.clone()), None),
            Self::Part(part) => (None, Some(part.clone())),
        }
    }
}

async fn searches(desk: &Desk, asked: &DecisionsAsked) -> Result<Vec<Search>, Problem> {
    let named = [&asked.user, &asked.id, &asked.find].into_iter().flatten().count();
    if named > 1 {
        let detail = "only one of `user`, `id` and `find` can be asked for";
        return Err(Problem::bad_request("bad-parameter", detail));
    }
    if let Some(id) = &asked.id {
        return Ok(vec![Search::Name(id.clone())]);
    }
    let Some(user) = asked.user.as_ref().or(asked.find.as_ref()) else { return Ok(vec![Search::All]) };
    // A login may have been recorded as it is, in small letters, or as a hash.
    let mut searches: Vec<Search> = desk.names(user).await?.into_iter().map(Search::Name).collect();
    searches.extend(asked.find.as_ref().map(|part| Search::Part(part.to_lowercase())));
    Ok(searches)
}

/// A page of decisions.
///
/// # Errors
/// The cursor is of another question, or the store is in trouble.
pub async fn page(desk: &Desk, asked: &DecisionsAsked, sight: Sight) -> Result<Decisions, Problem> {
    let question = asked.question();
    let cursor = asked.cursor.as_ref().map(|text| Cursor::read(text, LIST, &question)).transpose()?;
    let searches = searches(desk, asked).await?;
    let now = desk.now();
    let limit = asked.limit.map_or(PAGE, |limit| limit.0);
    let (mut turn, mut after) = cursor.map_or((0, None), |cursor| (usize::from(cursor.turn), Some(cursor.after)));
    let mut decisions: Vec<DecisionLine> = Vec::new();
    // Some of the page before were known by a whole name.
    let is_known = cursor.is_some_and(|_| !matches!(searches.get(turn), Some(Search::Part(_))));
    // One search after the other; a page goes on with the next one where one is through.
    while let Some(search) = searches.get(turn).filter(|_| decisions.len() < limit) {
        if matches!(search, Search::Part(_)) && (is_known || !decisions.is_empty()) {
            turn = searches.len();
            break;
        }
        let (handle, part) = search.parts();
        let query = Query {
            route: asked.route.clone(),
            outcome: asked.outcome.clone(),
            handle,
            part,
            since: asked.since.map(|when| when.millis(now)),
            until: asked.until.map(|when| when.millis(now)),
            after,
            limit: limit - decisions.len(),
        };
        let Page { records, next } = desk.decisions(query, sight).await?;
        decisions.extend(records.iter().map(DecisionLine::of));
        if next.is_some() {
            after = next;
            break;
        }
        (turn, after) = (turn + 1, None);
    }
    let goes_on = turn < searches.len();
    let place = || Cursor { after: after.unwrap_or(i64::MAX), turn: u8::try_from(turn).unwrap_or(u8::MAX) };
    Ok(Decisions { decisions, next: goes_on.then(|| place().text(LIST, &question)) })
}

/// Everything about one decision, as it may be seen.
///
/// # Errors
/// There is none of this id, or the store is in trouble.
pub async fn detail(desk: &Desk, id: &str, sight: Sight) -> Result<DecisionDetail, Problem> {
    let found = desk.decision(id, sight).await?;
    let DecisionView { record, capture } = found.ok_or_else(|| Problem::not_found("no decision of this id is kept"))?;
    let (capture, withheld) = capture.map(Disclosure::split).unwrap_or_default();
    Ok(DecisionDetail {
        time: exact(record.at),
        why: record.why(),
        record,
        capture: capture.map(Captured::of),
        withheld,
    })
}

/// What scripts decided, newest first.
///
/// The records of a login come one form of its name after the other, where it was recorded in several.
#[utoipa::path(
    get,
    path = "/api/v1/decisions",
    tag = "decisions",
    params(DecisionsAsked),
    responses((status = 200, description = "A page.", body = Decisions), answers::Looking)
)]
pub(super) async fn list(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    Asked(asked): Asked<DecisionsAsked>,
) -> Result<Json<Decisions>, Problem> {
    page(&desk, &asked, who.sight()).await.map(Json)
}

/// One decision, with all that is kept of it.
///
/// Readers do not get what was captured, nor the words of a failure that may quote a call or an answer.
#[utoipa::path(
    get,
    path = "/api/v1/decisions/{id}",
    tag = "decisions",
    params(("id" = String, Path, description = "The id of the decision.")),
    responses((status = 200, description = "The decision.", body = DecisionDetail), answers::Finding)
)]
pub(super) async fn show(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    Named(id): Named,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<DecisionDetail>, Problem> {
    detail(&desk, &id, who.sight()).await.map(Json)
}
