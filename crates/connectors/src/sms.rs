//! What the connectors that send codes have in common: how a message is written for them, and how little of an answer is told.
//!
//! Providers repeat the number and the text in their answers. So nothing of an answer is told but its status and codes that are
//! made of letters and digits. Buffers with the code in them are overwritten when they go.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::client::Answer;
use crate::{Trouble, What};
use hookgate_model::message::{Channel, Message};
use hookgate_model::secret::Secret;

pub(crate) mod template;

/// The longest id of a provider that is told.
const MOST_ID: usize = 128;

/// A secret as text. What arrived in JSON is UTF-8.
pub(crate) fn revealed(secret: &Secret) -> &str {
    std::str::from_utf8(secret.expose()).unwrap_or_default()
}

/// A body that is overwritten when it goes.
pub(crate) fn body(text: Zeroizing<String>) -> Bytes {
    struct Owned(Zeroizing<String>);
    impl AsRef<[u8]> for Owned {
        fn as_ref(&self) -> &[u8] {
            self.0.as_bytes()
        }
    }
    Bytes::from_owner(Owned(text))
}

/// `application/x-www-form-urlencoded`, with everything but unreserved characters encoded, as signatures of AWS want it, too.
pub(crate) fn form<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Zeroizing<String> {
    // Grown buffers leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        encode(&mut text, name);
        text.push('=');
        encode(&mut text, value);
    }
    text
}

fn encode(into: &mut String, text: &str) {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            into.push('%');
            into.push(char::from(DIGITS[usize::from(byte >> 4)]));
            into.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

pub(crate) fn form_headers() -> HeaderMap {
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    HeaderMap::from_iter([(CONTENT_TYPE, kind)])
}

/// Refuses a call where only texts are sent.
///
/// # Errors
/// It is to be spoken.
pub(crate) fn only_texts(message: &Message) -> Result<(), Trouble> {
    match message.channel {
        Channel::Sms => Ok(()),
        Channel::Voice => Err(Trouble::refused("it sends texts and makes no calls")),
    }
}

/// The code as it is spoken: `0, 0, 4, 7`.
pub(crate) fn spoken(code: &Secret) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(256));
    for character in revealed(code).chars().filter(|character| !character.is_whitespace()).take(32) {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push(character);
    }
    text
}

/// What the status of an answer says, and nothing of its body but a code.
///
/// # Errors
/// It was not sent.
pub(crate) fn judge(answer: &Answer, code: Option<&str>) -> Result<(), Trouble> {
    let told = code.map_or_else(String::new, |code| format!(" ({code})"));
    let status = Some(answer.status);
    let what = match answer.status {
        200..=299 => return Ok(()),
        408 | 425 | 429 | 500..=599 => What::NotDelivered { retry_after: answer.retry_after },
        _ => What::Refused,
    };
    Err(Trouble { what, status, message: format!("it answered {}{told}", answer.status) })
}

/// An answer of success without an id that can be read: it may have been sent.
pub(crate) fn unreadable(answer: &Answer) -> Trouble {
    let message = match answer.complete {
        true => format!("it answered {}, and what it says cannot be read", answer.status),
        false => "its answer broke off before it said whether it was sent".to_owned(),
    };
    Trouble { what: What::MaybeDelivered, status: Some(answer.status), message }
}

/// An id or a code of a provider, if it looks like one.
pub(crate) fn plain(text: &str) -> Option<String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@+/=".contains(&byte);
    (!text.is_empty() && text.len() <= MOST_ID && text.bytes().all(good)).then(|| text.to_owned())
}

/// The same of a member of JSON, a text or a number.
pub(crate) fn plain_member(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => plain(text),
        Value::Number(number) => plain(&number.to_string()),
        _ => None,
    }
}

/// Whether a text has only letters of the GSM alphabet (3GPP 23.038), of which 160 fit into a message; of others 70.
pub(crate) fn is_gsm(text: &str) -> bool {
    const LETTERS: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§\
        ¿abcdefghijklmnopqrstuvwxyzäöñüà\u{c}^{}\\[~]|€";
    text.chars().all(|letter| LETTERS.contains(letter))
}
