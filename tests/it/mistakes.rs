//! The mistakes that people make first: `tests/mistakes/NAME.rhai` is a wrong script, `NAME.txt` the message about it.
//!
//! The first line of a script is a comment that says the mistake in words. Where it shows only in a call, the line ends with
//! ``Called with the sample `NAME`.`` or with the limits of the route (``Called with `limits = { … }`.``).
//! `UPDATE=1 cargo test --test it mistakes` writes the messages; read the difference as somebody at 3 a.m.
//! [`page`] makes `docs/mistakes.md` of both.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use annotate_snippets::Renderer;
use hookgate_engine::gateway::decide;
use hookgate_engine::gateway::decide::{Asked, InlineRoute};
use hookgate_engine::lookup::Lookups;
use hookgate_engine::outcome::RunFailure;
use hookgate_engine::release::Release;
use hookgate_engine::release::build;
use hookgate_engine::release::build::Secrets;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_hooks::Hook;
use hookgate_model::finding::{Finding, Severity};
use hookgate_script::lanes::Lanes;
use regex::Regex;

use crate::harness::{auths, route_of, write};

/// What nobody who writes scripts should have to understand: Rhai's words and Rust's.
const PUZZLING: [&str; 14] = [
    "EvalAltResult",
    "ErrorFunctionNotFound",
    "ImmutableString",
    "&str |",
    "Dynamic",
    "i64",
    "f64",
    "getter is not registered",
    "is not in the expected type",
    "Expecting",
    "xpecting",
    "indexer",
    "non-pure",
    "Inner(",
];

/// Mistakes that have no place: nothing is there, or what is wrong is the value that came out at the end.
const WITHOUT_LINE: [&str; 2] = ["entry_empty", "rule_outside_functions"];

/// A wrong script.
struct Mistake {
    name: String,
    source: String,
    /// What the first line says about the call, if it shows only then.
    call: Option<String>,
    path: PathBuf,
}

/// One complaint, as people read it.
struct Said {
    text: String,
    /// Without excerpt.
    words: String,
    line: usize,
    severity: Severity,
}

impl From<&Finding> for Said {
    fn from(finding: &Finding) -> Self {
        Self {
            text: finding.render(&Renderer::plain()),
            words: format!("{}\n{}", finding.message, finding.help.as_deref().unwrap_or_default()),
            line: finding.line,
            severity: finding.severity,
        }
    }
}

fn mistakes() -> Vec<Mistake> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes");
    let entries = fs::read_dir(folder).expect("the folder can be read").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "rhai")).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let source = fs::read_to_string(&path).expect("a script can be read");
        let first = source.lines().next().unwrap_or_default();
        let call = first.split_once("Called with ").map(|(_, call)| call.to_owned());
        let name = path.file_stem().expect("a script has a name").to_string_lossy().into_owned();
        Mistake { name, call, path, source }
    };
    paths.into_iter().map(read).collect()
}

impl Mistake {
    fn hook(&self) -> &'static Hook {
        let meant = hookgate_hooks::HOOKS.iter().find(|hook| self.source.contains(&format!("\nfn {}(", hook.entry)));
        let entry = self.source.contains("The entry function of another hook");
        let default = hookgate_hooks::find("okta.registration").expect("the hook is there");
        if entry { default } else { meant.unwrap_or(default) }
    }

    /// What stands between backticks in the part of the first line about the call, after `before`.
    fn asked(&self, before: &str) -> Option<&str> {
        let (_, rest) = self.call.as_deref()?.split_once(before)?;
        rest.split('`').next()
    }

    fn config(&self) -> String {
        let hook = self.hook();
        let limits = self.asked("`limits = ").unwrap_or("{ deadline_ms = 20_000 }");
        let limits = format!("limits = {limits}\n");
        format!(
            "[scripts]\ngate = \"check\"\n\n[tables.disposable]\nfile = \"tables/disposable.txt\"\nkind = \"domains\"\n\n{}{}{limits}",
            auths([hook]),
            route_of(hook, "signup", "rule.rhai")
        )
    }

    /// Everything that loading it and, if it goes live, calling it says about the script. On a busy machine the place of a
    /// run that hit a limit may not be found in time, so it is looked for again.
    fn said(&self, lanes: &Lanes) -> Vec<Said> {
        const TRIES: usize = 5;
        let mut said = self.said_once(lanes);
        for _ in 1..TRIES {
            if said.iter().all(|said| said.line > 0) {
                break;
            }
            said = self.said_once(lanes);
        }
        said
    }

    fn said_once(&self, lanes: &Lanes) -> Vec<Said> {
        let folder = tempfile::tempdir().expect("a folder can be made");
        write(folder.path(), "gateway.toml", &self.config());
        write(folder.path(), "scripts/rule.rhai", &self.source);
        write(folder.path(), "tables/disposable.txt", "mailinator.com\n");
        if self.source.contains("import ") {
            let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/lib/domains.rhai");
            let shared = fs::read_to_string(shared).expect("the shared file can be read");
            write(folder.path(), "scripts/lib/domains.rhai", &shared);
        }
        let place = Place::of(&folder.path().join("gateway.toml"));
        let of_script = |finding: &&Finding| finding.file.ends_with("rule.rhai");
        match build::check(&place, Secrets::Skip, &Metrics::new()) {
            Err(findings) => findings.iter().filter(of_script).map(Said::from).collect(),
            Ok(release) => {
                let warnings = release.warnings.iter().filter(of_script).filter(|warning| warning.line > 0);
                warnings.map(Said::from).chain(self.called(&release, lanes)).collect()
            }
        }
    }

    fn called(&self, release: &Release, lanes: &Lanes) -> Option<Said> {
        self.call.as_ref()?;
        let route = &release.routes[0];
        let at = InlineRoute::of(release, route);
        let at = at.unwrap_or_else(|| panic!("{}: an event is not called here", self.name));
        let name = self.asked("sample `").unwrap_or(route.hook.samples[0].name);
        let sample = route.hook.samples.iter().find(|sample| sample.name == name);
        let sample = sample.unwrap_or_else(|| panic!("{}: there is no sample `{name}`", self.name));
        let request = (route.hook.decode)(&sample.request.into()).expect("samples are calls");
        let deadline = Instant::now() + Duration::from_millis(route.limits.deadline_ms);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let outcome = runtime.block_on(decide::decide(
            lanes,
            &Lookups::on_trial(Metrics::new()),
            at,
            &request,
            Asked { deadline, parent: None },
        ));
        match outcome.failure? {
            RunFailure::Script(error) => Some(Said::from(&error.finding)),
            other => panic!("{}: {other}", self.name),
        }
    }

    /// What is wrong with these messages, whatever they say.
    fn problems(&self, said: &[Said]) -> Vec<String> {
        let mut problems = Vec::new();
        let errors = said.iter().filter(|said| said.severity == Severity::Error).count();
        match (said.is_empty(), &self.call) {
            (true, None) => problems.push("nothing is said when it is loaded".to_owned()),
            (_, Some(_)) if errors == 0 => problems.push("the call does not fail".to_owned()),
            _ => {}
        }
        for said in said {
            if said.line == 0 && !WITHOUT_LINE.contains(&self.name.as_str()) {
                problems.push("no line is given".to_owned());
            }
            let prose: String = said.words.split('`').step_by(2).collect();
            let puzzling = PUZZLING.iter().filter(|word| said.words.contains(**word)).map(|word| (*word).to_owned());
            let of_rust = RUST.find_iter(&prose).map(|found| found.as_str().to_owned());
            problems.extend(puzzling.chain(of_rust).map(|word| format!("`{word}` is no word for people")));
        }
        problems
    }
}

