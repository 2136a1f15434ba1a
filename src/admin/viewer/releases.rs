//! Releases: which runs, which were, what is wrong with the files, and the way back.

use std::sync::Arc;

use axum::extract::{Extension, Path, State as Shared};
use axum::response::Response;
use maud::{Markup, html};

use crate::admin::access::sight::Disclosure;
use crate::admin::access::{Identity, Operator, Role};
use crate::admin::desk::Desk;
use crate::admin::desk::releases::{DifferenceView, FileView, ReleaseView};
use crate::admin::problem::Problem;
use crate::admin::viewer;
use crate::admin::viewer::layout;
use crate::admin::viewer::layout::Here;
use crate::admin::viewer::parts;
use crate::admin::viewer::script;
use crate::admin::viewer::script::{Marks, Source};
use hookgate_engine::history::Failure;
use hookgate_engine::history::diff::{Fate, FileDiff};
use hookgate_engine::history::shown::{Named, Release, Standing};
use hookgate_engine::release::live::Reloaded;
use hookgate_engine::release::live::status::{State, Status};
use hookgate_model::finding::{Finding, Severity};

pub(super) struct View<'a> {
    pub(super) status: &'a Status,
    pub(super) releases: &'a [Release],
    pub(super) operator: bool,
}

pub(super) async fn get(Shared(desk): Shared<Arc<Desk>>, Extension(who): Extension<Identity>) -> Response {
    let releases = match desk.releases(who.sight()).await {
        Ok(releases) => releases,
        Err(error) => return viewer::failed(&desk, &who, Here::Releases, &Problem::from(error)),
    };
    let status = desk.status(who.sight());
    let view = View { status: &status, releases: &releases, operator: who.is_operator() };
    layout::page(&viewer::seen(&desk, &who), Here::Releases, "Releases", &body(&view))
}

pub(super) async fn get_one(
    Shared(desk): Shared<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    Path(hash): Path<String>,
) -> Response {
    let both = async {
        let whole = desk.release(&hash, who.sight()).await?;
        let diff = desk.diff(&Named::of(&whole.release.hash), &Named::Running, who.sight()).await?;
        Ok::<_, Failure>((whole, diff))
    };
    match both.await {
        Ok((whole, diff)) => {
            let title = format!("Release {}", whole.release.label);
            let body = one(&whole, &diff, who.role);
            layout::page(&viewer::seen(&desk, &who), Here::Releases, &title, &body)
        }
        Err(failure) => told(&desk, &who, &failure),
    }
}

pub(super) async fn ask_rollback(
    Shared(desk): Shared<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    Path(hash): Path<String>,
) -> Response {
    if who.operator().is_none() {
        return viewer::failed(&desk, &who, Here::Releases, &Problem::role());
    }
    let both = async {
        let whole = desk.release(&hash, who.sight()).await?;
        let diff = desk.diff(&Named::Running, &Named::of(&whole.release.hash), who.sight()).await?;
        Ok::<_, Failure>((whole, diff))
    };
    match both.await {
        Ok((whole, diff)) => {
            let body = confirm(&whole.release, &diff);
            layout::page(&viewer::seen(&desk, &who), Here::Releases, "Go back", &body)
        }
        Err(failure) => told(&desk, &who, &failure),
    }
}

pub(super) async fn roll_back(
    Shared(desk): Shared<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    operator: Operator,
    Path(hash): Path<String>,
) -> Response {
    let body = match desk.roll_back(&operator, &hash).await {
        Ok(back) => {
            let kept = if back.kept { "" } else { " The store could not keep this: a restart would take the files." };
            done("Gone back", &format!("Release {} is in force.{kept}", short(&back.to)), &[])
        }
        Err(Failure::Refused { label, findings }) => {
            done("Refused", &format!("Release {label} cannot be built any more. Nothing has changed."), &findings)
        }
        Err(failure) => return told(&desk, &who, &failure),
    };
    layout::page(&viewer::seen(&desk, &who), Here::Releases, "Go back", &body)
}

