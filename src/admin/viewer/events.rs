//! Events: what was kept, what became of it, every try.

use std::sync::Arc;

use axum::extract::{Extension, Path, RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use crate::admin::access::sight::Disclosure;
use crate::admin::access::{Identity, Role};
use crate::admin::desk::Desk;
use crate::admin::desk::events::{EventView, JobView};
use crate::admin::problem::Problem;
use crate::admin::viewer;
use crate::admin::viewer::fields::Fields;
use crate::admin::viewer::layout;
use crate::admin::viewer::layout::Here;
use crate::admin::viewer::parts;
use crate::admin::viewer::tree;
use hookgate_engine::release::Plan;
use hookgate_store::Page;
use hookgate_store::{Attempt, EventLine, EventRef, Flags, JobKind, JobState, Millis, Query};

/// What somebody asked for, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) route: String,
    pub(super) state: String,
    pub(super) kind: String,
    pub(super) connector: String,
    pub(super) since: String,
    pub(super) until: String,
    pub(super) cursor: String,
}

impl Asked {
    pub(super) fn of(fields: &Fields) -> Self {
        let text = |name: &str| fields.get(name).to_owned();
        Self {
            route: text("route"),
            state: text("state"),
            kind: text("type"),
            connector: text("connector"),
            since: text("since"),
            until: text("until"),
            cursor: text("cursor"),
        }
    }

    /// Without the place in the list.
    pub(super) fn pairs(&self) -> [(&'static str, &str); 6] {
        [
            ("route", &self.route),
            ("state", &self.state),
            ("type", &self.kind),
            ("connector", &self.connector),
            ("since", &self.since),
            ("until", &self.until),
        ]
    }

    pub(super) fn is_filtered(&self) -> bool {
        self.pairs().iter().any(|(_, value)| !value.is_empty())
    }

    pub(super) fn at(&self, path: &str, cursor: &str) -> String {
        let mut pairs = self.pairs().to_vec();
        pairs.push(("cursor", cursor));
        parts::address(path, &pairs)
    }
}

/// What a list of events is shown with.
pub(super) struct View<'a> {
    pub(super) asked: &'a Asked,
    pub(super) events: &'a [EventLine],
    pub(super) next: Option<String>,
    pub(super) routes: Vec<String>,
    pub(super) connectors: Vec<String>,
    pub(super) problem: Option<String>,
    /// A hook whose calls bring events and that a route has.
    pub(super) hook: Option<String>,
}

/// What a form asks for.
///
/// # Errors
/// What of it makes no sense.
pub(super) fn wanted(fields: &Fields, now: Millis) -> Result<Query, String> {
    let state = match fields.get("state") {
        "" => None,
        name => {
            let state = JobState::ALL.into_iter().find(|state| state.name() == name);
            Some(state.ok_or_else(|| format!("`{name}` is no state of a job"))?)
        }
    };
    Ok(Query {
        route: fields.some("route"),
        rule: fields.some("rule"),
        connector: fields.some("connector"),
        state,
        kind: fields.some("type"),
        since: fields.time("since", now)?,
        until: fields.time("until", now)?,
        after: fields.cursor()?,
        limit: 0,
    })
}

pub(super) async fn get(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_query(query.as_deref());
    let query = wanted(&fields, desk.now());
    match list(&desk, &fields, query, "/events", body).await {
        Ok(body) => layout::page(&viewer::seen(&desk, &who), Here::Events, "Events", &body),
        Err(problem) => viewer::failed(&desk, &who, Here::Events, &problem),
    }
}

