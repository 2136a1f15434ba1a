//! The first page: calls as they happen, and the search through all that are kept.

use std::sync::Arc;

use axum::extract::{Extension, RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};

use crate::admin::access::Identity;
use crate::admin::api::decisions;
use crate::admin::api::decisions::{DecisionLine, Decisions, DecisionsAsked};
use crate::admin::desk::Desk;
use crate::admin::problem::Problem;
use crate::admin::viewer;
use crate::admin::viewer::fields::Fields;
use crate::admin::viewer::layout;
use crate::admin::viewer::layout::Here;
use crate::admin::viewer::parts;
use hookgate_model::decision::Record;

/// What somebody asked for, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) route: String,
    pub(super) outcome: String,
    pub(super) find: String,
    pub(super) since: String,
    pub(super) until: String,
    pub(super) cursor: String,
}

pub(super) struct View<'a> {
    pub(super) asked: &'a Asked,
    pub(super) page: &'a Decisions,
    /// For the rest of the list.
    pub(super) next: Option<String>,
    pub(super) routes: Vec<String>,
    /// What of the question makes no sense, for whoever asked.
    pub(super) problem: Option<String>,
    /// Decisions that were not kept because there were too many, since the start.
    pub(super) dropped: u64,
    /// A call that can be made right away: a hook that a route has.
    pub(super) hook: Option<String>,
}

/// Outcomes that a filter offers.
const OUTCOMES: &[&str] =
    &["failed", "refused", "denied", "allowed", "changed", "unchanged", "verified", "unverified", "acted", "nothing"];

impl Asked {
    /// Whether it is the newest of all that is shown, so that new ones belong above.
    fn is_live(&self) -> bool {
        self.cursor.is_empty() && self.since.is_empty() && self.until.is_empty()
    }

    fn is_filtered(&self) -> bool {
        *self != Self::default()
    }

    /// The address of the same question at another place of the list.
    pub(super) fn at(&self, cursor: &str) -> String {
        parts::address(
            "/",
            &[
                ("route", &self.route),
                ("outcome", &self.outcome),
                ("find", &self.find),
                ("since", &self.since),
                ("until", &self.until),
                ("cursor", cursor),
            ],
        )
    }
}

pub(super) async fn get(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_query(query.as_deref());
    let text = |name: &str| fields.get(name).to_owned();
    let asked = Asked {
        route: text("route"),
        outcome: text("outcome"),
        find: text("find"),
        since: text("since"),
        until: text("until"),
        cursor: text("cursor"),
    };
    let found = match wanted(&fields) {
        Ok(wanted) => decisions::page(&desk, &wanted, who.sight()).await,
        Err(problem) => Err(Problem::bad_request("bad-parameter", problem)),
    };
    let (page, problem) = match found {
        Ok(page) => (page, None),
        Err(problem) if problem.status().is_client_error() => (Decisions::default(), Some(problem.detail().to_owned())),
        Err(problem) => return viewer::failed(&desk, &who, Here::Calls, &problem),
    };
    let hook = desk.in_force().and_then(|release| release.routes().first().map(|route| route.hook.name.to_owned()));
    let view = View {
        next: page.next.as_ref().map(|next| asked.at(next)),
        asked: &asked,
        page: &page,
        routes: viewer::routes(&desk),
        problem,
        dropped: dropped(&desk),
        hook,
    };
    layout::page(&viewer::seen(&desk, &who), Here::Calls, "Calls", &body(&view))
}

/// Decisions that were made and are not kept, since the start.
fn dropped(desk: &Desk) -> u64 {
    desk.recorded().iter().filter(|(word, _)| *word != "kept").map(|(_, count)| count).sum()
}

/// # Errors
/// A time that is none.
fn wanted(fields: &Fields) -> Result<DecisionsAsked, String> {
    Ok(DecisionsAsked {
        route: fields.some("route"),
        outcome: fields.some("outcome"),
        find: fields.some("find"),
        since: fields.when("since")?,
        until: fields.when("until")?,
        cursor: fields.some("cursor"),
        ..DecisionsAsked::default()
    })
}

pub(super) fn body(view: &View) -> Markup {
    let asked = view.asked;
    html! {
        div.top {
            h1 { "Calls" }
            @if asked.is_live() {
                p.live {
                    span.dot id="live-dot" {}
                    span id="live-state" { "Newest first" }
                    button id="pause" type="button" aria-pressed="false" hidden { "Pause" }
                }
            } @else { p.live { a href="/" { "Back to live" } } }
        }
        (filters(view))
        p.dim id="live-news" role="status" aria-live="polite" {}
        @if view.dropped > 0 {
            p.badge.warn { (parts::counted(view.dropped, "decision"))
                " not kept since the start: more happened in a second than [store] decisions_per_second allows. The calls were answered." }
        }
        // The script of the page puts another answer in its place while somebody writes.
        div id="found" {
            @if let Some(problem) = &view.problem { p.badge.warn role="alert" { (parts::text(problem)) } }
            (rows(view))
            (parts::more(view.next.clone()))
        }
        template id="row" { (row(&DecisionLine::of(&Record::default()))) }
        ul id="tones" hidden { @for outcome in OUTCOMES { li data-word=(outcome) data-tone=(parts::tone(outcome)) {} } }
    }
}