/// A page about what could not be done.
fn told(desk: &Desk, who: &Identity, failure: &Failure) -> Response {
    let problem = match failure {
        Failure::Unknown(_) => Problem::not_found(failure.to_string()),
        Failure::Store(error) => Problem::from(error.clone()),
        other => Problem::conflict("release", other.to_string()),
    };
    viewer::failed(desk, who, Here::Releases, &problem)
}

/// Takes what is on disk now.
pub(super) async fn reload(
    Shared(desk): Shared<Arc<Desk>>,
    Extension(who): Extension<Identity>,
    operator: Operator,
) -> Response {
    let reloaded = desk.reload(&operator).await;
    let status = desk.status(who.sight());
    let body = match reloaded {
        Reloaded::Activated => done("Taken", "What is on disk is in force.", &status.warnings),
        Reloaded::Unchanged => done("Nothing new", "What is on disk was in force already.", &[]),
        Reloaded::Refused => {
            done("Refused", "What is on disk cannot go live; the release before stays in force.", &status.error)
        }
        Reloaded::Waiting => {
            done("Waiting", "Files are being checked out; what is on disk goes live when that has ended.", &[])
        }
    };
    layout::page(&viewer::seen(&desk, &who), Here::Releases, "Releases", &body)
}

pub(super) fn body(view: &View) -> Markup {
    let status = view.status;
    html! {
        div.top {
            h1 { "Releases" }
            @if view.operator { form method="post" action="/reload" { button type="submit" { "Take what is on disk now" } } }
        }
        section { (now(view)) }
        @if !status.error.is_empty() { section { h2 { "Why what is on disk was refused" } (findings(&status.error)) } }
        (tests(status))
        @if !status.warnings.is_empty() { section { h2 { "Warnings of the running release" } (findings(&status.warnings)) } }
        section.table { (past(view.releases)) }
    }
}

fn now(view: &View) -> Markup {
    let status = view.status;
    let label = |hash: &Option<String>| {
        hash.as_deref().map(|hash| html! { a href={ "/releases/" (hash) } { code { (short(hash)) } } })
    };
    let state = match status.state {
        State::Current => ("current", "What is on disk is in force."),
        State::Refused => ("refused", "What is on disk was refused; the release before stays in force."),
        State::Building => ("building", "A release is being built."),
        State::Pinned => ("pinned", "An earlier release is in force; what is on disk stays out until it changes."),
    };
    html! {
        @if let Some(pinned) = &status.pinned {
            p { span.badge.warn { "rolled back" } " " (parts::text(&pinned.who)) " went back to " code { (short(&pinned.to)) } " on " (parts::moment_of(&pinned.since))
                ". The files (" code { (short(&pinned.from)) } ") do not go live until they change." }
        } @else { p { (parts::badge(state.0)) " " (state.1) } }
        (parts::facts(&[
            ("Running", label(&status.running)),
            ("On disk", status.on_disk.as_ref().map(|hash| html! { code { (short(hash)) } })),
            ("In force since", status.activated_at.as_deref().map(parts::moment_of)),
        ]))
        @if !status.needs_restart.is_empty() { p { span.badge.warn { "restart" } " Changed, and taken only at the next start: " (status.needs_restart.join(", ")) "." } }
    }
}

/// Findings with place, excerpt and remedy.
pub(super) fn findings(findings: &[Finding]) -> Markup {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let warnings = findings.iter().filter(|finding| finding.severity == Severity::Warning);
    html! {
        @for finding in errors.chain(warnings) {
            p {
                (parts::badge(match finding.severity { Severity::Error => "error", Severity::Warning => "warning" })) " "
                code { (parts::text(&finding.file)) @if finding.line > 0 { ":" (finding.line) ":" (finding.column) } } " "
                @if let Some(key) = &finding.key { code { (parts::text(key)) } " " }
                (parts::prose(&parts::cut(&finding.message, 2_000))) " " span.dim { (finding.code) }
            }
            @if let Some(excerpt) = finding.excerpt.as_ref().filter(|_| finding.line > 0) {
                pre.finding tabindex="0" { (format!("{:>5} | ", finding.line)) (parts::lines(&parts::cut(excerpt, 300))) "\n" (caret(finding)) }
            }
            @if let Some(help) = &finding.help { p { "Help: " (parts::prose(&parts::cut(help, 2_000))) } }
        }
    }
}

