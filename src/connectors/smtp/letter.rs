//! From a task to the text of a mail: who gets it, its headers, its parts.
//!
//! Headers are made of what scripts give, and that may be what strangers wrote: a line end in any of it is refused.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lettre::Address;
use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use serde_json::Value;

use crate::command::{Mail, Task};
use crate::connectors::Order;
use crate::connectors::wording;

/// Of a text that becomes a subject, in characters.
const MOST_SUBJECT: usize = 120;

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

/// An address, with a name before it or not.
pub(super) fn mailbox(written: &str) -> Result<Mailbox, String> {
    plain("an address", written)?;
    written.trim().parse().map_err(|_| "is not an address such as `a@b.example` or `Name <a@b.example>`".to_owned())
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
    };
    plain("the subject", &subject)?;
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
    let first_line = |text: &str| wording::cut(text.lines().next().unwrap_or_default().trim(), MOST_SUBJECT);
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
    mailbox(written).map_err(|problem| format!("`{}` {problem}", wording::cut(written.trim(), 80)))
}

/// Nothing that could end a header and begin another.
fn plain(what: &str, text: &str) -> Result<(), String> {
    match text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        true => Err(format!("{what} has a line end or another control character")),
        false => Ok(()),
    }
}

impl Content {
    fn built(self, from: &Mailbox, key: &str, received: i64) -> Result<Letter, String> {
        let Self { to, cc, reply_to, subject, text, html } = self;
        let addresses = to.iter().chain(&cc).map(|mailbox| mailbox.email.clone()).collect();
        let mut builder = Message::builder().from(from.clone()).date(time(received)).subject(subject);
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
