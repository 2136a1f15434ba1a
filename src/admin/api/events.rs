//! `/api/v1/events`, `/dead-letters` and `/jobs`: what was kept, and what became of it.
//!
//! Bodies are for operators: they may hold personal data.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::admin::access::Identity;
use crate::admin::access::sight::{Sight, WithheldNotice};
use crate::admin::api::answers;
use crate::admin::api::ask::{Asked, Limit, Named, Nothing};
use crate::admin::api::cursor::Cursor;
use crate::admin::desk;
use crate::admin::desk::Desk;
use crate::admin::problem::Problem;
use hookgate_model::moment::{When, exact};
use hookgate_store::{Attempt, Delivered, EventLine, EventRef, Flags, JobKind, JobState, Millis, Query};

/// Rows of a page unless told otherwise.
const PAGE: usize = 50;

/// Which events are wanted; all conditions hold together.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsAsked {
    /// Of this route.
    pub route: Option<String>,
    /// With a job of this rule.
    pub rule: Option<String>,
    /// With a job through this connector.
    pub connector: Option<String>,
    /// With a job in this state.
    #[param(inline)]
    pub state: Option<JobState>,
    /// Of this type, or of a family that ends with `.*`.
    #[serde(rename = "type")]
    #[param(value_type = Option<String>, pattern = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?$", example = "user.session.*")]
    pub kind: Option<Kind>,
    /// Received at this time or later: RFC 3339, a date, or an age such as `2h`.
    #[param(inline)]
    pub since: Option<When>,
    /// Received before this time, or longer ago than this age.
    #[param(inline)]
    pub until: Option<When>,
    /// `next` of the page before; the other parameters must be the same.
    pub cursor: Option<String>,
    /// Rows of a page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 50)]
    pub limit: Option<Limit<500>>,
}

/// A type of event, or a family of types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind(pub String);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        let name = written.strip_suffix(".*").unwrap_or(&written);
        if name.is_empty() || name.contains('*') {
            let wrong = "neither a type nor a family that ends with `.*`, such as `user.session.*`";
            return Err(serde::de::Error::custom(wrong));
        }
        Ok(Self(written))
    }
}

impl EventsAsked {
    /// What a cursor belongs to: the question without the page.
    fn question(&self) -> String {
        format!("{:?}", Self { cursor: None, limit: None, ..self.clone() })
    }

    /// In the words of the store. Ages end `now`.
    ///
    /// # Errors
    /// The cursor belongs to another question.
    pub fn query(&self, list: &str, now: Millis) -> Result<Query, Problem> {
        let cursor = self.cursor.as_ref().map(|text| Cursor::read(text, list, &self.question())).transpose()?;
        Ok(Query {
            route: self.route.clone(),
            rule: self.rule.clone(),
            connector: self.connector.clone(),
            state: self.state,
            kind: self.kind.clone().map(|kind| kind.0),
            since: self.since.map(|when| when.millis(now)),
            until: self.until.map(|when| when.millis(now)),
            after: cursor.map(|cursor| cursor.after),
            limit: self.limit.map_or(PAGE, |limit| limit.0),
        })
    }

    fn next(&self, list: &str, after: Option<i64>) -> Option<String> {
        after.map(|after| Cursor { after, turn: 0 }.text(list, &self.question()))
    }
}

/// An event of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Event {
    /// Our number of it.
    pub id: i64,
    pub route: String,
    /// The provider's id of it.
    pub key: String,
    /// The provider's type; empty if it could not be read.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened, as the provider says.
    #[schema(format = DateTime)]
    pub published: Option<String>,
    #[schema(format = DateTime)]
    pub received: String,
    pub flags: Flags,
    /// Why no rule could read it; or, where it has a type, what of it was not read as it was sent.
    pub problem: Option<String>,
    /// How many of its jobs are in which state.
    #[schema(value_type = std::collections::HashMap<String, u64>)]
    pub jobs: BTreeMap<JobState, u64>,
}

impl Event {
    pub fn of(event: EventLine) -> Self {
        let EventLine { id, route, key, kind, published, received, flags, problem, jobs } = event;
        let (published, received) = (published.map(exact), exact(received));
        Self { id, route, key, kind, published, received, flags, problem, jobs }
    }
}

