//! The page of one decision: why it came out so, what was asked and answered, which lines ran.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::response::Response;
use maud::{Markup, html};

use crate::admin::access::Identity;
use crate::admin::access::sight::{Disclosure, Sight};
use crate::admin::desk::Desk;
use crate::admin::desk::decisions::DecisionView;
use crate::admin::problem::Problem;
use crate::admin::viewer;
use crate::admin::viewer::again;
use crate::admin::viewer::layout;
use crate::admin::viewer::layout::Here;
use crate::admin::viewer::parts;
use crate::admin::viewer::reads;
use crate::admin::viewer::script;
use crate::admin::viewer::script::{Marks, Source};
use crate::admin::viewer::timeline;
use crate::admin::viewer::tree;
use crate::admin::viewer::words;
use crate::admin::viewer::words::Scope;
use hookgate_engine::trial::tried::Ran;
use hookgate_model::decision::{Capture, FileLines, Record, outcome};

pub(super) struct View<'a> {
    pub(super) record: &'a Record,
    pub(super) capture: Option<&'a Disclosure<Capture>>,
    /// The script and what it imports, as of then; empty if the release is not kept any more.
    pub(super) sources: &'a [Source],
    /// The captured request, run once more for its values.
    pub(super) ran: Option<&'a Ran>,
    /// Tells which members of the request the script read, by JSON Pointer.
    pub(super) read: &'a dyn Fn(&str) -> bool,
    /// The form that runs it again, and what came of that.
    pub(super) again: Option<Markup>,
}

pub(super) async fn get(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    Path(id): Path<String>,
) -> Response {
    let DecisionView { record, capture } = match found(&desk, &id, who.sight()).await {
        Ok(found) => found,
        Err(problem) => return viewer::failed(&desk, &who, Here::Calls, &problem),
    };
    let sources = texts(&desk, &record.release, &files(&record), who.sight()).await;
    let operator = who.operator();
    let input = match &operator {
        Some(_) => again::Input::of(&desk, &record, shown(capture.as_ref()), who.sight()).await,
        None => None,
    };
    let form = input.as_ref().and_then(|input| again::first_form(&record, input, &sources));
    let looked = match (&operator, &input, &form) {
        (Some(operator), Some(input), Some(form)) => again::look(&desk, operator, &record, input, form).await,
        _ => None,
    };
    let ran = looked.as_ref().and_then(|tried| tried.runs().next());
    let read = match (ran, shown(capture.as_ref())) {
        (Some(ran), Some(capture)) => reads::read_members(&capture.request, &ran.read),
        _ => BTreeSet::new(),
    };
    let view = View {
        record: &record,
        capture: capture.as_ref(),
        sources: &sources,
        ran,
        read: &|pointer| read.contains(pointer),
        again: form.as_ref().map(|form| again::section(&record, input.map(|input| input.origin), form, &html! {})),
    };
    let title = format!("{} {}", record.route, record.outcome);
    layout::page(&viewer::seen(&desk, &who), Here::Calls, &title, &body(&view))
}

/// A record, and what was captured of its call.
pub(super) async fn found(desk: &Desk, id: &str, sight: Sight) -> Result<DecisionView, Problem> {
    desk.decision(id, sight).await?.ok_or_else(unknown)
}

/// What was captured, where it may be seen.
pub(super) fn shown(capture: Option<&Disclosure<Capture>>) -> Option<&Capture> {
    match capture {
        Some(Disclosure::Shown(capture)) => Some(capture),
        Some(Disclosure::Withheld(_)) | None => None,
    }
}

/// The files in which lines ran, the script first.
pub(super) fn files(record: &Record) -> Vec<String> {
    let mut files: Vec<String> = record.lines.iter().flatten().map(|file| file.file.clone()).collect();
    let script = record.script.as_deref().unwrap_or_default();
    files.sort_by_key(|file| !file.ends_with(script));
    files
}

