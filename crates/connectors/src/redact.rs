//! What may be told of an answer: short, printable, and without the connector's secrets in any form they may come back in.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use hookgate_model::secret::{Ring, Secret};

/// No excerpt is longer, in characters.
const MOST_CHARACTERS: usize = 200;

/// Shorter pieces of a secret say nothing, and would tear holes into every text.
const SHORTEST: usize = 4;

/// The same for whole answers, on which scripts decide: there a short secret may be any other word.
const SHORTEST_IN_ANSWERS: usize = 8;

/// What stands encoded in an address (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What stands in the place of a secret.
const MASK: &str = "***";

/// The texts that must not be told.
#[derive(Clone, Default)]
pub struct Redact {
    hidden: Vec<String>,
    /// Those that are hidden in whole answers, too.
    of_answers: Vec<String>,
}

impl Redact {
    /// Hides a secret: itself, in base64, the parts around colons (`user:password`), and of an address its path and the last
    /// part of that, and the values of its query.
    #[must_use]
    pub(crate) fn and(mut self, secret: &Secret) -> Self {
        let text = String::from_utf8_lossy(secret.expose()).trim().to_owned();
        self.hide_everywhere(&text);
        for bytes in [secret.expose(), secret.expose().trim_ascii()] {
            self.hide_everywhere(&STANDARD.encode(bytes));
            self.hide_everywhere(&URL_SAFE.encode(bytes));
            self.hide_everywhere(&STANDARD_NO_PAD.encode(bytes));
            self.hide_everywhere(&URL_SAFE_NO_PAD.encode(bytes));
            self.hide_everywhere(&hex::encode(bytes));
        }
        if let Ok(url) = url::Url::parse(&text) {
            self.hide_everywhere(url.as_str());
            // The whole path, but not the one that every address has.
            if url.path().len() > 1 {
                self.hide_everywhere(url.path());
            }
            url.password().into_iter().for_each(|password| self.hide_everywhere(password));
            self.hide(&percent_decode_str(url.path()).decode_utf8_lossy());
            url.path_segments().into_iter().flatten().for_each(|part| self.hide(part));
            url.query().into_iter().for_each(|query| self.hide(query));
            url.query_pairs().for_each(|(_, value)| self.hide_everywhere(&value));
            // As it is written, too: `%2B` instead of `+`.
            let written = url.query().into_iter().flat_map(|query| query.split('&'));
            written.filter_map(|pair| pair.split_once('=')).for_each(|(_, value)| self.hide(value));
        } else if let Some((_, password)) = text.split_once(':') {
            self.hide_everywhere(password);
        }
        for list in [&mut self.hidden, &mut self.of_answers] {
            list.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
            list.dedup();
        }
        self
    }

    /// Hides every secret of a ring.
    #[must_use]
    pub(crate) fn and_all(self, ring: &Ring) -> Self {
        let mut redact = self;
        ring.for_each(|_, secret| redact = std::mem::take(&mut redact).and(secret));
        redact
    }

    /// In what is told of answers, and in answers themselves.
    fn hide_everywhere(&mut self, text: &str) {
        self.hide(text);
        if text.chars().count() < SHORTEST_IN_ANSWERS {
            return;
        }
        let small = |encoded: &str| {
            let mut escape = 0;
            let lower = encoded.chars().map(|letter| {
                escape = if letter == '%' { 2 } else { i32::max(escape - 1, -1) };
                if escape >= 0 { letter.to_ascii_lowercase() } else { letter }
            });
            lower.collect::<String>()
        };
        let encoded = utf8_percent_encode(text, RESERVED).to_string();
        let form: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let forms = [small(&encoded), encoded, small(&form), form, escaped(text), in_html(text)];
        let json =
            [text.replace('/', "\\/"), serde_json::to_string(text).unwrap_or_default().trim_matches('"').to_owned()];
        self.of_answers.push(text.to_owned());
        self.of_answers.extend(forms.into_iter().chain(json).filter(|form| !form.is_empty() && form != text));
    }