/// Something to do with an event, or something that came of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Job {
    pub id: i64,
    pub kind: JobKind,
    /// The job that made this one.
    pub parent: Option<i64>,
    /// What it shares a limit with: `rule ROUTE/RULE` or `connector NAME`.
    pub lane: String,
    /// The rule, or what the action does: `notify`.
    pub name: String,
    /// What receivers tell repetitions by.
    pub key: String,
    pub state: JobState,
    /// When it is tried next, while it waits.
    #[schema(format = DateTime)]
    pub due: Option<String>,
    /// Since it was put back last.
    pub attempts: u32,
    /// How often it was put back.
    pub replay: u32,
    /// Of one try nobody knows how it ended.
    pub doubt: bool,
    #[schema(format = DateTime)]
    pub created: String,
    /// Why it was never done.
    pub note: Option<String>,
    /// Whether what an action wanted has happened; `null` for rules.
    pub delivered: Option<Delivered>,
    /// What the action is; `null` for rules, and for readers.
    #[schema(value_type = serde_json::Value)]
    pub action: Value,
    /// Stands there where `action` is `null` because a reader asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld: Option<WithheldNotice>,
    /// Every try, oldest first.
    pub tries: Vec<Try>,
}

/// One try at a job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Try {
    #[schema(format = DateTime)]
    pub started: String,
    pub took_ms: u64,
    /// `done`, `failed`, `maybe_delivered`, `lost`, …
    pub result: String,
    /// HTTP or SMTP, if it came to that.
    pub status: Option<u16>,
    /// What went wrong, or what was answered; readers get a sentence that says how long it is.
    pub detail: String,
}

impl Job {
    pub fn of(job: desk::events::JobView) -> Self {
        let desk::events::JobView { line: job, action } = job;
        let delivered = Delivered::of(&job);
        let (action, withheld) = action.split();
        let action = action.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or(Value::Null);
        Self {
            id: job.id,
            kind: job.kind,
            parent: job.parent,
            lane: job.lane,
            name: job.name,
            key: job.key,
            state: job.state,
            due: job.due.map(exact),
            attempts: job.attempts,
            replay: job.replay,
            doubt: job.doubt,
            created: exact(job.created),
            note: job.note,
            delivered,
            action,
            withheld,
            tries: job.tries.into_iter().map(Try::of).collect(),
        }
    }
}

impl Try {
    fn of(attempt: Attempt) -> Self {
        let Attempt { started, took_ms, result, status, detail } = attempt;
        Self { started: exact(started), took_ms, result, status, detail }
    }
}

/// Everything about one event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EventDetail {
    #[serde(flatten)]
    pub event: Event,
    /// Its jobs, oldest first: `jobs` are their numbers by state.
    pub work: Vec<Job>,
    /// What the events of the delivery have in common; `null` for readers.
    #[schema(value_type = serde_json::Value)]
    pub envelope: Value,
    /// As it was sent; `null` for readers, and for answered calls, of which none is kept.
    #[schema(value_type = serde_json::Value)]
    pub body: Value,
    /// Says of `envelope` and `body` that they are `null` because a reader asks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = std::collections::HashMap<String, WithheldNotice>)]
    pub withheld: BTreeMap<&'static str, WithheldNotice>,
}

impl EventDetail {
    pub fn of(event: desk::events::EventView) -> Self {
        let desk::events::EventView { line, envelope, body, jobs } = event;
        let readable = |bytes: &[u8]| {
            let text = || (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned());
            serde_json::from_slice(bytes).unwrap_or_else(|_| text().into())
        };
        let (envelope, no_envelope) = envelope.split();
        let (body, no_body) = body.split();
        let withheld = [("envelope", no_envelope), ("body", no_body)];
        let withheld = withheld.into_iter().filter_map(|(name, withheld)| Some((name, withheld?))).collect();
        Self {
            event: Event::of(line),
            work: jobs.into_iter().map(Job::of).collect(),
            envelope: envelope.map_or(Value::Null, |envelope| readable(envelope.as_bytes())),
            body: body.map_or(Value::Null, |body| readable(&body)),
            withheld,
        }
    }
}

/// Events, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Events {
    pub events: Vec<Event>,
    /// `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

/// An event with those of its jobs that nobody tries any more.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeadLetter {
    pub event: Event,
    pub dead: Vec<Job>,
}

/// Events with dead jobs, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeadLetters {
    pub dead_letters: Vec<DeadLetter>,
    /// `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