/// Words that are fine in code of scripts, between backticks, and nowhere else.
static RUST: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"::|\bFn\b|\bUNIT\b|\bErr\b").expect("a pattern"));

/// Every mistake with what is said about it now: the page needs it, too.
static EXPLAINED: LazyLock<Vec<(Mistake, Vec<Said>)>> = LazyLock::new(|| {
    let lanes = Lanes::start().expect("threads can be started");
    let explain = |mistake: Mistake| {
        let said = mistake.said(&lanes);
        (mistake, said)
    };
    mistakes().into_iter().map(explain).collect()
});

fn message(said: &[Said]) -> String {
    said.iter().map(|said| said.text.as_str()).collect::<Vec<_>>().join("\n\n") + "\n"
}

#[test]
fn every_mistake_is_explained_in_these_words() {
    let update = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    for (mistake, said) in EXPLAINED.iter() {
        let text = message(said);
        let path = mistake.path.with_extension("txt");
        let known = fs::read_to_string(&path).unwrap_or_default();
        let mut problems = mistake.problems(said);
        if known != text && update {
            fs::write(&path, &text).expect("a message can be written");
        } else if known != text {
            problems.push(format!("the message was\n{known}"));
        }
        if !problems.is_empty() {
            wrong.push(format!("=== {}: {}\n{text}", mistake.name, problems.join("; ")));
        }
    }
    assert!(EXPLAINED.len() >= 100, "only {} mistakes were found", EXPLAINED.len());
    assert!(
        wrong.is_empty(),
        "{}\n\nIf only the words changed: UPDATE=1 cargo test --test it mistakes",
        wrong.join("\n")
    );
}

#[test]
fn every_message_belongs_to_a_script_and_every_script_says_its_mistake() {
    let all = mistakes();
    let names: BTreeSet<&str> = all.iter().map(|mistake| mistake.name.as_str()).collect();
    let folder = all[0].path.parent().expect("a file has a folder");
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        assert!(names.contains(name.as_str()), "{} belongs to no script", path.display());
    }
    for mistake in &all {
        let first = mistake.source.lines().next().unwrap_or_default().trim_start_matches('\u{feff}');
        assert!(first.starts_with("// ") && first.ends_with('.'), "{}: its first line is no sentence", mistake.name);
    }
}

/// `docs/mistakes.md`.
pub fn page() -> String {
    let mut text = String::from(
        "<!-- Generated from tests/mistakes. `UPDATE=1 cargo test --test it docs` writes it anew. -->\n\n\
         # Mistakes and their messages\n\n\
         Search this page for a message to find a script that gets it. Each script here is wrong as its first line says;\n\
         below it is what `hookgate check` prints or, where the first line names a call, `hookgate call`.\n",
    );
    for (mistake, said) in EXPLAINED.iter() {
        let name = mistake.name.replace('_', " ");
        let script = mistake.source.trim_start_matches('\u{feff}').trim_end();
        let _ =
            writeln!(text, "\n## {name}\n\n```rhai wrong\n{script}\n```\n\n```text\n{}\n```", message(said).trim_end());
    }
    text
}