/// Files as a release has them (its hash, or `on_disk`); those that are kept. `files` are paths below the bundle.
pub(super) async fn texts(desk: &Desk, release: &str, files: &[String], sight: Sight) -> Vec<Source> {
    let sources = desk.sources(release, files, sight).await;
    sources.into_iter().map(|(file, text)| Source { file, text }).collect()
}

fn unknown() -> Problem {
    Problem::not_found("no decision of this id is kept: it is wrong, too old, or its second had more than are kept")
}

pub(super) fn body(view: &View) -> Markup {
    let record = view.record;
    let scope = Scope::of(record);
    html! {
        p.trail { a href="/" { "Calls" } " / " (place(record)) }
        (head(record))
        div.grid {
            section aria-labelledby="did" {
                h2 id="did" { "What the script asked for" }
                (words::commands(record.commands.as_deref(), scope))
                @for note in &record.notes { p { span.badge.warn { "left out" } " " (parts::text(note)) } }
                (words::actions(&record.actions, scope))
                (words::lookups(&record.lookups))
            }
            section aria-labelledby="took" { h2 id="took" { "Where the time went" } (timeline::drawing(&record.times, &record.lookups)) }
            (exchange(view))
            (scripts(view))
            @if let Some(again) = &view.again { (again) }
            section.wide aria-labelledby="ids" { h2 id="ids" { "Names and numbers" } (ids(record)) }
        }
    }
}

fn place(record: &Record) -> Markup {
    html! {
        @if record.route.is_empty() { "no route" } @else { a href=(parts::address("/", &[("route", &record.route)])) { (parts::text(&record.route)) } }
        @if let Some(rule) = &record.rule { " / " (parts::text(rule)) }
    }
}

fn head(record: &Record) -> Markup {
    html! {
        h1 { (parts::badge(&record.outcome)) " " (parts::prose(&parts::cut(&why(record), 600))) }
        @if record.failure.is_some() && record.rule.is_none() && record.outcome != outcome::REFUSED {
            p.lead { "The script gave no answer, so the declared one was given." }
        }
        @if let Some(effect) = record.effect.as_ref().filter(|effect| **effect != record.headline()) { p.lead { (parts::sentence(effect)) } }
        @if let Some(asked) = asked(record) { p.lead { (parts::sentence(&asked)) } }
        p.sub {
            (parts::moment(record.at)) " · " (parts::text(&record.hook))
            @if let Some(login) = &record.subject.login { " · " a href=(parts::address("/", &[("find", login)])) { (parts::text(login)) } }
            @if record.times.total_us > 0 { " · " (parts::span(record.times.total_us)) }
            @if record.preview { " · " span.badge { "preview" } " actions were recorded, not done" }
            @if let Some(attempt) = record.attempt.filter(|&attempt| attempt > 1) { " · try " (attempt) }
        }
    }
}

/// What a rule of events did, where nothing else says it: it has no effect at the provider, and its reason is often one word.
fn asked(record: &Record) -> Option<String> {
    if record.rule.is_none() || record.failure.is_some() || record.effect.is_some() {
        return None;
    }
    let mut asked: Vec<String> = Vec::new();
    for action in &record.actions {
        let words = format!("{} through {}", action.name.replace('_', " "), action.connector);
        if !asked.contains(&words) {
            asked.push(words);
        }
    }
    Some(match asked.len() {
        0 => "It asked for no action.".to_owned(),
        1..=MOST_ASKED => format!("It asked for {}.", asked.join(", ")),
        more => format!("It asked for {}, and {} more.", asked[..MOST_ASKED].join(", "), more - MOST_ASKED),
    })
}

/// Kinds of actions that are named at the top.
const MOST_ASKED: usize = 3;

/// Why, in a sentence. What the script said stands for itself, and so does an error that names its place.
fn why(record: &Record) -> String {
    match &record.failure {
        Some(failure) if failure.file.as_ref().is_some_and(|file| failure.text.starts_with(file.as_str())) => {
            failure.text.clone()
        }
        _ => record.headline(),
    }
}

