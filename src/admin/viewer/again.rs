//! Running a call again: another request, another script, and what would come of it. Nothing acts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};
use similar::TextDiff;

use crate::admin::access::sight::Sight;
use crate::admin::access::{Identity, Operator};
use crate::admin::desk::Desk;
use crate::admin::desk::decisions::DecisionView;
use crate::admin::viewer;
use crate::admin::viewer::fields::Fields;
use crate::admin::viewer::layout;
use crate::admin::viewer::layout::Here;
use crate::admin::viewer::parts;
use crate::admin::viewer::releases;
use crate::admin::viewer::script;
use crate::admin::viewer::script::{Marks, Source};
use crate::admin::viewer::tree;
use crate::admin::viewer::words;
use crate::admin::viewer::words::Scope;
use hookgate_engine::trial::tried::{Ran, Tried};
use hookgate_engine::trial::{Order, Subject, TrialError};
use hookgate_model::decision::{ActionLine, Capture, LookupLine, Record};

mod input;

pub(super) use crate::admin::viewer::again::input::{Input, Origin};

/// What the form holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Form {
    /// `running`, `on_disk` or `edited`.
    pub(super) against: String,
    pub(super) request: String,
    pub(super) script: String,
    /// Path of the script below the scripts folder.
    pub(super) file: String,
}

impl Form {
    fn of(fields: &Fields, record: &Record) -> Self {
        Self {
            against: fields.get("against").to_owned(),
            request: fields.text("request"),
            script: fields.text("script"),
            file: record.script.clone().unwrap_or_default(),
        }
    }

    fn order(&self, record: &Record) -> Order {
        let body = axum::body::Bytes::from(self.request.clone());
        Order { route: record.route.clone(), rule: record.rule.clone(), body, trace: true }
    }

    /// Who edits the script wants that one to run, whatever is chosen. Whether it was edited and something else was chosen.
    async fn takes_the_edit(&mut self, desk: &Desk, record: &Record, sight: Sight) -> bool {
        if self.against == "edited" {
            return false;
        }
        let shown = viewer::call::texts(desk, &record.release, &viewer::call::files(record), sight).await;
        let Some(shown) = shown.first() else { return false };
        let lines = |text: &str| text.trim_end().lines().map(str::to_owned).collect::<Vec<_>>();
        let edited = lines(&shown.text) != lines(&self.script);
        if edited {
            "edited".clone_into(&mut self.against);
        }
        edited
    }

    fn subject(&self) -> Subject {
        match self.against.as_str() {
            "on_disk" => Subject::OnDisk,
            "edited" => Subject::Edited(BTreeMap::from([(self.file.clone(), Arc::from(self.script.as_str()))])),
            _ => Subject::Running,
        }
    }
}

/// What the form holds at first: the request of the call, or a sample of the hook.
pub(super) fn first_form(record: &Record, input: &Input, sources: &[Source]) -> Option<Form> {
    Some(Form {
        against: "running".to_owned(),
        request: input.text.clone(),
        script: sources.first().map(|source| source.text.clone()).unwrap_or_default(),
        file: record.script.clone()?,
    })
}

/// Runs the request of the call through the running script, for what it read and what its variables were; nothing where that
/// could say something else, or would ask somebody.
pub(super) async fn look(desk: &Desk, who: &Operator, record: &Record, input: &Input, form: &Form) -> Option<Tried> {
    let running = desk.in_force()?;
    if input.origin == Origin::Sample || !record.lookups.is_empty() || running.label() != record.release {
        return None;
    }
    desk.try_out(who, Subject::Running, &form.order(record)).await.ok()
}

