//! What may be told of an answer: short, printable, and without the connector's secrets in any form they may come back in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use crate::secret::Secret;

/// No excerpt is longer, in characters.
const MOST_CHARACTERS: usize = 200;

/// Shorter pieces of a secret say nothing, and would tear holes into every text.
const SHORTEST: usize = 4;

/// The texts that must not be told.
#[derive(Clone, Default)]
pub struct Redact {
    hidden: Vec<String>,
}

impl Redact {
    /// Hides a secret: itself, in base64, the parts around colons (`user:password`), and of an address its path and the last
    /// part of that, and the values of its query.
    #[must_use]
    pub fn and(mut self, secret: &Secret) -> Self {
        let text = String::from_utf8_lossy(secret.expose()).trim().to_owned();
        self.hide(&text);
        self.hide(&STANDARD.encode(secret.expose()));
        if let Ok(url) = url::Url::parse(&text) {
            self.hide(url.as_str());
            self.hide(url.path());
            self.hide(&percent_decode_str(url.path()).decode_utf8_lossy());
            url.path_segments().into_iter().flatten().for_each(|part| self.hide(part));
            url.query().into_iter().for_each(|query| self.hide(query));
            url.query_pairs().for_each(|(_, value)| self.hide(&value));
            // As it is written, too: `%2B` instead of `+`.
            let written = url.query().into_iter().flat_map(|query| query.split('&'));
            written.filter_map(|pair| pair.split_once('=')).for_each(|(_, value)| self.hide(value));
        } else if let Some((_, password)) = text.split_once(':') {
            self.hide(password);
        }
        self.hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
        self
    }

    fn hide(&mut self, text: &str) {
        if text.chars().count() >= SHORTEST {
            self.hidden.push(text.to_owned());
            // As JSON writes it.
            self.hidden.push(text.replace('/', "\\/"));
            if let Ok(quoted) = serde_json::to_string(text) {
                self.hidden.push(quoted.trim_matches('"').to_owned());
            }
        }
    }

    /// The beginning of a text on one line, without secrets.
    pub fn excerpt(&self, text: &str) -> String {
        let printable: String = text.chars().filter(|c| !is_invisible(*c)).collect();
        let mut text = printable.split_whitespace().collect::<Vec<_>>().join(" ");
        for hidden in &self.hidden {
            let hidden = hidden.split_whitespace().collect::<Vec<_>>().join(" ");
            text = text.replace(&hidden, "***");
        }
        match text.char_indices().nth(MOST_CHARACTERS) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

/// Control characters but those that separate words, and characters that change how others are shown.
pub fn is_invisible(c: char) -> bool {
    (c.is_control() && !c.is_whitespace())
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_a_secret_is_told() {
        let secrets =
            ["hunter-4242", "user:pass-9f3a", "https://hooks.example/services/T0/B0/x9f8e7d6?v=1&sig=qwertz%2Bu"];
        let redact = secrets.iter().fold(Redact::default(), |all, text| all.and(&Secret::new(text.as_bytes())));
        let echoed = "bad token hunter-4242, hunter\u{0}-4242, Basic dXNlcjpwYXNzLTlmM2E=, pass-9f3a; \
            https:\\/\\/hooks.example\\/services\\/T0\\/B0\\/x9f8e7d6 /services/T0/B0/x9f8e7d6 x9f8e7d6 qwertz+u sig=qwertz%2Bu aHVudGVyLTQyNDI=";
        let told = redact.excerpt(echoed);
        for part in ["hunter", "pass-9f3a", "x9f8e7d6", "qwertz", "dXNl", "aHVu"] {
            assert!(!told.contains(part), "{part}: {told}");
        }
        assert!(told.starts_with("bad token ***, ***, Basic ***"), "{told}");
    }

    #[test]
    fn an_excerpt_is_short_and_on_one_line() {
        let redact = Redact::default();
        assert_eq!(redact.excerpt("a\r\n\tb\u{1b}[31mc\u{202e}d"), "a b[31mcd");
        let long = redact.excerpt(&"\u{fc}".repeat(500));
        assert_eq!((long.chars().count(), long.ends_with('…')), (201, true));
    }

    #[test]
    fn a_secret_at_the_cut_is_hidden_whole() {
        let redact = Redact::default().and(&Secret::new(*b"canary-canary"));
        let told = redact.excerpt(&format!("{} canary-canary", "x".repeat(195)));
        assert!(!told.contains("can"), "{told}");
    }
}