fn caret(finding: &Finding) -> String {
    let before = finding.column.saturating_sub(1).min(300);
    format!("{:>5}   {}{}", "", " ".repeat(before), "^".repeat(finding.length.clamp(1, 300)))
}

fn tests(status: &Status) -> Markup {
    let tests = &status.tests;
    html! {
        section {
            h2 { "Tests" }
            @if tests.scripts + tests.unchanged == 0 {
                p { "No test was run. A file of tests stands beside its script; write one, then:" }
                (parts::copied("hookgate test"))
            } @else {
                p {
                    (parts::badge(if tests.failed > 0 { "failed" } else { "ok" })) " "
                    (tests.passed) " passed, " (tests.failed) " failed, " (tests.skipped) " skipped, of " (parts::counted(tests.scripts as u64, "script"))
                    " in " (parts::age(tests.took_ms)) "; " (tests.unchanged) " not tested again."
                }
                @if !tests.failures.is_empty() { ul { @for failure in &tests.failures { li { code { (parts::text(failure)) } } } } }
            }
        }
    }
}

fn past(releases: &[Release]) -> Markup {
    html! {
        @if releases.is_empty() { (parts::empty("No release is kept yet", &html! { "Every release that goes live is kept here from now on." }, None)) }
        @else { table.rows {
            thead { tr { th scope="col" { "Release" } th scope="col" { "State" } th scope="col" { "In force since" } th scope="col" { "By" } th scope="col" { "Tests" } th.num scope="col" { "Files" } } }
            tbody { @for release in releases {
                tr {
                    td { a href={ "/releases/" (release.hash) } { code { (release.label) } } @if let Some(commit) = &release.commit { " " span.dim { "commit " code { (parts::cut(commit, 10)) } } } }
                    td { (standing(release)) }
                    td.tight { @if let Some(at) = &release.activated_at { (parts::moment_of(at)) } @else { span.dim { "never" } } }
                    td data-name="by" { (parts::text(release.who.as_deref().unwrap_or("—"))) }
                    td data-name="Tests" { (tested(release)) }
                    td.num data-name="Files" { (release.files) }
                }
            } }
        } }
    }
}

fn standing(release: &Release) -> Markup {
    let word = match release.state {
        Standing::Running => "running",
        Standing::Past => "past",
        Standing::Held => "held",
        Standing::Refused => "refused",
    };
    html! { (parts::badge(word)) @if release.pinned { " " span.badge.warn { "pinned" } } }
}

fn tested(release: &Release) -> Markup {
    let number = |name: &str| release.tests.as_ref().and_then(|tests| tests.get(name)?.as_u64()).unwrap_or_default();
    let (passed, failed) = (number("passed"), number("failed"));
    html! { @if passed + failed == 0 { span.dim { "—" } } @else { (passed) " passed" @if failed > 0 { ", " span.badge.bad { (failed) " failed" } } } }
}

/// The page of one release. `diff` leads from it to the running one.
pub(super) fn one(whole: &ReleaseView, diff: &[DifferenceView], role: Role) -> Markup {
    let release = &whole.release;
    let can_go_back = role == Role::Operator && release.state == Standing::Past;
    html! {
        p.trail { a href="/releases" { "Releases" } " / " code { (release.label) } }
        div.top {
            h1 { "Release " code { (release.label) } " " (standing(release)) }
            @if can_go_back { a.button href={ "/releases/" (release.hash) "/rollback" } { "Go back to this release…" } }
        }
        p.sub {
            @if let Some(at) = &release.activated_at { "In force since " (parts::moment_of(at)) }
            @if let Some(who) = &release.who { ", by " (parts::text(who)) }
        }
        section {
            h2 { "From this release to the running one" }
            @if diff.is_empty() { p.dim { "Nothing differs." } }
            @for file in diff { (difference(file)) }
        }
        section { h2 { "Files" } (files(whole)) }
        section { h2 { "Hash" } (parts::id(&release.hash)) }
    }
}

