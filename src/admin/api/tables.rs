//! `/api/v1/tables`: lists and maps that scripts read. Their rows stay in their files.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::admin::api::answers;
use crate::admin::api::ask::{Asked, Named, Nothing};
use crate::admin::desk::Desk;
use crate::admin::desk::inventory::TableView;
use crate::admin::problem::Problem;

/// A table of the release in force.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TableLine {
    /// What scripts call it.
    pub name: String,
    /// Path below the bundle.
    pub file: String,
    /// How the file is read: `domains`, `lines`, `csv`, `json` or `toml`.
    #[schema(value_type = String)]
    pub kind: serde_json::Value,
    pub rows: usize,
    /// SHA-256 of the file, 64 hexadecimal digits.
    pub hash: String,
    /// A file with fewer rows is refused.
    pub min_rows: u64,
    /// A file that lost more than this share of the rows is refused.
    pub max_shrink_percent: u8,
}

/// Tables in the order of the configuration.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Tables {
    pub tables: Vec<TableLine>,
}

/// The tables of the release in force.
pub fn all(desk: &Desk) -> Vec<TableLine> {
    let Some(release) = desk.in_force() else { return Vec::new() };
    let line = |table: TableView<'_>| TableLine {
        name: table.name.to_owned(),
        file: table.written.file.clone(),
        kind: json!(table.written.kind),
        rows: table.rows,
        hash: table.hash.to_owned(),
        min_rows: table.written.min_rows,
        max_shrink_percent: table.written.max_shrink_percent,
    };
    release.tables().map(line).collect()
}

/// All tables of the release in force.
#[utoipa::path(
    get,
    path = "/api/v1/tables",
    tag = "gateway",
    responses((status = 200, description = "In the order of the configuration.", body = Tables), answers::Looking)
)]
pub(super) async fn tables(State(desk): State<Arc<Desk>>, Asked(Nothing {}): Asked<Nothing>) -> Json<Tables> {
    Json(Tables { tables: all(&desk) })
}

/// One table, without its rows.
#[utoipa::path(
    get,
    path = "/api/v1/tables/{name}",
    tag = "gateway",
    params(("name" = String, Path, description = "The name of the table in the configuration.")),
    responses((status = 200, description = "The table.", body = TableLine), answers::Finding)
)]
pub(super) async fn table(
    State(desk): State<Arc<Desk>>,
    Named(name): Named,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<TableLine>, Problem> {
    let found = all(&desk).into_iter().find(|table| table.name == name);
    found.map(Json).ok_or_else(|| Problem::not_found("the release in force has no table of this name"))
}
