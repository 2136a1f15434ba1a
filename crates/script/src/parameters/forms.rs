//! What texts have to look like, and how values are shown.

use rhai::{Array, Dynamic, ImmutableString};

use crate::parameters::Form;
use crate::parameters::check::is_bare;
use hookgate_model::finding::nearest;
use hookgate_model::moment;
use hookgate_model::secret::literal;

/// Values longer than this are not shown in a message.
const MOST_SHOWN: usize = 60;

pub(super) fn cut(text: &str, sign: &str) -> Array {
    text.split(sign).map(|part| part.trim().into()).collect()
}

pub(super) fn near_word(value: &Dynamic, words: &[String]) -> Option<String> {
    let text = value.read_lock::<ImmutableString>()?;
    let lower = text.to_lowercase();
    let near = nearest(&lower, words.iter().map(String::as_str))?;
    Some(format!("did you mean \"{near}\"?"))
}

/// Whether a text has a form that needs nothing but the text.
pub(super) fn is_of_form(form: &Form, text: &str) -> bool {
    match form {
        Form::Text(Some(pattern)) => pattern.compiled.is_match(text),
        Form::Duration(longest) => moment::length(text).is_ok_and(|length| {
            let longest = longest.as_ref().and_then(|longest| moment::length(longest).ok());
            !length.is_zero() && longest.is_none_or(|longest| length <= longest)
        }),
        Form::Rate => text.split_once('/').is_some_and(|(most, window)| {
            most.trim().parse::<u32>().is_ok() && moment::length(window).is_ok_and(|window| !window.is_zero())
        }),
        Form::Domain => is_domain(text),
        Form::Event => text == "*" || text.strip_suffix(".*").unwrap_or(text).split('.').all(is_bare),
        _ => true,
    }
}

/// `example.com`, `*.example.com` or `ann@example.com`, in any script.
fn is_domain(text: &str) -> bool {
    let is_part = |part: &str| {
        let odd = |c: char| c.is_whitespace() || c.is_control() || "@*/:".contains(c);
        !part.is_empty() && !part.contains(odd)
    };
    match (text.strip_prefix("*."), text.split_once('@')) {
        (Some(domain), _) => is_part(domain),
        (None, Some((mailbox, domain))) => is_part(mailbox) && is_part(domain),
        (None, None) => is_part(text),
    }
}

/// What somebody wrote, for a message. What may be a secret is not shown.
pub(super) fn shown(value: &Dynamic) -> String {
    if let Some(text) = value.read_lock::<ImmutableString>() {
        let is_shown = text.len() <= MOST_SHOWN && literal::secret_in(&text).is_none() && !literal::looks_random(&text);
        return if is_shown { format!("{:?}", text.as_str()) } else { "this text".to_owned() };
    }
    match value.type_name() {
        "i64" | "f64" | "bool" => value.to_string(),
        "array" => "a list".to_owned(),
        "map" => "a table".to_owned(),
        name if name.ends_with("Hidden") => "a secret".to_owned(),
        _ => "this".to_owned(),
    }
}