fn files(whole: &ReleaseView) -> Markup {
    html! {
        @for FileView { file, text } in &whole.files {
            @let name = html! { (parts::text(&file.name)) " " span.dim { (file.part.name()) ", " (parts::number(file.bytes)) " bytes" } };
            @match text {
                Disclosure::Shown(Some(text)) => details { summary { (name) }
                    (script::listing(&Source { file: file.name.clone(), text: text.clone() }, &Marks::default())) },
                Disclosure::Shown(None) => p { (name) },
                Disclosure::Withheld(withheld) => details { summary { (name) } (viewer::withheld(*withheld)) },
            }
        }
    }
}

fn difference(DifferenceView { file, text }: &DifferenceView) -> Markup {
    html! {
        h3 { (parts::text(&file.name)) " " span.dim { (how(file)) } }
        @match text {
            Disclosure::Shown(Some(unified)) => (parts::diff(unified)),
            Disclosure::Shown(None) => p.dim { "Too large to show, or no text." },
            Disclosure::Withheld(withheld) => (viewer::withheld(*withheld)),
        }
    }
}

fn how(file: &FileDiff) -> String {
    let word = match file.change {
        Fate::Added => "added",
        Fate::Removed => "removed",
        Fate::Changed => "changed",
    };
    format!(
        "{word}: {} in, {} out",
        parts::counted(file.added as u64, "line"),
        parts::counted(file.removed as u64, "line")
    )
}

/// Says what going back does, and asks. `diff` leads from the running release to this one.
pub(super) fn confirm(release: &Release, diff: &[DifferenceView]) -> Markup {
    let address = format!("/releases/{}", release.hash);
    html! {
        p.trail { a href="/releases" { "Releases" } " / " a href=(address) { code { (release.label) } } " / go back" }
        h1 { "Go back to " code { (release.label) } "?" }
        section {
            p.lead { "It goes live again within five seconds. Calls in flight end on the release they began with." }
            p { (parts::counted(diff.len() as u64, "file")) " would change, as shown below. The files on disk stay as they are, and do not go live again until they change." }
            p.dim { "Its tests are not run again: it was in force before." }
            form method="post" action={ (address) "/rollback" } {
                div.buttons { button.danger type="submit" { "Go back to " (release.label) } a href=(address) { "Leave everything as it is" } }
            }
        }
        section { h2 { "What would change" } @if diff.is_empty() { p.dim { "Nothing." } } @for file in diff { (difference(file)) } }
    }
}

/// What came of a reload or a rollback.
pub(super) fn done(title: &str, text: &str, problems: &[Finding]) -> Markup {
    html! {
        p.trail { a href="/releases" { "Releases" } }
        h1 { (title) }
        section { p.lead { (parts::text(text)) } (findings(problems)) p { a href="/releases" { "Back to the releases" } } }
    }
}

fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_release_shows_place_excerpt_and_remedy() {
        let finding =
            Finding::error("script/unknown-function", "scripts/a.rhai", "there is no <b>").at("let x = nope(1);", 1, 9);
        let page = findings(&[finding.help("write `yes`")]).into_string();
        for part in ["scripts/a.rhai", ":1:9", "&lt;b&gt;", "let x = nope(1);", "^^^^", "Help: "] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
    }

    #[test]
    fn only_operators_can_go_back_and_only_to_another_release() {
        let page = |state, role| {
            let release = Release {
                hash: "ab".repeat(32),
                label: "abababababab".to_owned(),
                state,
                pinned: false,
                activated_at: None,
                first_activated_at: None,
                who: None,
                commit: None,
                findings: Vec::new(),
                tests: None,
                files: 0,
                bytes: 0,
            };
            one(&ReleaseView { release, files: Vec::new() }, &[], role).into_string()
        };
        assert!(page(Standing::Past, Role::Operator).contains("/rollback"));
        assert!(
            !page(Standing::Running, Role::Operator).contains("/rollback")
                && !page(Standing::Past, Role::Reader).contains("/rollback")
        );
    }
}