pub(super) async fn run(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    operator: Operator,
    Path(id): Path<String>,
    form: Bytes,
) -> Response {
    let fields = Fields::of(&form);
    match viewer::call::found(&desk, &id, who.sight()).await {
        Ok(DecisionView { record, capture }) => {
            let capture = viewer::call::shown(capture.as_ref());
            let input = Input::of(&desk, &record, capture, who.sight()).await;
            let mut form = Form::of(&fields, &record);
            // A page with a script has made that choice already, and its reader may have changed it.
            let plain = fields.get("scripted").is_empty();
            let edited = plain && form.takes_the_edit(&desk, &record, who.sight()).await;
            let shown = match desk.try_out(&operator, form.subject(), &form.order(&record)).await {
                Ok(tried) => {
                    let sources = sources(&desk, &tried, &form, who.sight()).await;
                    let is_same = input.as_ref().is_some_and(|input| input.is(&form.request));
                    let before = if is_same { Before::Same(capture) } else { Before::Other };
                    html! {
                        @if edited { p.dim { "The script was edited, so the edited one ran." } }
                        (outcome(&record, before, &tried, &sources, &form))
                    }
                }
                Err(error) => trouble(&error),
            };
            let body = html! {
                p.trail { a href={ "/decisions/" (parts::segment(&id)) } { "The call" } " / run again" }
                h1 { "Run again" }
                (section(&record, input.map(|input| input.origin), &form, &shown))
            };
            layout::page(&viewer::seen(&desk, &who), Here::Calls, "Run again", &body)
        }
        Err(problem) => viewer::failed(&desk, &who, Here::Calls, &problem),
    }
}

/// Saves a request, and what came of it, as a golden case.
pub(super) async fn save(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    operator: Operator,
    Path(id): Path<String>,
    form: Bytes,
) -> Response {
    let fields = Fields::of(&form);
    let record = match viewer::call::found(&desk, &id, who.sight()).await {
        Ok(found) => found.record,
        Err(problem) => return viewer::failed(&desk, &who, Here::Calls, &problem),
    };
    let form = Form::of(&fields, &record);
    let order = form.order(&record);
    let draft = match desk.draft(&operator, form.subject(), &order, fields.get("name")).await {
        Ok(draft) => draft,
        Err(error) => return saved(&desk, &who, &id, &trouble(&error)),
    };
    let (file, redacted, failed) = (draft.file.clone(), draft.redacted.len(), draft.failed.clone());
    let shown = match desk.save(&operator, draft).await {
        Ok(()) => {
            desk.note(&operator, "test saved", &file, &json!({ "decision": record.id })).await;
            html! {
                p.lead { "Saved as " code { (parts::text(&file)) } "." }
                @if redacted > 0 { p { (parts::counted(redacted as u64, "member")) " of the request that may be secret replaced by ***." } }
                @if let Some(reason) = &failed {
                    p { "The call failed (" code { (parts::text(reason)) } "), and the test expects that: " code { "failed_when_saved" } " in the file says so." }
                }
                p { "It goes live with the release, and this runs it:" }
                (parts::copied("hookgate test"))
            }
        }
        Err(error) => html! { p.badge.bad role="alert" { (parts::text(&error.to_string())) } },
    };
    saved(&desk, &who, &id, &shown)
}

fn saved(desk: &Desk, who: &Identity, id: &str, shown: &Markup) -> Response {
    let body = html! {
        p.trail { a href={ "/decisions/" (parts::segment(id)) } { "The call" } " / save as test" }
        h1 { "Save as test" }
        section { div id="saved" { (shown) } }
    };
    layout::page(&viewer::seen(desk, who), Here::Calls, "Save as test", &body)
}

fn trouble(error: &TrialError) -> Markup {
    match error {
        TrialError::Unbuildable(findings) => html! {
            p.badge.bad role="alert" { "This cannot be run: the script has errors." }
            (releases::findings(findings))
        },
        other => html! { p.badge.bad role="alert" { (parts::text(&other.to_string())) } },
    }
}

/// The part of the page with the form, and what came of it.
pub(super) fn section(record: &Record, origin: Option<Origin>, form: &Form, tried: &Markup) -> Markup {
    let choice = |value: &str, label: &str| {
        html! { label { input type="radio" name="against" value=(value) checked[form.against == value]; " " (label) } }
    };
    let address = format!("/decisions/{}", parts::segment(&record.id));
    html! {
        section.wide aria-labelledby="again" {
            h2 id="again" { "Run again" }
            p.dim {
                "Nothing is sent or kept; lookups ask their systems. "
                @match origin {
                    Some(Origin::Captured) => "What was not captured is *** in the request.",
                    Some(Origin::Kept) => "The request below is the event as it was sent.",
                    Some(Origin::Sample) => "This call was not captured: the request below is a sample of its hook.",
                    None => {},
                }
            }
            form method="post" action={ (address) "/run" } data-swap="#tried" {
                fieldset {
                    legend { "Through" }
                    (choice("running", "What runs now"))
                    (choice("on_disk", "What is on disk"))
                    (choice("edited", "This script"))
                }
                div.grid {
                    label.field { span { "Request" } textarea name="request" rows="18" spellcheck="false" { "\n" (form.request) } }
                    label.field { span { "Script" } textarea name="script" rows="18" spellcheck="false" { "\n" (form.script) } }
                }
                div.buttons { button.main type="submit" { "Run again" } }
            }
            div id="tried" { (tried) }
        }
    }
}

