//! The pages of `docs` as a terminal shows them. Those for the folder `docs/` are made by `pages`.

use std::fmt::Write;

use crate::cli::docs::parts;
use crate::cli::output::{BOLD, DIM, paint};
use crate::hooks::Hook;
use crate::script::library::Entry;

/// When the hook is called, what its script may read and return, and what happens without an answer.
pub(super) fn of_hook(hook: &Hook) -> String {
    let mut text = format!("{}  {}\n\n", paint(BOLD, hook.name), hook.about);
    let _ = writeln!(text, "{}  {}", paint(DIM, "entry"), parts::entry(hook));
    let _ = writeln!(text, "{}  {}", paint(DIM, "without an answer"), hook.silence);
    for form in hook.on_failure {
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
            let _ = writeln!(text, "  {}\n      {}", entry.signature(), paint(DIM, entry.doc.about));
        }
    }
    let types: Vec<&str> = parts.types.iter().map(|(entry, _)| entry.name).collect();
    if !types.is_empty() {
        let _ = writeln!(text, "\n{} {}", paint(DIM, "its types:"), types.join(", "));
    }
    if let Some(sample) = hook.samples.first() {
        let _ = writeln!(text, "\n{}\n{}", paint(BOLD, "Example"), sample.script.trim());
    }
    text
}

/// One registration.
pub(super) fn of_entry(entry: &Entry, hooks: &[&str]) -> String {
    let mut text = format!("{}\n    {}\n", paint(BOLD, entry.signature()), entry.doc.about);
    if !hooks.is_empty() {
        let _ = writeln!(text, "    {} {}", paint(DIM, "in scripts of"), hooks.join(", "));
    }
    if !entry.doc.example.is_empty() {
        let _ = writeln!(text, "    {} {}", paint(DIM, "true:"), entry.doc.example);
    }
    text
}
