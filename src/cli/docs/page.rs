//! The pages of `docs` as a terminal shows them. Those for the folder `docs/` are made by `pages`.

use std::fmt::Write;

use crate::cli::docs::named::{Named, Place};
use crate::cli::docs::parts;
use crate::cli::output::{BOLD, DIM, paint};
use hookgate_engine::harness::shapes;
use hookgate_hooks::Hook;
use hookgate_script::library::{Effect, Entry};

/// When the hook is called, what its script may read and return, and what happens without an answer.
pub(super) fn of_hook(hook: &'static Hook) -> String {
    let mut text = format!("{}  {}\n\n", paint(BOLD, hook.name), hook.about);
    let _ = writeln!(text, "{}  {}", paint(DIM, "entry"), parts::entry(hook));
    let _ = writeln!(text, "{}  {}", paint(DIM, "without an answer"), hook.silence);
    for form in hook.on_failure() {
        let _ = writeln!(text, "{}  {:<20} {}", paint(DIM, "on_failure ="), parts::failure(form), form.about);
    }
    let parts = parts::of(hook);
    for (title, rows) in
        [("Commands", &parts.commands), ("Constants", &parts.constants), (hook.request, &parts.request)]
    {
        if !rows.is_empty() {
            let _ = writeln!(text, "\n{}", paint(BOLD, title));
        }
        for entry in rows {
            let _ = writeln!(text, "  {}\n      {}", entry.signature, paint(DIM, entry.doc.about));
            if entry.effect == Effect::Command && !entry.doc.example.is_empty() {
                let _ = writeln!(text, "      {} {}", paint(DIM, "so:"), entry.doc.example);
            }
        }
    }
    let types: Vec<&str> = parts.types.iter().map(|(entry, _)| entry.name()).collect();
    if !types.is_empty() {
        let _ = writeln!(text, "\n{} {}", paint(DIM, "its types:"), types.join(", "));
    }
    let _ =
        writeln!(text, "\n{} {}", paint(BOLD, "In tests"), paint(DIM, format!("let outcome = {};", parts::run(hook))));
    for shape in shapes::of(hook) {
        let _ = writeln!(text, "  {}", shape.result);
        for line in [shape.before, shape.script].into_iter().filter(|line| !line.is_empty()) {
            let _ = writeln!(text, "      {line}");
        }
        for condition in shape.holds {
            let _ = writeln!(text, "      {} {condition}", paint(DIM, "holds:"));
        }
    }
    if let Some(sample) = hook.samples.first() {
        let _ = writeln!(text, "\n{}\n{}", paint(BOLD, "Example"), sample.script.trim());
    }
    text
}

/// One registration.
pub(super) fn of_entry(named: &Named) -> String {
    let entry: &Entry = named.entry;
    let mut text = format!("{}\n    {}\n", paint(BOLD, &entry.signature), entry.doc.about);
    match &named.place {
        Place::Everywhere => {}
        Place::Hooks(hooks) => {
            let _ = writeln!(text, "    {} {}", paint(DIM, "in scripts of"), hooks.join(", "));
        }
        Place::Tests => {
            let _ = writeln!(text, "    {}", paint(DIM, "in tests of scripts"));
        }
    }
    if !entry.doc.example.is_empty() {
        let title = entry.example_title().to_lowercase();
        let _ = writeln!(text, "    {} {}", paint(DIM, format!("{title}:")), entry.doc.example);
    }
    text
}