/// What there is to compare with.
enum Before<'a> {
    /// What came of the same request, with what was captured of it.
    Same(Option<&'a Capture>),
    /// Another request was run: what came of the call says nothing about it.
    Other,
}

/// What came of it, beside what came of the call where both had the same request.
fn outcome(record: &Record, before: Before<'_>, tried: &Tried, sources: &[Source], form: &Form) -> Markup {
    let Some(ran) = tried.runs().next() else {
        return html! { p.badge.warn role="alert" { (parts::text(tried.refused.as_deref().unwrap_or("No script ran: no rule wants this."))) } };
    };
    let differs = match before {
        Before::Same(capture) => difference(record, capture, tried),
        Before::Other => String::new(),
    };
    html! {
        h3 {
            @match before {
                Before::Other => "What came of this request",
                Before::Same(_) if differs.is_empty() => "The same came of it",
                Before::Same(_) => "Something else came of it",
            }
            " " @if let Before::Same(_) = before { (parts::badge(&record.outcome)) " → " } @if let Some(after) = ended(tried) { (parts::badge(after)) }
            " " span.dim { (parts::span(ran.times.script_us)) " in the script" }
        }
        @if let Before::Other = before { p.dim { "The call had another request, so the two are not compared." } }
        @if let Some(effect) = &tried.effect { p { (parts::long(effect)) } }
        @if let Some(failure) = &ran.failure {
            @match &failure.finding {
                Some(finding) => (releases::findings(std::slice::from_ref(finding))),
                None => p.badge.bad { (parts::text(&failure.message)) },
            }
        }
        @if !differs.is_empty() { (parts::diff(&differs)) }
        div.grid {
            div { h3 { "What the script asked for" } (words::commands(Some(&ran.commands), Scope::of(record))) (asked(ran, Scope::of(record))) }
            div { h3 { "Reply" } @if tried.reply.is_null() { p.dim { "No body." } } @else { (tree::tree(&tried.reply, &|_| false)) } }
        }
        (listing(ran, sources))
        @if tried.refused.is_none() { (save_form(record, form, ran.failure.is_some())) }
    }
}

fn asked(ran: &Ran, scope: Scope) -> Markup {
    let actions: Vec<ActionLine> = ran
        .actions
        .iter()
        .map(|action| ActionLine { name: action.name().to_owned(), connector: action.connector.clone() })
        .collect();
    let lookups: Vec<LookupLine> = ran
        .lookups
        .iter()
        .map(|lookup| LookupLine {
            connector: lookup.connector.clone(),
            family: lookup.asked.clone(),
            outcome: lookup.outcome.clone(),
            took_us: lookup.us,
        })
        .collect();
    html! {
        (words::actions(&actions, scope))
        (words::lookups(&lookups))
        @if !ran.logs.is_empty() {
            h3 { "Logged" }
            ul { @for log in &ran.logs { li { (parts::long(&log.text)) @if let Some(fields) = &log.fields { " " code { (parts::text(&parts::cut(&fields.to_string(), 400))) } } } } }
        }
    }
}

fn listing(ran: &Ran, sources: &[Source]) -> Markup {
    let cut = ran.trace.as_ref().is_some_and(|trace| trace.cut);
    html! {
        h3 { "Line by line" }
        @if !ran.read.is_empty() { p.dim { "It read " @for (index, path) in ran.read.iter().enumerate() { @if index > 0 { ", " } code { (parts::text(path)) } } "." } }
        @if cut { p.dim { "The run was longer than is shown." } }
        @for (index, source) in sources.iter().enumerate() {
            @if index == 0 { (script::listing(source, &marks(ran, &source.file))) }
            @else { details { summary { (parts::text(&source.file)) } (script::listing(source, &marks(ran, &source.file))) } }
        }
    }
}