/// Reads a page of events and draws it.
pub(super) async fn list(
    desk: &Desk,
    fields: &Fields,
    query: Result<Query, String>,
    path: &str,
    draw: impl FnOnce(&View<'_>) -> Markup,
) -> Result<Markup, Problem> {
    let asked = Asked::of(fields);
    let (page, problem) = match query {
        Ok(query) => (desk.events(query).await?, None),
        Err(problem) => (Page::default(), Some(problem)),
    };
    let release = desk.in_force();
    let routes = release.iter().flat_map(|release| release.routes());
    let hook =
        routes.clone().find(|route| matches!(route.plan, Plan::Events(_))).map(|route| route.hook.name.to_owned());
    let connectors = release.iter().flat_map(|release| release.connectors().cloned());
    Ok(draw(&View {
        events: &page.events,
        next: page.next.map(|next| asked.at(path, &next.to_string())),
        asked: &asked,
        routes: routes.map(|route| route.name.clone()).collect(),
        connectors: connectors.collect(),
        problem,
        hook,
    }))
}

pub(super) async fn get_one(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    Path(id): Path<String>,
) -> Response {
    let which = match id.parse() {
        Ok(number) => EventRef::Id(number),
        Err(_) => EventRef::Key(id),
    };
    match desk.event(which, who.sight()).await {
        Ok(Some(event)) => {
            let title = format!("Event {}", event.line.id);
            layout::page(&viewer::seen(&desk, &who), Here::Events, &title, &one(&event, who.role))
        }
        Ok(None) => {
            let problem = Problem::not_found("no event of this number or id is kept: it is wrong, or it was removed");
            viewer::failed(&desk, &who, Here::Events, &problem)
        }
        Err(error) => viewer::failed(&desk, &who, Here::Events, &Problem::from(error)),
    }
}

pub(super) fn body(view: &View) -> Markup {
    html! {
        div.top { h1 { "Events" } p.dim { "Kept before they are acknowledged, then worked on until everything has ended." } }
        (filters(view, EventList::Events))
        @if let Some(problem) = &view.problem { p.badge.warn role="alert" { (parts::text(problem)) } }
        section.table {
            @if view.events.is_empty() { (nothing(view)) } @else { (table(view.events, Boxes::Without)) }
        }
        (parts::more(view.next.clone()))
    }
}

/// Which list of events a page shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EventList {
    Events,
    DeadLetters,
}

/// Whether the rows of a list can be chosen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Boxes {
    With,
    Without,
}

/// The form above a list of events. All jobs of dead letters are in one state.
pub(super) fn filters(view: &View, listed: EventList) -> Markup {
    let asked = view.asked;
    let path = match listed {
        EventList::Events => "/events",
        EventList::DeadLetters => "/dead-letters",
    };
    let states: Vec<String> = JobState::ALL.map(|state| state.name().to_owned()).to_vec();
    html! {
        form.filters method="get" action=(path) role="search" {
            label.grow { span { "Type" } input type="search" name="type" value=(asked.kind) data-key-search="" autocomplete="off"
                placeholder="user.session.start or user.session.*"; }
            (parts::choice("route", "Route", "All", &asked.route, &view.routes))
            @if listed == EventList::Events { (parts::choice("state", "With a job that is", "Any", &asked.state, &states)) }
            (parts::choice("connector", "Connector", "All", &asked.connector, &view.connectors))
            label { span { "Since" } input name="since" value=(asked.since) size="12" placeholder="2h or a time" autocomplete="off"; }
            label { span { "Until" } input name="until" value=(asked.until) size="12" placeholder="15m or a time" autocomplete="off"; }
            button.main type="submit" { "Search" }
            @if asked.is_filtered() { a href=(path) { "Clear" } }
        }
    }
}

/// Events as rows.
pub(super) fn table(events: &[EventLine], boxes: Boxes) -> Markup {
    html! {
        table.rows {
            thead { tr {
                @if boxes == Boxes::With { th scope="col" { input type="checkbox" data-all="event" aria-label="Choose all on this page"; } }
                th scope="col" { "Received" } th scope="col" { "Type" } th scope="col" { "Route" }
                th scope="col" { "Provider's id" } th scope="col" { "Jobs" }
            } }
            tbody { @for event in events {
                tr {
                    @if boxes == Boxes::With { td { input type="checkbox" name="event" value=(event.id) aria-label={ "Choose event " (event.id) }; } }
                    td.tight { (parts::clock(event.received)) }
                    td { a href={ "/events/" (event.id) } { (kind(event)) } (flags(event.flags)) }
                    td { (parts::text(&event.route)) }
                    td { code { (parts::text(&parts::cut(&event.key, 60))) } }
                    td.full { (jobs(event)) }
                }
            } }
        }
    }
}

