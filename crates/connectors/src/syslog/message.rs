//! A message as RFC 5424 has it, in its frame.
//!
//! Its text is JSON on one line, so nothing in it ends the message or begins another, and nothing changes how a terminal shows
//! it.

use std::fmt::Write;

use crate::Order;
use crate::entry::Entry;
use crate::redact::is_invisible;
use crate::setup::Problem;
use crate::syslog::{Charset, Framing, Settings};
use crate::wording;
use hookgate_model::command::Task;

/// RFC 5424 6.2.7.
const MOST_MSGID: usize = 32;
/// Of a value in structured data, in characters; RFC 5424 has no limit, receivers do.
const MOST_PARAM: usize = 255;

/// To how many characters texts are cut last, for a receiver that takes little.
const SHORT: usize = 100;
const SHORTEST: usize = 30;

/// What all messages of a connector have in common.
pub(super) struct Form {
    /// RFC 5424 6.2.1: eight times the facility, and the severity.
    priority: u8,
    hostname: String,
    app_name: String,
    enterprise_number: Option<u32>,
    charset: Charset,
    framing: Framing,
    max_bytes: usize,
}

impl Form {
    pub(super) fn new(settings: &Settings) -> Result<Self, Problem> {
        let word = |key: &str, text: &str| match text.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(text.to_owned()),
            false => Err(Problem::bad_value(key, "must be printable ASCII without spaces")),
        };
        Ok(Self {
            priority: settings.facility as u8 * 8 + settings.severity as u8,
            hostname: settings.hostname.as_deref().map_or_else(|| Ok(own_name()), |name| word("hostname", name))?,
            app_name: word("app_name", &settings.app_name)?,
            enterprise_number: settings.enterprise_number,
            charset: settings.charset,
            framing: settings.framing,
            max_bytes: settings.max_bytes,
        })
    }

    /// Whether a message can hold this, once its texts are cut.
    ///
    /// # Errors
    /// It is too long in any case.
    pub(super) fn check(&self, task: &Task) -> Result<(), String> {
        match task {
            Task::Notify { message } => self.fits(wording::with_texts_cut(message, SHORTEST).to_string().len()),
            _ => Ok(()),
        }
    }

    /// The bytes of one message. Of a notification that is too long, texts are cut.
    ///
    /// # Errors
    /// It is too long.
    pub(super) fn framed(&self, order: &Order, entry: &Entry) -> Result<Vec<u8>, String> {
        let mut message = self.message(order, entry);
        if message.len() > self.max_bytes && matches!(order.action.task, Task::Notify { .. }) {
            let cuts = wording::FITTED.into_iter().chain([SHORT, SHORTEST]);
            let shorter = cuts.filter_map(|most| entry.with_texts_cut(most)).map(|entry| self.message(order, &entry));
            message = shorter.into_iter().find(|message| message.len() <= self.max_bytes).unwrap_or(message);
        }
        self.fits(message.len())?;
        Ok(match self.framing {
            Framing::OctetCounting => [format!("{} ", message.len()).as_bytes(), message.as_bytes()].concat(),
            Framing::Newline => [message.as_bytes(), b"\n"].concat(),
        })
    }

    fn fits(&self, bytes: usize) -> Result<(), String> {
        match bytes > self.max_bytes {
            true => Err(format!("it has {bytes} bytes, and `max_bytes` is {}", self.max_bytes)),
            false => Ok(()),
        }
    }

    fn message(&self, order: &Order, entry: &Entry) -> String {
        let Self { priority, hostname, app_name, .. } = self;
        // At most six digits of a fraction (RFC 5424 6.2.3); those that say nothing are left out.
        let fraction = entry.time.subsec_nanosecond() / 1000;
        let time = if fraction == 0 { format!("{:.0}", entry.time) } else { format!("{:.6}", entry.time) };
        let (id, mark) = (message_id(&order.event_type), if self.charset == Charset::Utf8 { "\u{feff}" } else { "" });
        let data = self.structured_data(order);
        let text = plain(&entry.line(), self.charset);
        format!("<{priority}>1 {time} {hostname} {app_name} - {id} {data} {mark}{text}")
    }

    fn structured_data(&self, order: &Order) -> String {
        let Some(number) = self.enterprise_number else { return "-".to_owned() };
        let Order { key, event_id, event_type, route, .. } = order;
        let mut data = format!("[hookgate@{number}");
        for (name, value) in [("key", key), ("event_id", event_id), ("event_type", event_type), ("route", route)] {
            let _ = write!(data, " {name}=\"{}\"", param(value));
        }
        data + "]"
    }
}

/// JSON with nothing in it but what can be seen. Only texts have other characters in JSON, so an escape of JSON means the same.
fn plain(json: &str, charset: Charset) -> String {
    let mut plain = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\t' => plain.push(' '),
            ' '..='~' => plain.push(c),
            c if charset == Charset::Utf8 && is_shown(c) => plain.push(c),
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(plain, "\\u{unit:04x}");
            }),
        }
    }
    plain
}

/// The kind of message: that of the event, as far as it is printable.
fn message_id(kind: &str) -> String {
    let id: String = kind.chars().filter(char::is_ascii_graphic).take(MOST_MSGID).collect();
    if id.is_empty() { "-".to_owned() } else { id }
}

/// RFC 5424 6.3.3: three characters are escaped; those that cannot be seen are not let in.
fn param(value: &str) -> String {
    let mut escaped = String::new();
    for c in wording::cut(value, MOST_PARAM).chars() {
        match c {
            '"' | '\\' | ']' => escaped.extend(['\\', c]),
            c if is_shown(c) => escaped.push(c),
            _ => escaped.push('?'),
        }
    }
    escaped
}

/// Neither a line end of any kind nor something that changes how others are shown.
fn is_shown(c: char) -> bool {
    !c.is_control() && !is_invisible(c) && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{61c}')
}

/// The name of this machine, or none.
fn own_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let fits = !name.is_empty() && name.len() <= 255 && name.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { name } else { "-".to_owned() }
}
