//! The one place that prints. Text is made with colour, and loses it where nobody would see it.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use annotate_snippets::Renderer;
use anstream::ColorChoice;
use clap::builder::styling::{AnsiColor, Style};
use serde_json::Value;

use crate::cli::Colour;
use hookgate_engine::telemetry::escape::visible;
use hookgate_model::finding::{Finding, Severity};

pub const BOLD: Style = Style::new().bold();
pub const DIM: Style = Style::new().dimmed();
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
pub const BAD: Style = AnsiColor::Red.on_default().bold();
pub const ODD: Style = AnsiColor::Yellow.on_default().bold();

/// Settles for the whole process when to colour.
pub fn colour(when: Colour) {
    let choice = match when {
        Colour::Auto => ColorChoice::Auto,
        Colour::Always => ColorChoice::Always,
        Colour::Never => ColorChoice::Never,
    };
    choice.write_global();
}

/// A line on stdout. Whoever closed it early (`| head`) has seen enough.
pub fn line(text: impl Display) {
    let _ = writeln!(anstream::stdout().lock(), "{text}");
}

/// A line on stderr: what is about the work, not its result.
pub fn note(text: impl Display) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Whether somebody sees what is noted on stderr as it is written.
pub fn is_seen() -> bool {
    std::io::stderr().is_terminal()
}

/// Writes `text` over the line that stands on the terminal; an empty text takes it away. Only where [`is_seen`].
pub fn rewrite(text: &str) {
    let mut terminal = std::io::stderr().lock();
    let _ = write!(terminal, "\r\x1b[K{text}").and_then(|()| terminal.flush());
}

/// Bytes on stdout, as they are.
pub fn bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// Whether somebody reads what is noted, and can answer.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Says what will happen and waits for a yes; anything else is a no.
pub fn ask(what: &str) -> bool {
    let mut terminal = anstream::stderr().lock();
    let _ = write!(terminal, "{what}. Go on? [y/N] ").and_then(|()| terminal.flush());
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok() && ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

/// An empty screen, where stdout is one.
pub fn clear_screen() {
    let mut out = std::io::stdout();
    if out.is_terminal() {
        let _ = write!(out, "\x1b[2J\x1b[3J\x1b[H");
    }
}

/// Indented JSON on stdout.
pub fn json(value: &Value) {
    line(pretty(value));
}

/// As JSON on several lines, in which nothing acts on a terminal: only texts hold such letters, and there an escape means them.
pub fn pretty(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).expect("a JSON value can always be written");
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}

/// Why a command cannot run, with its causes.
pub fn error(error: &anyhow::Error) {
    note(format_args!("{} {error:#}", paint(BAD, "error:")));
}

/// Findings with excerpt, caret and remedy.
pub fn rendered(findings: &[Finding]) -> String {
    let renderer = Renderer::styled();
    findings.iter().map(|finding| finding.render(&renderer)).collect::<Vec<_>>().join("\n\n")
}

/// `3 errors, 1 warning`; nothing for none.
pub fn tally(findings: &[Finding]) -> String {
    let of = |severity: Severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(paint(BAD, counted(errors, "error")));
    }
    if warnings > 0 {
        parts.push(paint(ODD, counted(warnings, "warning")));
    }
    parts.join(", ")
}

/// `1 route`, `2 routes`.
pub fn counted(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// The text in that style.
pub fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_counted_by_severity() {
        let findings = [
            Finding::error("config/x", "gateway.toml", "a"),
            Finding::error("config/x", "gateway.toml", "b"),
            Finding::warning("config/x", "gateway.toml", "c"),
        ];
        assert_eq!(anstream::adapter::strip_str(&tally(&findings)).to_string(), "2 errors, 1 warning");
        assert_eq!(tally(&[]), "");
    }
}
