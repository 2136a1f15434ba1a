//! The log of changes: who did what, and whether the log is whole.

use std::sync::Arc;

use axum::extract::{Extension, RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};

use crate::admin::access::Identity;
use crate::admin::desk::Desk;
use crate::admin::problem::Problem;
use crate::admin::viewer;
use crate::admin::viewer::fields::Fields;
use crate::admin::viewer::layout;
use crate::admin::viewer::layout::Here;
use crate::admin::viewer::parts;
use hookgate_store::archive::{Change, ChangeQuery, Verified};

pub(super) async fn get(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_query(query.as_deref());
    let asked = async {
        let after = fields.cursor().map_err(|problem| Problem::bad_request("cursor", problem))?;
        let page = desk.changes(ChangeQuery { after, ..ChangeQuery::default() }, who.sight()).await?;
        // The whole chain is followed only where somebody begins to read.
        let whole = if after.is_none() { Some(desk.verify_changes().await?) } else { None };
        Ok::<_, Problem>((page, whole))
    };
    match asked.await {
        Ok((page, whole)) => {
            let next = page.next.map(|next| parts::address("/changes", &[("cursor", &next.to_string())]));
            layout::page(
                &viewer::seen(&desk, &who),
                Here::Changes,
                "Changes",
                &body(&page.changes, next, whole.as_ref()),
            )
        }
        Err(problem) => viewer::failed(&desk, &who, Here::Changes, &problem),
    }
}

pub(super) fn body(lines: &[Change], next: Option<String>, whole: Option<&Verified>) -> Markup {
    html! {
        div.top {
            h1 { "Changes" }
            @if let Some(whole) = whole {
                @match &whole.wrong {
                    None => p { span.badge.good { "whole" } " No row was edited or taken out." },
                    Some(wrong) => p role="alert" { span.badge.bad { "not whole" } " Row " (wrong.number) " " (parts::text(&wrong.why)) "." },
                }
            }
        }
        section.table {
            @if lines.is_empty() { (parts::empty("No change yet", &html! { "Releases, replays, removals and rollbacks are told here, with who did them." }, None)) }
            @else { table.rows {
                thead { tr {
                    th.num scope="col" { "No." } th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" }
                    th scope="col" { "To what" } th scope="col" { "From → to" }
                } }
                tbody { @for line in lines { (row(line)) } }
            } }
        }
        (parts::more(next))
    }
}

fn row(line: &Change) -> Markup {
    let release = |hash: &Option<String>| {
        html! {
            @match hash.as_deref() {
                Some(hash) if is_hash(hash) => a href={ "/releases/" (hash) } { code { (parts::cut(hash, 12).trim_end_matches('…')) } },
                Some(other) => (parts::text(other)),
                None => "—",
            }
        }
    };
    html! {
        tr {
            td.num { (line.number) }
            td.tight { (parts::moment(line.at)) }
            td data-name="by" { (parts::text(&line.who)) }
            td { strong { (parts::text(&line.what)) } }
            td { (subject(&line.subject)) }
            td.full { @if line.before.is_some() || line.after.is_some() { (release(&line.before)) " → " (release(&line.after)) } }
        }
    }
}

fn subject(subject: &str) -> Markup {
    if is_hash(subject) {
        return html! { a href={ "/releases/" (subject) } { code { (&subject[..12]) } } };
    }
    html! { (parts::text(&parts::cut(subject, 80))) }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
