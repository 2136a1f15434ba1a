//! Dead letters, and the pages that say what replaying or removing would do before it is done.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::json;

use crate::admin::access::{Identity, Role};
use crate::admin::desk::Desk;
use crate::admin::desk::orders::{Done, Forecast, Meant, Order};
use crate::admin::problem::Problem;
use crate::admin::viewer;
use crate::admin::viewer::events;
use crate::admin::viewer::events::{Boxes, EventList};
use crate::admin::viewer::fields::Fields;
use crate::admin::viewer::layout;
use crate::admin::viewer::layout::Here;
use crate::admin::viewer::parts;
use hookgate_store::{EventRef, JobState, Query};

/// Types that are named before something is done with events.
const TYPES: usize = 10;

pub(super) async fn get(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_query(query.as_deref());
    let query = events::wanted(&fields, desk.now());
    let query = query.map(|query| Query { state: Some(JobState::Dead), ..query });
    match events::list(&desk, &fields, query, "/dead-letters", |view| body(view, who.role)).await {
        Ok(body) => layout::page(&viewer::seen(&desk, &who), Here::DeadLetters, "Dead letters", &body),
        Err(problem) => viewer::failed(&desk, &who, Here::DeadLetters, &problem),
    }
}

pub(super) async fn ask_replay(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_query(query.as_deref());
    let deed = if fields.get("force").is_empty() { Deed::Replay } else { Deed::ReplayAll };
    ask(&desk, &who, &fields, deed).await
}

pub(super) async fn ask_purge(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_query(query.as_deref());
    let deed = if fields.all("event").next().is_some() { Deed::Purge } else { Deed::PurgeDead };
    ask(&desk, &who, &fields, deed).await
}

pub(super) async fn replay(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    form: Bytes,
) -> Response {
    let fields = Fields::of(&form);
    let deed = if fields.get("force").is_empty() { Deed::Replay } else { Deed::ReplayAll };
    act(&desk, &who, &fields, deed).await
}

pub(super) async fn purge(State(desk): State<Arc<Desk>>, Extension(who): Extension<Identity>, form: Bytes) -> Response {
    let fields = Fields::of(&form);
    let deed = if fields.all("event").next().is_some() { Deed::Purge } else { Deed::PurgeDead };
    act(&desk, &who, &fields, deed).await
}

/// Which events are meant: those that are named, or, where the form says `all`, all dead letters that match.
///
/// # Errors
/// What of the form makes no sense; nothing was chosen.
fn meant(fields: &Fields, desk: &Desk) -> Result<Meant, String> {
    if let Some(events) = named(fields)? {
        return Ok(Meant::Named(events));
    }
    let query = events::wanted(fields, desk.now())?;
    Ok(Meant::Query(Box::new(Query { state: Some(JobState::Dead), after: None, ..query })))
}

/// The events that are named; nothing where the form means all that match.
fn named(fields: &Fields) -> Result<Option<Vec<EventRef>>, String> {
    let events: Vec<EventRef> = fields
        .all("event")
        .map(|id| id.parse().map(EventRef::Id))
        .collect::<Result<_, _>>()
        .map_err(|_| "an event is named by its number".to_owned())?;
    match (events.is_empty(), !fields.get("all").is_empty()) {
        (false, false) => Ok(Some(events)),
        (true, true) => Ok(None),
        (true, false) => Err("no event is chosen, so nothing was done: tick some, or take all that match".to_owned()),
        (false, true) => Err("events are chosen one by one, or it is all that match: not both".to_owned()),
    }
}

fn bad(detail: String) -> Problem {
    Problem::bad_request("bad-form", detail)
}

