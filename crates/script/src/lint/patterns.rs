//! Regular expressions that are written out: whether they are any, and whether anything can match them.

use regex_syntax::hir::{Hir, HirKind, Look};
use rhai::{Expr, FnCallExpr, Position};

use crate::lint::walk::Walker;
use crate::prelude::pattern;

impl Walker<'_, '_> {
    /// Looks at the arguments of a call that the table calls `pattern`.
    pub(crate) fn patterns(&mut self, call: &FnCallExpr, method: bool) {
        let mut forms = self.input.known.forms(&call.name).iter().filter(|form| form.receiver().is_none());
        let Some(form) = forms.find(|form| form.signature.fits(call.args.len(), method)) else { return };
        let Some(place) = form.signature.params().iter().position(|param| param.name == "pattern") else { return };
        let place = if method { place.checked_sub(1) } else { Some(place) };
        let Some(argument) = place.and_then(|place| call.args.get(place)) else { return };
        if let Some(text) = self.literal(argument).and_then(|value| value.into_immutable_string().ok()) {
            self.pattern(&text, argument);
        }
    }

    fn pattern(&mut self, text: &str, argument: &Expr) {
        let position: Position = argument.start_position();
        match pattern::parsed(text) {
            Err(error) => {
                let said = error.to_string();
                let message = said.strip_prefix("Runtime error: ").unwrap_or(&said).to_owned();
                let help = "look-around and back-references are not there; `\\\\` in a text makes one `\\`".to_owned();
                self.report.error("script/regex", position, message, help);
            }
            Ok(pattern) if never_matches(&pattern) => {
                let message = format!("no text can match `{text}`");
                let help = "`^` and `$` are the ends of the text; as characters write `\\\\^` and `\\\\$`".to_owned();
                self.report.warning("script/regex-never-matches", position, message, help);
            }
            Ok(_) => {}
        }
    }
}

/// Whether it is certain that no text matches.
pub(crate) fn never_matches(pattern: &Hir) -> bool {
    // An empty class, alone or where it must be passed.
    if pattern.properties().minimum_len().is_none() {
        return true;
    }
    match pattern.kind() {
        HirKind::Concat(parts) => {
            let consumes = |parts: &[Hir]| parts.iter().any(|part| part.properties().minimum_len() != Some(0));
            parts.iter().any(never_matches)
                || parts.iter().enumerate().any(|(index, part)| {
                    (must_stand_at(part, Look::Start) && consumes(&parts[..index]))
                        || (must_stand_at(part, Look::End) && consumes(&parts[index + 1..]))
                })
        }
        HirKind::Alternation(parts) => parts.iter().all(never_matches),
        HirKind::Capture(capture) => never_matches(&capture.sub),
        HirKind::Repetition(repetition) => repetition.min > 0 && never_matches(&repetition.sub),
        _ => false,
    }
}

/// Whether a match goes through that end of the text, whatever else it does.
fn must_stand_at(pattern: &Hir, end: Look) -> bool {
    match pattern.kind() {
        HirKind::Look(look) => *look == end,
        HirKind::Concat(parts) => parts.iter().any(|part| must_stand_at(part, end)),
        HirKind::Alternation(parts) => parts.iter().all(|part| must_stand_at(part, end)),
        HirKind::Capture(capture) => must_stand_at(&capture.sub, end),
        HirKind::Repetition(repetition) => repetition.min > 0 && must_stand_at(&repetition.sub, end),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use regex_syntax::Parser;

    use super::*;

    #[test]
    fn only_what_certainly_never_matches_is_said_to() {
        let never = |text: &str| never_matches(&Parser::new().parse(text).expect("a pattern"));
        for text in ["$a", "a^", "a$b", "(a|b)^", "x(^a|^b)", "(a$)+b", "[a&&b]", "a[^\\s\\S]", "($)a", "a+$ "] {
            assert!(never(text), "{text}");
            assert!(!regex::Regex::new(text).expect("a pattern").is_match("a$b ab^a x^a\na\nb"), "{text}");
        }
        for text in
            ["^a$", "a*^b", "(?m)a$\nb", "(^|,)a", "a($|,)", "^^a$$", "a|$b", "($a)?b", "\\^a\\$", "x?$", "^$", ""]
        {
            assert!(!never(text), "{text}");
        }
    }
}
