//! From a task to the text of a mail: who gets it, its headers, its parts.
//!
//! Headers are made of what scripts give, and that may be what strangers wrote. So a subject and the name before an address become
//! one line in which nothing can end the header or be taken for an encoded word, and an address is one or is refused.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::Address;
use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use serde_json::Value;

use crate::Order;
use crate::wording;
use hookgate_model::command::{Mail, Task};

/// Of a text that becomes a subject, in characters.
const MOST_SUBJECT: usize = 120;

/// Of a subject that a script gives, in characters. No line of a mail has more than 998 bytes (RFC 5322 2.1.1).
const MOST_OWN_SUBJECT: usize = 250;

/// Of the name before an address, in characters.
const MOST_NAME: usize = 120;

/// What stands where nothing of a subject can be seen.
const NO_SUBJECT: &str = "(no subject)";

/// An encoded word has at most 75 characters (RFC 2047 2), of which base64 gets 60: so many bytes.
const WORD_BYTES: usize = 42;

/// A mail as the relay gets it.
pub(super) struct Letter {
    pub(super) from: Address,
    pub(super) to: Vec<Address>,
    pub(super) text: Vec<u8>,
}

/// What a mail says, before it is put into its form.
struct Content {
    to: Vec<Mailbox>,
    cc: Vec<Mailbox>,
    reply_to: Option<Mailbox>,
    subject: String,
    text: String,
    html: Option<String>,
}

impl Letter {
    /// An address needs more than ASCII.
    pub(super) fn needs_utf8(&self) -> bool {
        self.to.iter().chain([&self.from]).any(|address| !AsRef::<str>::as_ref(address).is_ascii())
    }
}

/// Whether a mail can be made of a task.
pub(super) fn check(task: &Task, from: &Mailbox, to: &[Mailbox]) -> Result<(), String> {
    let content = content(task, to)?;
    content.built(from, "check", 0).map(|_| ())
}

pub(super) fn of_order(order: &Order, from: &Mailbox, to: &[Mailbox]) -> Result<Letter, String> {
    let mut content = content(&order.action.task, to)?;
    if order.gathered_count > 0 {
        content.subject = format!("{} (and {} more)", content.subject, order.gathered_count);
        content.text = wording::digest(order);
        content.html = None;
    }
    content.built(from, &order.key, order.received)
}

/// An address of the settings, with a name before it or not.
pub(super) fn mailbox(written: &str) -> Result<Mailbox, String> {
    if wording::printable(written) != *written || written.contains('\n') {
        return Err("an address has a line end or another control character".to_owned());
    }
    person(written)
}

/// An address that a script gives. Its name shows what it holds, and its domain is ASCII.
fn person(written: &str) -> Result<Mailbox, String> {
    let no_address = || "is not an address such as `a@b.example` or `Name <a@b.example>`".to_owned();
    let written = written.trim();
    let (name, address) = match written.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((name, address)) => (name.trim().trim_matches('"'), address.trim()),
        None => ("", written),
    };
    let (local, domain) = address.rsplit_once('@').ok_or_else(no_address)?;
    // A hidden letter would make it the address of somebody else.
    if wording::printable(address) != address || address.contains(['\n', '\t', ' ']) {
        return Err(no_address());
    }
    let domain = idna::domain_to_ascii(domain).map_err(|_| no_address())?;
    let address = Address::new(local, domain).map_err(|_| no_address())?;
    let name = wording::one_line(name, MOST_NAME).replace("=?", "= ?");
    Ok(Mailbox::new(Some(name).filter(|name| !name.is_empty()), address))
}