/// Says what will happen, and asks.
async fn ask(desk: &Desk, who: &Identity, fields: &Fields, deed: Deed) -> Response {
    let Some(operator) = who.operator() else {
        return viewer::failed(desk, who, Here::DeadLetters, &Problem::role());
    };
    let planned = async {
        let meant = meant(fields, desk).map_err(bad)?;
        desk.forecast(&operator, deed.order(), &meant).await.map_err(Problem::from)
    };
    match planned.await {
        Ok(plan) => {
            let body = confirm(deed, &plan, &hidden(fields));
            layout::page(&viewer::seen(desk, who), Here::DeadLetters, "Dead letters", &body)
        }
        Err(problem) => viewer::failed(desk, who, Here::DeadLetters, &problem),
    }
}

/// The question again, for the form that answers it.
fn hidden(fields: &Fields) -> Vec<(String, String)> {
    let asked = events::Asked::of(fields);
    let mut hidden: Vec<(String, String)> = asked
        .pairs()
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    hidden.extend(fields.all("event").map(|id| ("event".to_owned(), id.to_owned())));
    hidden.extend(["force", "all"].into_iter().filter_map(|name| Some((name.to_owned(), fields.some(name)?))));
    hidden
}

async fn act(desk: &Desk, who: &Identity, fields: &Fields, deed: Deed) -> Response {
    let here = Here::DeadLetters;
    let Some(operator) = who.operator() else {
        return viewer::failed(desk, who, here, &Problem::role());
    };
    let ordered = async {
        let meant = meant(fields, desk).map_err(bad)?;
        desk.carry_out(&operator, deed.order(), meant).await.map_err(Problem::from)
    };
    let outcome = match ordered.await {
        Ok(outcome) => outcome,
        Err(problem) => return viewer::failed(desk, who, here, &problem),
    };
    let what = if deed.is_replay() { "events replayed" } else { "events purged" };
    let subject = parts::counted(outcome.changed, if deed.is_replay() { "job" } else { "row" });
    desk.note(&operator, what, &subject, &json!({ "form": hidden(fields), "refused": outcome.refused })).await;
    layout::page(&viewer::seen(desk, who), here, "Dead letters", &done(deed, &outcome))
}

pub(super) fn body(view: &events::View, role: Role) -> Markup {
    let pairs: Vec<(&str, &str)> = view.asked.pairs().into_iter().chain([("all", "1")]).collect();
    let (all, purge) = (parts::address("/dead-letters/replay", &pairs), parts::address("/dead-letters/purge", &pairs));
    html! {
        div.top { h1 { "Dead letters" } p.dim { "Jobs that were tried as often as they may be, or that can never succeed." } }
        (events::filters(view, EventList::DeadLetters))
        @if let Some(problem) = &view.problem { p.badge.warn role="alert" { (parts::text(problem)) } }
        @if view.events.is_empty() { section.table { (nothing(view)) } }
        @else if role == Role::Operator {
            form method="get" action="/dead-letters/replay" {
                // So that a page that says no leads back to the same list.
                @for (name, value) in view.asked.pairs().iter().filter(|(_, value)| !value.is_empty()) {
                    input type="hidden" name=(name) value=(value);
                }
                section.table { (events::table(view.events, Boxes::With)) }
                div.buttons {
                    button.main type="submit" data-chosen="event" { "Run the chosen ones again…" }
                    button type="submit" data-chosen="event" formaction="/dead-letters/purge" { "Remove the chosen ones…" }
                    a href=(all) { "Run all that match again…" }
                    a href=(purge) { "Remove all that match…" }
                }
            }
        } @else { section.table { (events::table(view.events, Boxes::Without)) } }
        (parts::more(view.next.clone()))
    }
}

fn nothing(view: &events::View) -> Markup {
    if view.asked.is_filtered() {
        let next = html! { "No dead letter matches. " a href="/dead-letters" { "Show all" } "." };
        return parts::empty("No such dead letter", &next, None);
    }
    let next = html! { "Everything that was asked for is done, or still being tried. On the command line:" };
    parts::empty("No dead letter", &next, Some("hookgate events list --dead"))
}