fn kind(event: &EventLine) -> Markup {
    if event.kind.is_empty() {
        html! { "(cannot be read)" }
    } else {
        parts::text(&parts::cut(&event.kind, 100))
    }
}

fn flags(flags: Flags) -> Markup {
    let known = [
        (flags.preview, "preview"),
        (flags.clock_skew, "from the future"),
        (flags.no_id, "no id"),
        (flags.missed, "found in the log"),
        (flags.call, "answered call"),
        (flags.own, "our own doing"),
    ];
    html! { @for (_, name) in known.iter().filter(|(is, _)| *is) { " " span.badge { (name) } } }
}

fn jobs(event: &EventLine) -> Markup {
    html! {
        @if event.jobs.is_empty() { span.dim { @if event.problem.is_some() && event.kind.is_empty() { "cannot be read" } @else { "no rule wants it" } } }
        @for (state, count) in &event.jobs { (parts::badge(state.name())) " " (parts::number(*count)) " " }
    }
}

fn nothing(view: &View) -> Markup {
    if view.asked.is_filtered() {
        let next = html! { "Nothing that is kept matches. " a href="/events" { "Show all events" } "." };
        return parts::empty("No such event", &next, None);
    }
    match &view.hook {
        Some(hook) => parts::empty(
            "No event yet",
            &html! { "Events appear here once the provider delivers some. Be the provider and send a few:" },
            Some(&format!("hookgate simulate {hook} --batch 3")),
        ),
        None => parts::empty(
            "No route takes events",
            &html! { "A route whose hook brings events has rules, each with a script. How to write one:" },
            Some("hookgate docs"),
        ),
    }
}

/// The page of one event.
pub(super) fn one(whole: &EventView, role: Role) -> Markup {
    let event = &whole.line;
    let dead = event.jobs.get(&JobState::Dead).copied().unwrap_or_default();
    html! {
        p.trail { a href="/events" { "Events" } " / " (event.id) }
        h1 { (kind(event)) (flags(event.flags)) }
        p.sub { "Received " (parts::moment(event.received)) " by route " (parts::text(&event.route)) " · " (jobs(event)) }
        @if let Some(problem) = &event.problem { p.badge.warn { (parts::text(problem)) } }
        @if role == Role::Operator { (buttons(event.id, dead)) }
        section { h2 { "Jobs" }
            @if whole.jobs.is_empty() { p.dim { "None: nothing is to be done for it." } }
            @for job in &whole.jobs { (job_shown(job)) }
        }
        (content(whole))
        section { h2 { "Names and numbers" } (parts::facts(&[
            ("Our number", Some(html! { (event.id) })),
            ("Provider's id", Some(parts::id(&event.key))),
            ("Published", event.published.map(parts::moment)),
            ("Decisions", Some(html! { a href=(parts::address("/", &[("find", &event.key)])) { "What its rules decided" } })),
        ])) }
    }
}

/// The way to the pages that say what will happen and ask.
fn buttons(id: i64, dead: u64) -> Markup {
    html! {
        div.buttons {
            @if dead > 0 { a.button href={ "/dead-letters/replay?event=" (id) } { "Run its dead jobs again…" } }
            a.button href={ "/dead-letters/replay?force=1&event=" (id) } { "Run all of it again…" }
            a.button href={ "/dead-letters/purge?event=" (id) } { "Remove…" }
        }
        br;
    }
}