/// What a trace says of a file: lines, and what its variables were.
pub(super) fn marks(ran: &Ran, file: &str) -> Marks {
    let Some(trace) = &ran.trace else { return Marks::default() };
    let mut marks = Marks { ran: Some(BTreeSet::new()), ..Marks::default() };
    for step in trace.steps.iter().filter(|step| step.file == file) {
        marks.ran.get_or_insert_default().insert(step.line);
        if !step.changed.is_empty() {
            let values = marks.values.entry(step.line).or_default();
            values.extend(step.changed.iter().map(|shown| (shown.text.clone(), shown.value.clone())));
        }
    }
    marks.failed = trace.failed_at.as_ref().filter(|at| at.file == file).map(|at| at.line);
    marks
}

fn ended(tried: &Tried) -> Option<&String> {
    let rule = tried.events.iter().flat_map(|event| &event.rules).find_map(|rule| rule.outcome.as_ref());
    tried.outcome.as_ref().or(rule)
}

/// What of the outcome differs from what came of the call. Replies are compared where the call's was captured; of an event,
/// actions are.
fn difference(record: &Record, capture: Option<&Capture>, tried: &Tried) -> String {
    let (before, after) = if record.rule.is_some() {
        let asked = tried.runs().flat_map(|ran| &ran.actions);
        let asked: Vec<Value> = asked.map(|action| action_line(action.name(), &action.connector)).collect();
        let done = record.actions.iter().map(|action| action_line(&action.name, &action.connector));
        (
            json!({ "outcome": record.outcome, "actions": done.collect::<Vec<_>>() }),
            json!({ "outcome": ended(tried), "actions": asked }),
        )
    } else {
        let reply = capture.filter(|capture| !capture.too_large).map(|capture| capture.reply.clone());
        (
            json!({
                "outcome": record.outcome,
                "status": record.status.filter(|_| tried.status.is_some()),
                "effect": record.effect.as_ref().filter(|_| tried.effect.is_some()),
                "reply": reply.as_ref().map(without_mark),
            }),
            json!({
                "outcome": ended(tried),
                "status": tried.status,
                "effect": tried.effect,
                "reply": reply.as_ref().map(|_| without_mark(&tried.reply)),
            }),
        )
    };
    if before == after {
        return String::new();
    }
    let [before, after] = [before, after].map(|value| serde_json::to_string_pretty(&value).unwrap_or_default() + "\n");
    TextDiff::from_lines(&before, &after).unified_diff().context_radius(3).to_string()
}

fn action_line(name: &str, connector: &str) -> Value {
    json!({ "name": name, "connector": connector })
}

/// A reply without what points back at its decision.
fn without_mark(reply: &Value) -> Value {
    let mut reply = reply.clone();
    if let Some(members) = reply.as_object_mut() {
        members.shift_remove("debugContext");
    }
    reply
}

/// The texts of what ran: of the edited script what was edited, of all others what the release was made of.
async fn sources(desk: &Desk, tried: &Tried, form: &Form, sight: Sight) -> Vec<Source> {
    let mut files: Vec<String> = Vec::new();
    for step in tried.runs().filter_map(|ran| ran.trace.as_ref()).flat_map(|trace| &trace.steps) {
        if !files.contains(&step.file) {
            files.push(step.file.clone());
        }
    }
    let hash = if form.against == "running" { tried.release.as_str() } else { "on_disk" };
    let mut sources = viewer::call::texts(desk, hash, &files, sight).await;
    if form.against == "edited"
        && let Some(source) = sources.iter_mut().find(|source| source.file.ends_with(&form.file))
    {
        source.text.clone_from(&form.script);
    }
    sources
}

fn save_form(record: &Record, form: &Form, failed: bool) -> Markup {
    if form.against == "edited" {
        return html! { p.dim { "Save the script to its file first; then this call can be saved as a test of it." } };
    }
    html! {
        h3 { "Save as test" }
        @if failed {
            p.badge.warn role="alert" {
                "The script failed here. Saved now, the test expects that failure and passes for as long as it is there: mend the script first, then run again and save."
            }
        }
        p.dim { "A golden case: this request without what may be secret in it, what lookups answered, and what came of it. It becomes a file of the bundle." }
        form.filters method="post" action={ "/decisions/" (parts::segment(&record.id)) "/case" } data-swap="#saved" {
            input type="hidden" name="against" value=(form.against);
            textarea name="request" hidden { "\n" (form.request) }
            label { span { "Name of the test" } input name="name" required pattern="[A-Za-z0-9_\\-]+" autocomplete="off"; }
            button type="submit" { "Save as test" }
        }
        div id="saved" {}
    }
}
