//! The codes of findings: every one that a script can have, as a page for terminals and as Markdown.

use std::fmt::Write;

use crate::cli::output::{BOLD, DIM, paint};
use hookgate_script::lint::codes;
use hookgate_script::lint::codes::Code;
use hookgate_script::lint::codes::testing::TESTED;

/// Every code: those of all scripts, then those of hooks, each once.
pub fn all() -> Vec<&'static Code> {
    let mut all: Vec<&'static Code> = codes::general().collect();
    for code in hookgate_hooks::HOOKS.iter().flat_map(|hook| hook.advice.codes) {
        if !all.iter().any(|known| known.code == code.code) {
            all.push(code);
        }
    }
    all
}

/// The row of that code, which may be written without `script/` or `test/`.
pub fn find(name: &str) -> Option<&'static Code> {
    let short = |code: &Code| code.code.split_once('/').is_some_and(|(_, rest)| rest == name);
    let all = all();
    all.iter().find(|code| code.code == name).or_else(|| all.iter().find(|code| short(code))).copied()
}

/// The hooks that have this code; none means all of them.
fn hooks_of(code: &Code) -> Vec<&'static str> {
    let own = hookgate_hooks::HOOKS.iter().filter(|hook| hook.advice.codes.iter().any(|own| own.code == code.code));
    own.map(|hook| hook.name).collect()
}

/// One code as a terminal shows it.
pub fn page(code: &Code) -> String {
    let mut text = format!("{}  {}\n\n{}\n{}\n", paint(BOLD, code.code), code.title, code.why, code.stage.about());
    let hooks = hooks_of(code);
    if !hooks.is_empty() {
        let _ = writeln!(text, "{} {}", paint(DIM, "in scripts of"), hooks.join(", "));
    }
    let tested = if code.is_of_tests() && !code.bad.is_empty() { TESTED } else { "" };
    for (title, script) in [("Not so", code.bad), ("So", code.good), ("The script that is tested", tested)] {
        if !script.is_empty() {
            let _ = writeln!(text, "\n{}\n{}", paint(BOLD, title), script.trim());
        }
    }
    text.trim_end().to_owned()
}

/// All codes, a line each.
pub fn list() -> String {
    let lines: Vec<String> =
        all().into_iter().map(|code| format!("{:<30} {}", code.code, paint(DIM, code.title))).collect();
    lines.join("\n")
}

/// The page `lint.md`.
pub(super) fn markdown(generated: &str) -> String {
    let mut text = format!("{generated}# What is found in scripts\n\n");
    let _ = writeln!(
        text,
        "`hookgate check` and every reload read the scripts; `hookgate check --explain CODE` prints a part of this page. Errors keep \
         a release from going live, warnings do not. An exception stands on the line of the finding, or on a line of its own above it, \
         and says why:"
    );
    let _ = writeln!(
        text,
        "\n```rhai\n// hookgate: allow script/unused-parameter because the rules for it come next week\n```"
    );
    let _ = writeln!(
        text,
        "\nA test runs every example: the first has the finding, the second has none. Tests in them are of this script:"
    );
    let _ = writeln!(text, "\n```rhai\n{}\n```\n", TESTED.trim());
    let _ = writeln!(text, "| Code | |\n| --- | --- |");
    for code in all() {
        let _ = writeln!(text, "| [`{}`](#{}) | {} |", code.code, code.anchor(), code.title);
    }
    for code in all() {
        let _ = writeln!(text, "\n## {}\n\n**{}.** {} {}", code.code, code.title, code.why, code.stage.about());
        let hooks = hooks_of(code);
        if !hooks.is_empty() {
            let names: Vec<String> = hooks.iter().map(|name| format!("[`{name}`](hooks/{name}.md)")).collect();
            let _ = writeln!(text, "In scripts of {}.", names.join(", "));
        }
        if !code.bad.is_empty() {
            let _ = writeln!(text, "\nNot so:\n\n```rhai bad\n{}\n```", code.bad.trim());
            let _ = writeln!(text, "\nSo:\n\n```rhai\n{}\n```", code.good.trim());
        }
    }
    text
}