    /// An answer without secrets, keys of members included. Says whether there was one.
    pub fn clean(&self, answer: &mut Value) -> bool {
        match answer {
            Value::String(text) => self.clean_text(text),
            Value::Array(items) => items.iter_mut().map(|item| self.clean(item)).fold(false, |found, one| found | one),
            Value::Object(members) => {
                let found = members.values_mut().map(|member| self.clean(member)).fold(false, |found, one| found | one);
                if !members.keys().any(|name| self.is_in(name)) {
                    return found;
                }
                let named = std::mem::take(members).into_iter().map(|(mut name, member)| {
                    self.clean_text(&mut name);
                    (name, member)
                });
                *members = named.collect();
                true
            }
            _ => false,
        }
    }

    fn is_in(&self, text: &str) -> bool {
        self.of_answers.iter().any(|hidden| text.contains(hidden.as_str()))
    }

    fn clean_text(&self, text: &mut String) -> bool {
        let mut found = false;
        for hidden in &self.of_answers {
            if text.contains(hidden.as_str()) {
                *text = text.replace(hidden.as_str(), MASK);
                found = true;
            }
        }
        found
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
    pub(crate) fn excerpt(&self, text: &str) -> String {
        let printable: String = text.chars().filter(|c| !is_invisible(*c)).collect();
        let mut text = printable.split_whitespace().collect::<Vec<_>>().join(" ");
        for hidden in &self.hidden {
            let hidden = hidden.split_whitespace().collect::<Vec<_>>().join(" ");
            text = text.replace(&hidden, MASK);
        }
        match text.char_indices().nth(MOST_CHARACTERS) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

/// As JSON writes it that has nothing but ASCII.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if (byte.is_ascii_graphic() || byte == b' ') && !b"\"\\".contains(&byte) => {
                escaped.push(char::from(byte))
            }
            Ok(byte @ (b'"' | b'\\')) => escaped.extend(['\\', char::from(byte)]),
            _ => escaped.push_str(&format!("\\u{unit:04x}")),
        }
    }
    escaped
}

fn in_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// Control characters but those that separate words, and characters that change how others are shown.
pub(crate) fn is_invisible(c: char) -> bool {
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
    fn no_form_of_a_secret_is_left_in_an_answer() {
        let secrets = [
            "CANapi/Secret+1 \u{fc}&",
            "user:pass-9f3a-w",
            "https://hooks.example/services/T0/B0/x9f8e7d6a?v=1&sig=qwertz%2Buiop",
        ];
        let redact = secrets.iter().fold(Redact::default(), |all, text| all.and(&Secret::new(text.as_bytes())));
        let secret = secrets[0];
        let mut answer = serde_json::json!({
            "status": 200,
            "text": format!("{{\"Authorization\": {}}}", serde_json::to_string(&format!("Bearer {secret}")).unwrap()),
            "forms": [
                secret.replace('/', "\\/"),
                "CANapi/Secret+1 \\u00fc&",
                "CANapi%2FSecret%2B1%20%C3%BC%26",
                "CANapi%2fSecret%2b1%20%c3%bc%26",
                "CANapi%2FSecret%2B1+%C3%BC%26",
                "CANapi/Secret+1 \u{fc}&amp;",
                STANDARD.encode(secret),
                URL_SAFE_NO_PAD.encode(secret),
                hex::encode(secret),
                format!("Basic {}", STANDARD.encode("user:pass-9f3a-w")),
                "pass-9f3a-w",
                "/services/T0/B0/x9f8e7d6a",
                "qwertz+uiop",
            ],
            secret: { "deep": [secret] },
        });
        assert!(redact.clean(&mut answer));
        let told = answer.to_string();
        for part in ["CANapi", "Secret", "pass-9f3a", "x9f8e7d6a", "qwertz", "Q0FOYXBp", "43414e"] {
            assert!(!told.contains(part), "{part}: {told}");
        }
        assert_eq!(answer["status"], 200);
    }

    #[test]
    fn an_answer_without_secrets_stays_as_it_is() {
        let secrets = ["test", "user:pw", "https://hooks.example/services/T0/B0/x9f8e7d6a"];
        let redact = secrets.iter().fold(Redact::default(), |all, text| all.and(&Secret::new(text.as_bytes())));
        let answer = serde_json::json!({ "text": "a test of services by user pw", "n": [1, null, true], "test": "/" });
        let mut cleaned = answer.clone();
        assert!(!redact.clean(&mut cleaned));
        assert_eq!(cleaned, answer);
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
