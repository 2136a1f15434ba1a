//! `/api/v1/releases`, `/reload` and `/changes`: what was in force, going back to it, and who changed what.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::admin::access::sight::WithheldNotice;
use crate::admin::access::{Identity, Operator};
use crate::admin::api::answers;
use crate::admin::api::ask::{Asked, Limit, Named, Nothing};
use crate::admin::api::cursor::Cursor;
use crate::admin::desk;
use crate::admin::desk::Desk;
use crate::admin::desk::releases::{FileView, ReleaseView};
use crate::admin::problem::Problem;
use hookgate_engine::history::Failure;
use hookgate_engine::history::diff::FileDiff;
use hookgate_engine::history::shown;
use hookgate_engine::history::shown::{Release, ShownFile};
use hookgate_engine::release::live;
use hookgate_engine::release::live::Reloaded;
use hookgate_engine::release::witness::Pinned;
use hookgate_model::moment::{When, exact};
use hookgate_store::archive::{Change, ChangeQuery, Part};

/// Rows of a page unless told otherwise.
const PAGE: usize = 50;

/// The name of the list of changes, for cursors.
const CHANGES: &str = "changes";

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let detail = failure.to_string();
        match failure {
            Failure::Unknown(_) => Self::not_found(detail),
            Failure::Ambiguous(_) => Self::conflict("ambiguous", detail),
            Failure::InForce(_) => Self::conflict("in-force", detail),
            Failure::Damaged(..) => Self::conflict("damaged", detail),
            Failure::Refused { findings, .. } | Failure::OnDisk(findings) => {
                Self::conflict("unbuildable", detail).with("findings", json!(findings))
            }
            Failure::Store(error) => error.into(),
        }
    }
}

/// Releases, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Releases {
    pub releases: Vec<Release>,
}

/// A release with its files.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReleaseDetail {
    #[serde(flatten)]
    pub release: Release,
    pub contents: Vec<ReleaseFile>,
}

/// A file of a release.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReleaseFile {
    /// `config`, `script`, `fixture` (JSON that tests read) or `table`.
    #[schema(value_type = String)]
    pub part: Part,
    /// Path below the scripts folder; the name of a table; `gateway.toml`.
    pub name: String,
    /// SHA-256 of the text; `null` where the text is withheld.
    pub digest: Option<String>,
    pub bytes: u64,
    /// `null` where it is longer than 256 KiB, or not UTF-8, and for readers where it may hold something of a call: fixtures
    /// and golden cases, files of tests, tables.
    pub text: Option<String>,
    /// Stands there where `text` is `null` because a reader asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld: Option<WithheldNotice>,
}

/// How two releases differ.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Difference {
    /// Files that are not the same in both.
    pub files: Vec<FileDifference>,
}

/// How a file differs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FileDifference {
    /// What differs; for readers without a text of fixtures and golden cases, files of tests, tables.
    #[serde(flatten)]
    pub file: FileDiff,
    /// Stands there where the text is missing because a reader asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld: Option<WithheldNotice>,
}

impl ReleaseDetail {
    fn of(opened: ReleaseView) -> Self {
        Self { release: opened.release, contents: opened.files.into_iter().map(ReleaseFile::of).collect() }
    }
}

impl ReleaseFile {
    fn of(opened: FileView) -> Self {
        let ShownFile { part, name, digest, bytes, .. } = opened.file;
        let (text, withheld) = opened.text.split();
        let digest = (!digest.is_empty()).then_some(digest);
        Self { part, name, digest, bytes, text: text.flatten(), withheld }
    }
}

impl FileDifference {
    fn of(difference: desk::releases::DifferenceView) -> Self {
        let (text, withheld) = difference.text.split();
        let file = FileDiff { text: text.flatten(), ..difference.file };
        Self { file, withheld }
    }
}

/// Against which release one is compared.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DiffAsked {
    /// The hash of the later one, or the first digits of it, or `running` or `on_disk`.
    #[param(default = "running")]
    against: Option<String>,
}

/// What a reload did.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Reload {
    /// `activated`; `unchanged` where what is on disk was in force already; `waiting` while files are being checked out.
    pub result: &'static str,
    pub release: live::status::Status,
}

/// What a rollback did.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Rollback {
    /// Hash of the release in force.
    pub to: String,
    /// Hash of the one that was.
    pub before: Option<String>,
    /// What is held back until the files change; `null` where the files are what is in force now.
    pub pinned: Option<Pinned>,
    /// Whether the store has it. If not, it is in force all the same, and a restart would not know of it.
    pub kept: bool,
}

/// Which changes are wanted; all conditions hold together.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChangesAsked {
    /// By this one: `files`, `start`, `token`, `session 1a2b3c`, …
    who: Option<String>,
    /// Of this kind: `release activated`, `events replayed`, …
    what: Option<String>,
    /// Made at this time or later: RFC 3339, a date, or an age such as `2h`.
    #[param(inline)]
    since: Option<When>,
    /// Made before this time, or longer ago than this age.
    #[param(inline)]
    until: Option<When>,
    /// `next` of the page before; the other parameters must be the same.
    cursor: Option<String>,
    /// Rows of a page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 50)]
    limit: Option<Limit<500>>,
}

/// A row of the log of changes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChangeLine {
    /// Rises by one from row to row.
    pub number: i64,
    #[schema(format = DateTime)]
    pub time: String,
    /// `files`, `start`, or who gave the order.
    pub who: String,
    pub what: String,
    /// What it was done to.
    pub subject: String,
    /// More about it. Readers get no differences of files whose texts they may not see.
    #[schema(value_type = serde_json::Value)]
    pub detail: Value,
    /// Hash of the release that was in force before, where that changed.
    pub before: Option<String>,
    /// Hash of the release that is in force since.
    pub after: Option<String>,
    /// The hash of the row before; empty at the first one.
    pub previous: String,
    /// Over everything else here, with the whole detail: `hookgate release verify` follows the chain.
    pub hash: String,
}