fn job_shown(JobView { line: job, action }: &JobView) -> Markup {
    html! {
        h3 {
            (parts::badge(job.state.name())) " "
            @match job.kind { JobKind::Rule => "Rule ", JobKind::Action => "Action " }
            (parts::text(&job.name)) " " span.dim { (parts::text(&job.lane)) }
        }
        p.dim {
            "Job " (job.id)
            @if let Some(parent) = job.parent { ", asked for by job " (parent) }
            ", " (parts::counted(u64::from(job.attempts), "try").replace("trys", "tries"))
            @if job.replay > 0 { ", replayed " (parts::counted(u64::from(job.replay), "time")) }
            @if let Some(due) = job.due { ", due " (parts::moment(due)) }
            @if job.doubt { ". " strong { "An earlier try has no recorded end: what it wanted may have happened." } }
        }
        @if let Some(note) = &job.note { p { (parts::text(note)) } }
        @if !job.tries.is_empty() { (tries(&job.tries)) }
        @match action {
            Disclosure::Shown(body) if body.is_empty() => {},
            Disclosure::Shown(body) => details { summary { "What it does" } (json(body)) },
            Disclosure::Withheld(withheld) => details { summary { "What it does" } (viewer::withheld(*withheld)) },
        }
    }
}

fn tries(tries: &[Attempt]) -> Markup {
    html! {
        table.rows {
            thead { tr { th scope="col" { "Try" } th scope="col" { "Result" } th.num scope="col" { "Took" } th scope="col" { "Said" } } }
            tbody { @for one in tries {
                tr {
                    td.tight { (parts::clock(one.started)) }
                    td { (parts::badge(&one.result)) @if let Some(status) = one.status { " " (status) } }
                    td.num { (parts::age(one.took_ms)) }
                    td.full { (parts::long(&one.detail)) }
                }
            } }
        }
    }
}

fn content(event: &EventView) -> Markup {
    html! {
        section { h2 { "As it was sent" }
            @match &event.body {
                Disclosure::Shown(body) if body.is_empty() => p.dim { "Not kept: answered calls may hold passwords." },
                Disclosure::Shown(body) => (json(body)),
                Disclosure::Withheld(withheld) => (viewer::withheld(*withheld)),
            }
            @match &event.envelope {
                Disclosure::Shown(envelope) if envelope.is_empty() => {},
                Disclosure::Shown(envelope) => details { summary { "What it came in" } (json(envelope.as_bytes())) },
                Disclosure::Withheld(withheld) => details { summary { "What it came in" } (viewer::withheld(*withheld)) },
            }
        }
    }
}

/// A body as a tree, or as it is if it is no JSON.
fn json(body: &[u8]) -> Markup {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => tree::tree(&value, &|_| false),
        Err(_) => html! { p { (parts::long(&String::from_utf8_lossy(body))) } },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::access::sight::{ContentKind, PerRole, Sight};
    use hookgate_store::Dossier;

    fn dossier() -> Dossier {
        let event = EventLine {
            id: 7,
            route: "org".to_owned(),
            key: "k<1>".to_owned(),
            kind: "user.created".to_owned(),
            published: None,
            received: 0,
            flags: Flags { missed: true, ..Flags::default() },
            problem: None,
            jobs: [(JobState::Dead, 1)].into(),
        };
        Dossier { event, envelope: String::new(), body: "{\"a\":\"CANARY\"}".into(), jobs: Vec::new() }
    }

    fn page(role: fn(&PerRole<String>) -> &String) -> String {
        let role_of = |sight: Sight| if sight.sees(ContentKind::Event) { Role::Operator } else { Role::Reader };
        let page = |sight| one(&EventView::of(dossier(), sight), role_of(sight)).into_string();
        role(&PerRole::make(page)).clone()
    }

    #[test]
    fn readers_see_neither_buttons_nor_content() {
        let operator = page(PerRole::operator);
        assert!(operator.contains("CANARY") && operator.contains("/dead-letters/replay?event=7"), "{operator}");
        let reader = page(PerRole::reader);
        assert!(!reader.contains("CANARY") && !reader.contains("button"), "{reader}");
        assert!(reader.contains("Only an operator may see this (14 bytes)."), "{reader}");
        assert!(reader.contains("found in the log") && reader.contains("k&lt;1&gt;"), "{reader}");
    }

    #[test]
    fn what_is_no_json_is_shown_as_text() {
        assert!(json(b"<a \xff").into_string().contains("&lt;a \u{fffd}"));
    }
}