/// A job and the event that it belongs to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct JobDetail {
    pub event: Event,
    pub job: Job,
}

/// A page of events.
///
/// # Errors
/// The cursor is of another question, or the store is in trouble.
pub async fn page(desk: &Desk, asked: &EventsAsked) -> Result<Events, Problem> {
    let page = desk.events(asked.query("events", desk.now())?).await?;
    Ok(Events { events: page.events.into_iter().map(Event::of).collect(), next: asked.next("events", page.next) })
}

/// A page of dead letters, at most a hundred.
///
/// # Errors
/// As for [`page`].
pub async fn dead(desk: &Desk, asked: &EventsAsked, sight: Sight) -> Result<DeadLetters, Problem> {
    let mut query = asked.query("dead-letters", desk.now())?;
    (query.state, query.limit) = (Some(JobState::Dead), query.limit.min(100));
    let page = desk.events(query).await?;
    let mut dead_letters = Vec::with_capacity(page.events.len());
    for event in page.events {
        let jobs = desk.event(EventRef::Id(event.id), sight).await?.map(|event| event.jobs).unwrap_or_default();
        let dead = jobs.into_iter().filter(|job| job.line.state == JobState::Dead).map(Job::of).collect();
        dead_letters.push(DeadLetter { event: Event::of(event), dead });
    }
    Ok(DeadLetters { dead_letters, next: asked.next("dead-letters", page.next) })
}

/// One event, by our number of it or by the provider's id.
pub fn named(name: &str) -> EventRef {
    match name.parse() {
        Ok(number) if name.bytes().all(|byte| byte.is_ascii_digit()) => EventRef::Id(number),
        _ => EventRef::Key(name.to_owned()),
    }
}

/// Everything about one event.
///
/// # Errors
/// There is none of that name, or the store is in trouble.
pub async fn detail(desk: &Desk, name: &str, sight: Sight) -> Result<EventDetail, Problem> {
    let found = desk.event(named(name), sight).await?;
    found.map(EventDetail::of).ok_or_else(|| Problem::not_found("no event of this id is kept"))
}

/// Events that were kept, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "events",
    params(EventsAsked),
    responses((status = 200, description = "A page.", body = Events), answers::Looking)
)]
pub(super) async fn list(
    State(desk): State<Arc<Desk>>,
    Asked(asked): Asked<EventsAsked>,
) -> Result<Json<Events>, Problem> {
    page(&desk, &asked).await.map(Json)
}

/// One event with its jobs and every try.
///
/// Readers get neither the body, nor what actions carry, nor what tries came to in words.
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}",
    tag = "events",
    params(("id" = String, Path, description = "Our number of the event, or the provider's id of it.")),
    responses((status = 200, description = "The event.", body = EventDetail), answers::Finding)
)]
pub(super) async fn show(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    Named(id): Named,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<EventDetail>, Problem> {
    detail(&desk, &id, who.sight()).await.map(Json)
}

/// Events with jobs that nobody tries any more, newest first.
///
/// At most a hundred on a page; `state` is `dead` whatever is asked for.
#[utoipa::path(
    get,
    path = "/api/v1/dead-letters",
    tag = "events",
    params(EventsAsked),
    responses((status = 200, description = "A page.", body = DeadLetters), answers::Looking)
)]
pub(super) async fn dead_letters(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    Asked(asked): Asked<EventsAsked>,
) -> Result<Json<DeadLetters>, Problem> {
    dead(&desk, &asked, who.sight()).await.map(Json)
}

/// One job with every try, and its event.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}",
    tag = "events",
    params(("id" = i64, Path, description = "The number of the job.", minimum = 0)),
    responses((status = 200, description = "The job.", body = JobDetail), answers::Finding)
)]
pub(super) async fn job(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    Named(id): Named,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<JobDetail>, Problem> {
    let number: i64 = id.parse().map_err(|_| Problem::bad_request("bad-id", "the number of a job has digits only"))?;
    let missing = || Problem::not_found("no job of this number is kept");
    let event = desk.event(EventRef::Job(number), who.sight()).await?.ok_or_else(missing)?;
    let job = event.jobs.into_iter().find(|job| job.line.id == number).ok_or_else(missing)?;
    Ok(Json(JobDetail { event: Event::of(event.line), job: Job::of(job) }))
}