/// Changes, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Changes {
    pub changes: Vec<ChangeLine>,
    /// `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

impl ChangeLine {
    fn of(change: Change) -> Self {
        let Change { number, at, who, what, subject, detail, before, after, previous, hash } = change;
        let detail = serde_json::from_str(&detail).unwrap_or(Value::String(detail));
        Self { number, time: exact(at), who, what, subject, detail, before, after, previous, hash }
    }
}

impl ChangesAsked {
    fn question(&self) -> String {
        format!("{:?}", Self { cursor: None, limit: None, ..self.clone() })
    }
}

/// The releases that were in force, newest first, and before them what is on disk if it was refused.
#[utoipa::path(
    get,
    path = "/api/v1/releases",
    tag = "releases",
    responses((status = 200, description = "Fifty at most.", body = Releases), answers::Looking)
)]
pub(super) async fn list(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Releases>, Problem> {
    Ok(Json(Releases { releases: desk.releases(who.sight()).await? }))
}

/// One release with its files, findings and tests.
///
/// Readers get no text that may hold something of a call.
#[utoipa::path(
    get,
    path = "/api/v1/releases/{hash}",
    tag = "releases",
    params(("hash" = String, Path, description = "The hash, the first digits of it, `running` or `on_disk`.")),
    responses((status = 200, description = "The release.", body = ReleaseDetail), (status = 409, description = "Several releases begin with these digits, or it cannot be read.", body = answers::ProblemDocument, content_type = "application/problem+json"), answers::Finding)
)]
pub(super) async fn show(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    Named(hash): Named,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<ReleaseDetail>, Problem> {
    Ok(Json(ReleaseDetail::of(desk.release(&hash, who.sight()).await?)))
}

/// How a release differs from another one, file by file.
#[utoipa::path(
    get,
    path = "/api/v1/releases/{hash}/diff",
    tag = "releases",
    params(("hash" = String, Path, description = "The hash of the earlier one, the first digits of it, `running` or `on_disk`."), DiffAsked),
    responses((status = 200, description = "The files that differ.", body = Difference), (status = 409, description = "Several releases begin with these digits, or one cannot be read.", body = answers::ProblemDocument, content_type = "application/problem+json"), answers::Finding)
)]
pub(super) async fn diff(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    Named(hash): Named,
    Asked(asked): Asked<DiffAsked>,
) -> Result<Json<Difference>, Problem> {
    let against = asked.against.as_deref().unwrap_or("running");
    let files = desk.diff(&shown::Named::of(&hash), &shown::Named::of(against), who.sight()).await?;
    Ok(Json(Difference { files: files.into_iter().map(FileDifference::of).collect() }))
}

/// Put an earlier release in force again, and hold back what is on disk until it changes.
#[utoipa::path(
    post,
    path = "/api/v1/releases/{hash}/rollback",
    tag = "releases",
    params(("hash" = String, Path, description = "The hash of the release, or the first digits of it.")),
    responses((status = 200, description = "It is in force.", body = Rollback), answers::ChangingOne)
)]
pub(super) async fn roll_back(
    State(desk): State<Arc<Desk>>,
    who: Operator,
    Named(hash): Named,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Rollback>, Problem> {
    let done = desk.roll_back(&who, &hash).await?;
    Ok(Json(Rollback { to: done.to, before: done.before, pinned: done.pinned, kept: done.kept }))
}

/// Take what is on disk now, if it is good; a rollback ends with it.
#[utoipa::path(
    post,
    path = "/api/v1/reload",
    tag = "releases",
    responses((status = 200, description = "What is on disk is in force.", body = Reload), answers::Changing)
)]
pub(super) async fn reload(
    State(desk): State<Arc<Desk>>,
    Extension(identity): Extension<Identity>,
    who: Operator,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Reload>, Problem> {
    let reloaded = desk.reload(&who).await;
    let release = desk.status(identity.sight());
    match reloaded {
        Reloaded::Activated => Ok(Json(Reload { result: "activated", release })),
        Reloaded::Unchanged => Ok(Json(Reload { result: "unchanged", release })),
        Reloaded::Waiting => Ok(Json(Reload { result: "waiting", release })),
        Reloaded::Refused => {
            let detail = "what is on disk was refused, and the release in force stays; `findings` says why";
            Err(Problem::conflict("refused", detail).with("findings", json!(release.error)))
        }
    }
}

/// Who changed what, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/changes",
    tag = "releases",
    params(ChangesAsked),
    responses((status = 200, description = "A page.", body = Changes), answers::Looking)
)]
pub(super) async fn changes(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    Asked(asked): Asked<ChangesAsked>,
) -> Result<Json<Changes>, Problem> {
    let question = asked.question();
    let cursor = asked.cursor.as_ref().map(|text| Cursor::read(text, CHANGES, &question)).transpose()?;
    let now = desk.now();
    let query = ChangeQuery {
        who: asked.who,
        what: asked.what,
        since: asked.since.map(|when| when.millis(now)),
        until: asked.until.map(|when| when.millis(now)),
        after: cursor.map(|cursor| cursor.after),
        limit: asked.limit.map_or(PAGE, |limit| limit.0),
    };
    let page = desk.changes(query, who.sight()).await?;
    let next = page.next.map(|after| Cursor { after, turn: 0 }.text(CHANGES, &question));
    Ok(Json(Changes { changes: page.changes.into_iter().map(ChangeLine::of).collect(), next }))
}