fn content(task: &Task, default: &[Mailbox]) -> Result<Content, String> {
    let (subject, text, html, mail) = match task {
        Task::Email(mail) => (mail.subject.clone(), mail.text.clone(), mail.html.clone(), Some(mail)),
        Task::Notify { message } => {
            let (subject, text) = notification(message)?;
            (subject, text, None, None)
        }
        Task::Request { method, .. } => return Err(format!("it sends mail: it takes no `{}`", method.name())),
        Task::Forward => return Err("it sends mail: it takes no `forward`".to_owned()),
        Task::Account(account) => return Err(wording::no_accounts("smtp", account.verb)),
        Task::Impossible { problem, .. } => return Err(problem.clone()),
    };
    let (text, html) = (wording::printable(&text), html.as_deref().map(without_controls));
    if text.trim().is_empty() {
        return Err("the text is empty".to_owned());
    }
    let subject = match wording::one_line(&subject, MOST_OWN_SUBJECT) {
        subject if subject.is_empty() => NO_SUBJECT.to_owned(),
        subject => subject,
    };
    let read = |all: &[String]| all.iter().map(|one| named(one)).collect::<Result<Vec<_>, _>>();
    let given = |of: fn(&Mail) -> &[String]| mail.map_or(Ok(Vec::new()), |mail| read(of(mail)));
    let mut to = given(|mail| &mail.to)?;
    if to.is_empty() {
        to = default.to_vec();
    }
    if to.is_empty() {
        return Err("nobody is to get it: name somebody in `to`, here or in gateway.toml".to_owned());
    }
    let reply_to = mail.and_then(|mail| mail.reply_to.as_deref()).map(named).transpose()?;
    Ok(Content { to, cc: given(|mail| &mail.cc)?, reply_to, subject, text, html })
}

/// Subject and text.
fn notification(message: &Value) -> Result<(String, String), String> {
    let first_line = |text: &str| wording::headline(text, MOST_SUBJECT);
    match message {
        Value::String(text) => Ok((first_line(text), text.clone())),
        Value::Object(fields) => {
            let text = fields.get("text").and_then(Value::as_str).ok_or("a message has a `text`")?;
            let subject = fields.get("subject").and_then(Value::as_str);
            Ok((subject.map_or_else(|| first_line(text), str::to_owned), text.to_owned()))
        }
        _ => Err("a message is a text, or a map with `subject` and `text`".to_owned()),
    }
}

fn named(written: &str) -> Result<Mailbox, String> {
    person(written).map_err(|problem| format!("`{}` {problem}", wording::one_line(written, 80)))
}

/// HTML without characters that no line of a mail can hold, and with one kind of line end.
fn without_controls(html: &str) -> String {
    let lines = html.replace("\r\n", "\n").replace('\r', "\n");
    lines.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// A subject that every reader shows as it is. What looks like an encoded word (RFC 2047) would be decoded, so all of it is
/// encoded.
fn shown(subject: String) -> String {
    if !subject.contains("=?") {
        return subject;
    }
    let mut words = vec![String::new()];
    for c in subject.chars() {
        if words.last().is_some_and(|word| word.len() + c.len_utf8() > WORD_BYTES) {
            words.push(String::new());
        }
        words.last_mut().into_iter().for_each(|word| word.push(c));
    }
    let encoded = words.iter().map(|word| format!("=?utf-8?b?{}?=", STANDARD.encode(word)));
    encoded.collect::<Vec<_>>().join(" ")
}

impl Content {
    fn built(self, from: &Mailbox, key: &str, received: i64) -> Result<Letter, String> {
        let Self { to, cc, reply_to, subject, text, html } = self;
        let addresses = to.iter().chain(&cc).map(|mailbox| mailbox.email.clone()).collect();
        let mut builder = Message::builder().from(from.clone()).date(time(received)).subject(shown(subject));
        builder = builder.message_id(Some(message_id(key, from)));
        let generated = HeaderName::new_from_ascii_str("Auto-Submitted");
        builder = builder.raw_header(HeaderValue::new(generated, "auto-generated".to_owned()));
        for mailbox in to {
            builder = builder.to(mailbox);
        }
        for mailbox in cc {
            builder = builder.cc(mailbox);
        }
        if let Some(mailbox) = reply_to {
            builder = builder.reply_to(mailbox);
        }
        let built = match html {
            Some(html) => builder.multipart(MultiPart::alternative_plain_html(text, html)),
            None => builder.singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text)),
        };
        let message = built.map_err(|error| format!("it cannot be made: {error}"))?;
        Ok(Letter { from: from.email.clone(), to: addresses, text: message.formatted() })
    }
}

/// The same over all tries, so that a relay can tell a mail that it has already.
fn message_id(key: &str, from: &Mailbox) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    format!("<{}@{}>", key.chars().map(fit).collect::<String>(), from.email.domain())
}

fn time(received: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(received).unwrap_or_default())
}