fn filters(view: &View) -> Markup {
    let asked = view.asked;
    let outcomes: Vec<String> = OUTCOMES.iter().map(|&outcome| outcome.to_owned()).collect();
    html! {
        form.filters id="filters" method="get" action="/" role="search" {
            label.grow { span { "Search" }
                input type="search" name="find" value=(asked.find) data-key-search="" autocomplete="off" spellcheck="false"
                    placeholder="E-mail, login, id, route, reason, or a part of one"; }
            (parts::choice("route", "Route", "All", &asked.route, &view.routes))
            (parts::choice("outcome", "Outcome", "All", &asked.outcome, &outcomes))
            label { span { "Since" } input name="since" value=(asked.since) size="12" placeholder="2h or a time" autocomplete="off"; }
            label { span { "Until" } input name="until" value=(asked.until) size="12" placeholder="15m or a time" autocomplete="off"; }
            button.main type="submit" { "Search" }
            @if asked.is_filtered() { a href="/" { "Clear" } }
        }
    }
}

fn rows(view: &View) -> Markup {
    let none = view.page.decisions.is_empty();
    html! {
        section.table {
            @if none { div id="nothing" { (nothing(view)) } }
            // The script of the page adds rows where new ones belong.
            table.rows id=[view.asked.is_live().then_some("calls")] hidden[none] {
                thead { tr {
                    th scope="col" { "Time" } th scope="col" { "Outcome" } th scope="col" { "Route" }
                    th scope="col" { "Who" } th scope="col" { "Why" } th.num scope="col" { "Took" }
                } }
                tbody { @for line in &view.page.decisions { (row(line)) } }
            }
        }
    }
}

/// A row of the list. The script of the page fills the same slots from the same members.
fn row(line: &DecisionLine) -> Markup {
    let who = line.subject.login.as_deref().or(line.subject.id.as_deref()).unwrap_or_default();
    html! {
        tr data-id=(line.id) {
            td.tight { (parts::clock_slot(&line.time)) }
            td { span class={ "badge " (parts::tone(&line.outcome)) } data-slot="outcome" { (parts::text(&line.outcome)) } }
            td data-slot="route" { (parts::text(&place(line))) }
            td data-slot="who" { (parts::text(&parts::cut(who, 80))) }
            td.full { a data-slot="why" href={ "/decisions/" (parts::segment(&line.id)) } { (parts::text(&parts::cut(&line.headline, 200))) } }
            td.num data-slot="took" { (parts::span(line.total_us)) }
        }
    }
}

fn place(line: &DecisionLine) -> String {
    match &line.rule {
        Some(rule) => format!("{} / {rule}", line.route),
        None if line.route.is_empty() => "—".to_owned(),
        None => line.route.clone(),
    }
}

fn nothing(view: &View) -> Markup {
    if view.asked.is_filtered() {
        let next = html! {
            "Nothing matches. Whole ids and addresses are looked for in all that is kept, parts of them in ten thousand calls at a time; "
            a href="/" { "show all calls" } "."
        };
        return parts::empty("No such call", &next, None);
    }
    match &view.hook {
        Some(hook) => parts::empty(
            "No call yet",
            &html! { "Calls appear here as they happen. Be the provider and make one:" },
            Some(&format!("hookgate simulate {hook}")),
        ),
        None => parts::empty(
            "No route yet",
            &html! { "gateway.toml has no route. See what a hook needs:" },
            Some("hookgate docs"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookgate_model::decision::{Failure, Subject, outcome};

    fn view<'a>(asked: &'a Asked, page: &'a Decisions) -> View<'a> {
        let hook = Some("acme.token".to_owned());
        View { asked, page, next: None, routes: vec!["signup".to_owned()], problem: None, dropped: 0, hook }
    }

    #[test]
    fn an_empty_list_says_what_to_do() {
        let page = body(&view(&Asked::default(), &Decisions::default())).into_string();
        assert!(page.contains("hookgate simulate acme.token"), "{page}");
        let asked = Asked { find: "ann@example.com".to_owned(), ..Asked::default() };
        let page = body(&view(&asked, &Decisions::default())).into_string();
        assert!(page.contains("No such call") && !page.contains("simulate"), "{page}");
    }

    #[test]
    fn a_row_shows_who_and_why_and_leads_to_the_call() {
        let record = Record {
            id: "d/1".to_owned(),
            route: "signup".to_owned(),
            outcome: outcome::FAILED.to_owned(),
            subject: Subject { id: None, login: Some("<b>\u{202e}".to_owned()) },
            failure: Some(Failure {
                reason: "timeout".to_owned(),
                text: "it took too long".to_owned(),
                ..Failure::default()
            }),
            ..Record::default()
        };
        let row = row(&DecisionLine::of(&record)).into_string();
        for part in [
            "/decisions/d%2F1",
            "failed, so the declared answer was given: it took too long",
            "&lt;b&gt;",
            r"\u{202e}</span>",
        ] {
            assert!(row.contains(part), "{part} is not in {row}");
        }
    }

    #[test]
    fn the_rest_of_a_list_keeps_the_question() {
        let asked = Asked { route: "a b".to_owned(), outcome: "failed".to_owned(), ..Asked::default() };
        assert_eq!(asked.at("7"), "/?route=a+b&outcome=failed&cursor=7");
    }
}
