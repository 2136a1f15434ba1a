//! E-mail addresses that are taken apart as texts.

use rhai::{Expr, FnCallExpr, Position};

use crate::lint::values::Link;
use crate::lint::walk::Walker;
use crate::shape::Shape;

impl Walker<'_, '_> {
    /// A method of a text that may be an address or its domain. `before` are the pieces in front of the dot; `owner` is the
    /// type of what the last of them belongs to.
    pub(crate) fn address_as_text(
        &mut self,
        call: &FnCallExpr,
        before: &[Link],
        owner: Shape,
        of: Shape,
        position: Position,
    ) {
        let argument = call.args.first().and_then(|argument| self.literal(argument));
        let Some(argument) = argument.and_then(|value| value.into_immutable_string().ok()) else { return };
        let property = match before.last().map(|link| link.expression) {
            Some(Expr::Property(property, _)) => property.2.as_str(),
            _ => "",
        };
        let email = matches!(owner, Shape::Value("Email"));
        let of_email = matches!(of, Shape::Value("Email"));
        let method = call.name.as_str();
        let help = match method {
            "split" if argument == "@" => in_parts(email || of_email),
            "contains" | "ends_with" if is_domain_part(&argument) => domain_in(email || of_email, &argument),
            "ends_with" if email && property == "domain" => domain_in(true, &argument),
            "ends_with" if email && property == "text" => domain_in(true, &argument),
            _ => return,
        };
        let message = format!("`{method}` looks at letters, and an address has more than one spelling");
        self.report.warning("script/email-text", position, message, help);
    }

    /// `"@example.com" in text`, `after(text, "@")`
    pub(crate) fn address_in_text(&mut self, call: &FnCallExpr, position: Position) {
        let literal = |index: usize| call.args.get(index).and_then(|argument| self.literal(argument));
        // Rhai turns `a in b` into `contains(b, a)`.
        let written = literal(1).and_then(|value| value.into_immutable_string().ok());
        let (name, help) = match (call.name.as_str(), written) {
            ("contains", Some(text)) if is_domain_part(&text) => ("in", domain_in(false, &text)),
            ("after", Some(text)) if text == "@" => ("after", in_parts(false)),
            _ => return,
        };
        let message = format!("`{name}` looks at letters, and an address has more than one spelling");
        self.report.warning("script/email-text", position, message, help);
    }
}

fn in_parts(is_email: bool) -> String {
    if is_email { "use `.domain` or `.local`" } else { "write `email(text).domain`, or `.local`" }.to_owned()
}

fn domain_in(is_email: bool, domain: &str) -> String {
    let subject = if is_email { "" } else { "email(text)" };
    let name = domain.trim_start_matches(['@', '.']);
    if domain.starts_with('.') {
        return format!("write `{subject}.domain_in([\"*.{name}\"])`");
    }
    format!("write `{subject}.domain_in([\"{name}\"])`; `\"*.{name}\"` stands for its subdomains")
}

/// `@example.com`: an address' end, and nothing else.
fn is_domain_part(text: &str) -> bool {
    text.len() > 1 && text.starts_with('@') && text[1..].contains('.')
}