/// What is to be done with events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Dead jobs run again.
    Replay,
    /// Everything runs again, also what succeeded.
    ReplayAll,
    /// Removed for good: events with all their jobs.
    Purge,
    /// Only their dead jobs.
    PurgeDead,
}

impl Deed {
    fn order(self) -> Order {
        match self {
            Self::Replay => Order::Replay,
            Self::ReplayAll => Order::ReplayAll,
            Self::Purge | Self::PurgeDead => Order::Purge,
        }
    }

    fn is_replay(self) -> bool {
        matches!(self, Self::Replay | Self::ReplayAll)
    }
}

fn count(plan: &Forecast) -> Markup {
    html! { @if plan.more { "more than " } (parts::counted(plan.events as u64, "event")) }
}

/// Says what will happen, and asks. `hidden` names the events again.
pub(super) fn confirm(deed: Deed, plan: &Forecast, hidden: &[(String, String)]) -> Markup {
    let (title, button, address) = match deed {
        Deed::Replay => ("Run dead jobs again?", "Run them again", "/dead-letters/replay"),
        Deed::ReplayAll => ("Run everything again?", "Run everything again", "/dead-letters/replay"),
        Deed::Purge => ("Remove for good?", "Remove for good", "/dead-letters/purge"),
        Deed::PurgeDead => ("Remove dead jobs for good?", "Remove for good", "/dead-letters/purge"),
    };
    html! {
        p.trail { a href="/dead-letters" { "Dead letters" } " / " (title) }
        h1 { (title) }
        section.text {
            @if plan.events == 0 {
                p.lead { "Nothing matches: there is nothing to do." }
                p { a.button href="/dead-letters" { "Back" } }
            } @else {
                p.lead { (sentence(deed, plan)) }
                (chosen(plan))
                (lanes(deed, plan))
                (doubts(deed, plan))
                form method="post" action=(address) {
                    @for (name, value) in hidden { input type="hidden" name=(name) value=(value); }
                    div.buttons {
                        button class=(if matches!(deed, Deed::Replay) { "main" } else { "danger" }) type="submit" { (button) }
                        a href="/dead-letters" { "Leave everything as it is" }
                    }
                }
            }
        }
    }
}

fn sentence(deed: Deed, plan: &Forecast) -> Markup {
    match deed {
        Deed::Replay => html! { "The dead jobs of " (count(plan)) " run again, from their first try." },
        Deed::ReplayAll => {
            html! { "All jobs of " (count(plan)) " run again, also those that succeeded: receivers take what comes of that for new." }
        }
        Deed::Purge => {
            html! { (count(plan)) " with all jobs are removed, for good. What is still being worked on stays. If the provider sends one of them again, it still counts as a duplicate." }
        }
        Deed::PurgeDead => {
            html! { "The dead jobs of " (count(plan)) " are removed, for good. What else became of these events stays." }
        }
    }
}

/// What is chosen, of which types, and a few of the events.
fn chosen(plan: &Forecast) -> Markup {
    let kind = |kind: &str| if kind.is_empty() { "(cannot be read)".to_owned() } else { parts::cut(kind, 100) };
    let mut types: Vec<(&String, &u64)> = plan.types.iter().collect();
    types.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    html! {
        @if !plan.filter.is_empty() { p { "Chosen: all events " strong { (parts::text(&plan.filter)) } "." } }
        h2 { "Of these types" }
        ul.types {
            @for (name, count) in types.iter().take(TYPES) { li { code { (parts::text(&kind(name))) } ": " (parts::number(**count)) } }
            @if types.len() > TYPES { li.dim { "and " (types.len() - TYPES) " more types" } }
        }
        h2 { @if plan.examples.len() < plan.events { "Such as" } @else { "These" } }
        ul.examples { @for event in &plan.examples {
            li {
                a href={ "/events/" (event.id) } { (parts::text(&kind(&event.kind))) } ", received " (parts::moment(event.received))
                ", " code { (parts::text(&parts::cut(&event.key, 60))) }
            }
        } }
    }
}