/// Request and reply, where they were captured.
fn exchange(view: &View) -> Markup {
    let route = &view.record.route;
    match view.capture {
        Some(Disclosure::Withheld(withheld)) => html! {
            section.wide { h2 { "Request and reply" } (viewer::withheld(*withheld)) }
        },
        Some(Disclosure::Shown(capture)) if capture.too_large => html! {
            section.wide { h2 { "Request and reply" } p.dim { "The call was larger than capture.max_bytes of its route, so neither was kept." } }
        },
        Some(Disclosure::Shown(capture)) => html! {
            section aria-labelledby="request" {
                h2 id="request" { "Request" }
                @if !capture.redacted.is_empty() {
                    p.dim { (parts::counted(capture.redacted.len() as u64, "member")) " replaced by *** before it was kept." }
                }
                (tree::tree(&capture.request, view.read))
                p.dim { "Kept until " (parts::moment(capture.until)) "." @if view.ran.is_some() { " " span.mark { "Marked" } ": the script read it." } }
            }
            section aria-labelledby="reply" { h2 id="reply" { "Reply" } (status(view.record)) (tree::tree(&capture.reply, &|_| false)) }
        },
        None if view.record.outcome == outcome::REFUSED || route.is_empty() => html! {},
        None if view.record.rule.is_some() => html! {
            @if let Some(number) = view.record.event {
                section.wide { h2 { "Event" } p { a href={ "/events/" (number) } { "The event as it was sent, and every try" } "." } }
            }
        },
        None => html! {
            section.wide {
                h2 { "Request and reply" }
                p { "Not captured. To keep the calls of this route for a week, without what is secret, write in gateway.toml below "
                    code { "[routes." (parts::text(route)) "]" } ":" }
                (parts::copied("capture = true"))
                (status(view.record))
            }
        },
    }
}

fn status(record: &Record) -> Markup {
    html! { @if let Some(status) = record.status { p.dim { "HTTP " (status) } } }
}

/// What is known of a file: from the record, and from the run that was repeated.
fn known(view: &View, source: &Source) -> Marks {
    let kept = marks(view.record, source);
    match view.ran {
        Some(ran) => Marks { values: again::marks(ran, &source.file).values, ..kept },
        None => kept,
    }
}

fn scripts(view: &View) -> Markup {
    let record = view.record;
    let Some(name) = &record.script else { return html! {} };
    html! {
        section.wide aria-labelledby="script" {
            h2 id="script" { "The lines that ran" }
            @if record.lines.is_none() { p.dim { "Which lines ran is not known: the run took too long to be repeated." } }
            @if view.sources.is_empty() {
                p.dim { "The text of " (parts::text(name)) " in release " code { (record.release) } " is not kept any more."
                    @for file in record.lines.iter().flatten() { " " (parts::text(&file.file)) ": " (ranges(&file.lines)) "." }
                }
            }
            @for (index, source) in view.sources.iter().enumerate() {
                @if index == 0 {
                    h3 { (parts::text(&source.file)) } (script::listing(source, &known(view, source)))
                } @else {
                    details { summary { (parts::text(&source.file)) } (script::listing(source, &known(view, source))) }
                }
            }
        }
    }
}

fn marks(record: &Record, source: &Source) -> Marks {
    let lines_of = |file: &FileLines| file.lines.iter().map(|&line| line as usize).collect();
    let ran = record
        .lines
        .as_ref()
        .map(|files| files.iter().find(|file| file.file == source.file).map(lines_of).unwrap_or_default());
    let failed = record.failure.as_ref().filter(|failure| failure.file.as_deref() == Some(source.file.as_str()));
    Marks { ran, failed: failed.and_then(|failure| failure.line).map(|line| line as usize), ..Marks::default() }
}

/// `1-3, 7`
fn ranges(lines: &[u32]) -> String {
    let parts: Vec<String> = lines
        .chunk_by(|one, next| one + 1 == *next)
        .map(|run| match run {
            [one] => one.to_string(),
            [first, .., last] => format!("{first}-{last}"),
            [] => String::new(),
        })
        .collect();
    parts.join(", ")
}

