//! What the running release consists of: routes and tables.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::Response;
use maud::{Markup, html};

use crate::admin::access::Identity;
use crate::admin::desk::Desk;
use crate::admin::desk::inventory::{InForce, TableView};
use crate::admin::viewer;
use crate::admin::viewer::layout;
use crate::admin::viewer::layout::Here;
use crate::admin::viewer::parts;
use hookgate_engine::release::{EventRules, Plan, Route};

pub(super) struct RouteLine {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) hook: String,
    pub(super) auth: Vec<String>,
    /// The script, or each rule with its script and the types of events that it wants.
    pub(super) runs: Vec<Runs>,
    /// Calls of it are kept with their decision.
    pub(super) captured: bool,
    pub(super) deadline_ms: u64,
}

pub(super) struct Runs {
    pub(super) rule: Option<String>,
    pub(super) script: String,
    pub(super) wants: Vec<String>,
}

pub(super) struct TableLine {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) rows: u64,
    pub(super) file: String,
    pub(super) hash: String,
}

pub(super) async fn get_routes(State(desk): State<Arc<Desk>>, Extension(who): Extension<Identity>) -> Response {
    let release = desk.in_force();
    let lines: Vec<RouteLine> =
        release.iter().flat_map(|release| release.routes().iter().map(|route| route_line(release, route))).collect();
    layout::page(&viewer::seen(&desk, &who), Here::Routes, "Routes", &routes(&lines))
}

fn route_line(release: &InForce, route: &Route) -> RouteLine {
    let written = release.written(&route.name);
    let runs = match &route.plan {
        Plan::Inline(inline) => vec![Runs { rule: None, script: inline.script.file().to_owned(), wants: Vec::new() }],
        Plan::Events(EventRules { rules, .. }) => {
            let runs = |rule: &hookgate_engine::release::Rule| Runs {
                rule: Some(rule.name.clone()),
                script: rule.script.file().to_owned(),
                wants: rule.wanted.types().to_vec(),
            };
            rules.iter().map(runs).collect()
        }
    };
    RouteLine {
        name: route.name.clone(),
        path: route.path.clone(),
        hook: route.hook.name.to_owned(),
        auth: written.map(|written| written.auth.shown()).unwrap_or_default(),
        runs,
        captured: written.is_some_and(|written| written.capture.wanted().is_some()),
        deadline_ms: route.limits.deadline_ms,
    }
}

pub(super) async fn get_tables(State(desk): State<Arc<Desk>>, Extension(who): Extension<Identity>) -> Response {
    let release = desk.in_force();
    let lines: Vec<TableLine> = release.iter().flat_map(|release| release.tables().map(table_line)).collect();
    layout::page(&viewer::seen(&desk, &who), Here::Tables, "Tables", &tables(&lines))
}

fn table_line(table: TableView<'_>) -> TableLine {
    TableLine {
        rows: table.rows as u64,
        kind: format!("{:?}", table.written.kind).to_lowercase(),
        file: table.written.file.clone(),
        hash: table.hash.to_owned(),
        name: table.name.to_owned(),
    }
}

pub(super) fn routes(routes: &[RouteLine]) -> Markup {
    html! {
        div.top { h1 { "Routes" } p.dim { "As the running release has them." } }
        section.table {
            @if routes.is_empty() { (parts::empty("No route", &html! { "gateway.toml has none. An example with one of each:" }, Some("hookgate init"))) }
            @else { table.rows {
                thead { tr {
                    th scope="col" { "Name" } th scope="col" { "Path" } th scope="col" { "Hook" } th scope="col" { "Runs" }
                    th scope="col" { "Who may call" } th scope="col" { "Calls kept" } th.num scope="col" { "Deadline" }
                } }
                tbody { @for route in routes { (route_row(route)) } }
            } }
        }
    }
}

fn route_row(route: &RouteLine) -> Markup {
    html! {
        tr {
            td { a href=(parts::address("/", &[("route", &route.name)])) { (parts::text(&route.name)) } }
            td { code { (parts::text(&route.path)) } }
            td { (parts::text(&route.hook)) }
            td.full { @for runs in &route.runs {
                div {
                    @if let Some(rule) = &runs.rule { (parts::text(rule)) ": " }
                    code { (parts::text(&runs.script)) }
                    @if !runs.wants.is_empty() { " " span.dim { "on " (parts::text(&runs.wants.join(", "))) } }
                }
            } }
            td data-name="Auth" { (parts::text(&route.auth.join(", "))) }
            td data-name="Captured" { @if route.captured { "yes" } @else { "no" } }
            td.num data-name="Deadline" { (parts::span(route.deadline_ms * 1_000)) }
        }
    }
}

pub(super) fn tables(tables: &[TableLine]) -> Markup {
    html! {
        div.top { h1 { "Tables" } p.dim { "Lists that scripts read, as the running release has them." } }
        section.table {
            @if tables.is_empty() {
                (parts::empty("No table", &html! { "A table is a file that scripts look things up in. In gateway.toml:" }, Some("[tables.disposable]\nfile = \"tables/disposable.txt\"\nkind = \"domains\"")))
            } @else { table.rows {
                thead { tr { th scope="col" { "Name" } th scope="col" { "Kind" } th.num scope="col" { "Rows" } th scope="col" { "File" } th scope="col" { "Hash" } } }
                tbody { @for table in tables {
                    tr {
                        td { (parts::text(&table.name)) }
                        td { (parts::text(&table.kind)) }
                        td.num data-name="Rows" { (parts::number(table.rows)) }
                        td.full { code { (parts::text(&table.file)) } }
                        td data-name="Hash" { code { (parts::text(&parts::cut(&table.hash, 12))) } }
                    }
                } }
            } }
        }
    }
}