fn lanes(deed: Deed, plan: &Forecast) -> Markup {
    let verb = if matches!(deed, Deed::Purge | Deed::PurgeDead) { "Removed" } else { "Runs" };
    html! {
        @if !plan.jobs.is_empty() {
            h2 { (verb) " through" @if plan.events > 200 { " (of the first 200 events)" } }
            ul { @for (lane, count) in &plan.jobs { li { (parts::text(lane)) ": " (parts::counted(*count, "job")) } } }
        }
    }
}

fn doubts(deed: Deed, plan: &Forecast) -> Markup {
    let again = deed.is_replay();
    html! {
        @if again && plan.maybe_delivered > 0 {
            p { span.badge.warn { "may happen twice" } " "
                (parts::counted(plan.maybe_delivered, "job")) " may have done what was asked: a try has no recorded end. The same key is sent again; receivers that know keys ignore it." }
        } @else if deed == Deed::Replay {
            p.dim { "Nothing of this has happened yet as far as is known: every try has ended with a refusal." }
        }
    }
}

/// What came of it.
fn done(deed: Deed, outcome: &Done) -> Markup {
    let changed = outcome.changed;
    let title = match deed {
        Deed::Replay | Deed::ReplayAll => html! { (parts::counted(changed, "job")) " put back" },
        Deed::Purge => html! { (parts::counted(changed, "event")) " removed" },
        Deed::PurgeDead => html! { (parts::counted(changed, "dead job")) " removed" },
    };
    html! {
        p.trail { a href="/dead-letters" { "Dead letters" } }
        h1 { (title) }
        section.text {
            @for problem in &outcome.refused { p { span.badge.bad { "refused" } " " (parts::text(problem)) } }
            @if deed.is_replay() && changed > 0 { p { "They are tried now, the oldest first." } }
            p { a href="/events" { "See what becomes of events" } " or " a href="/dead-letters" { "go back to the dead letters" } "." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::desk::orders::Example;

    #[test]
    fn the_page_says_how_many_through_what_and_what_may_happen_twice() {
        let plan = Forecast {
            events: 3,
            jobs: [("connector desk".to_owned(), 4)].into(),
            maybe_delivered: 1,
            filter: "of route `org<`".to_owned(),
            types: [("user.created".to_owned(), 2), (String::new(), 1)].into(),
            examples: vec![Example { id: 7, kind: "user.created".to_owned(), key: "k<1>".to_owned(), received: 0 }],
            more: false,
        };
        let hidden = [("event".to_owned(), "7".to_owned())];
        let page = confirm(Deed::Replay, &plan, &hidden).into_string();
        for part in [
            "3 events",
            "connector desk",
            "4 jobs",
            "may happen twice",
            r#"name="event" value="7""#,
            r#"method="post""#,
            "of route `org&lt;`",
            "<bdi>user.created</bdi></code>: 2",
            "(cannot be read)",
            r#"href="/events/7""#,
            "k&lt;1&gt;",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        let page = confirm(Deed::Purge, &plan, &hidden).into_string();
        assert!(page.contains("for good") && !page.contains("may happen twice"), "{page}");
    }

    #[test]
    fn who_chooses_nothing_means_nothing() {
        let named = |form: &str| named(&Fields::of(form.as_bytes()));
        assert_eq!(named("event=7&event=8&route=a"), Ok(Some(vec![EventRef::Id(7), EventRef::Id(8)])));
        assert_eq!(named("route=a&all=1"), Ok(None));
        for nothing in ["", "route=a", "all=", "event=7&all=1", "event="] {
            assert!(named(nothing).is_err(), "{nothing}");
        }
    }

    #[test]
    fn nothing_to_do_has_no_button() {
        let page = confirm(Deed::Replay, &Forecast::default(), &[]).into_string();
        assert!(page.contains("nothing to do") && !page.contains("<form"), "{page}");
    }
}