fn ids(record: &Record) -> Markup {
    let id = |value: &Option<String>| value.as_deref().map(parts::id);
    let event = record.event.map(|number| html! { a href={ "/events/" (number) } { "Event " (number) } });
    parts::facts(&[
        ("Decision", Some(parts::id(&record.id))),
        ("Provider's id of the call or event", id(&record.event_id)),
        ("Request", id(&record.request_id)),
        ("Trace", id(&record.trace_id)),
        ("User", id(&record.subject.id)),
        ("Type of event", record.event_type.as_deref().map(parts::text)),
        ("Kept as", event),
        (
            "Release",
            Some(html! { a href={ "/releases/" (parts::segment(&record.release)) } { code { (record.release) } } }),
        ),
        ("Script", record.script.as_deref().map(parts::text)),
        ("Hash of the script", record.script_hash.as_deref().map(|hash| parts::id(&parts::cut(hash, 16)))),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::admin::access::sight::{ContentKind, PerRole};
    use hookgate_model::decision::{ActionLine, Failure, Subject};

    fn page(record: &Record, capture: Option<&Disclosure<Capture>>) -> String {
        let sources = [Source { file: "scripts/a.rhai".to_owned(), text: "one\ntwo\n".to_owned() }];
        body(&View { record, capture, sources: &sources, ran: None, read: &|pointer| pointer == "/email", again: None })
            .into_string()
    }

    fn record() -> Record {
        Record {
            id: "d1".to_owned(),
            route: "signup".to_owned(),
            hook: "acme.signup".to_owned(),
            outcome: outcome::FAILED.to_owned(),
            script: Some("a.rhai".to_owned()),
            subject: Subject { id: None, login: Some("ann@example.com".to_owned()) },
            lines: Some(vec![FileLines { file: "scripts/a.rhai".to_owned(), lines: vec![1, 2] }]),
            failure: Some(Failure {
                reason: "script".to_owned(),
                text: "`x` is absent".to_owned(),
                file: Some("scripts/a.rhai".to_owned()),
                line: Some(2),
                ..Failure::default()
            }),
            ..Record::default()
        }
    }

    #[test]
    fn the_cause_stands_first_and_its_line_is_marked() {
        let page = page(&record(), None);
        assert!(page.contains("a.rhai failed at scripts/a.rhai:2"), "{page}");
        assert!(page.contains(r#"<tr class="failed"><td class="no" title="failed here">2"#), "{page}");
        assert!(page.contains("capture = true"), "{page}");
    }

    #[test]
    fn a_rule_says_at_the_top_what_it_asked_for() {
        let rule =
            Record { rule: Some("watch".to_owned()), failure: None, outcome: outcome::ACTED.to_owned(), ..record() };
        assert!(page(&rule, None).contains(r#"<p class="lead">It asked for no action.</p>"#), "{}", page(&rule, None));
        let action = |name: &str, connector: &str| ActionLine { name: name.into(), connector: connector.into() };
        let actions = vec![action("notify", "alerts"), action("notify", "alerts"), action("clear_sessions", "org")];
        let page = page(&Record { actions, ..rule }, None);
        assert!(page.contains("It asked for notify through alerts, clear sessions through org."), "{page}");
    }

    #[test]
    fn only_operators_see_what_was_captured() {
        let captured = Record { captured: true, ..record() };
        let capture = Capture { request: json!({"email": "CANARY"}), ..Capture::default() };
        let pages = PerRole::make(|sight| page(&captured, Some(&sight.show(ContentKind::Capture, 7, capture.clone()))));
        let (seen, reader) = (pages.operator(), pages.reader());
        assert!(seen.contains("CANARY") && seen.contains("node read"), "{seen}");
        assert!(!reader.contains("CANARY") && reader.contains("Only an operator may see this (7 bytes)."), "{reader}");
    }

    #[test]
    fn lines_are_written_as_ranges() {
        assert_eq!(ranges(&[1, 2, 3, 7, 9, 10]), "1-3, 7, 9-10");
        assert_eq!(ranges(&[]), "");
    }
}
