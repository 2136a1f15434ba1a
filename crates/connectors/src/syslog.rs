//! `syslog`: messages as RFC 5424 has them, over TLS (RFC 5425) or TCP (RFC 6587).
//!
//! Syslog never answers. A message counts as done once it is written to a connection that the receiver had not closed; what
//! was on the way when a connection breaks afterwards is lost without a sign.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard};

use crate::client;
use crate::egress::Egress;
use crate::entry;
use crate::entry::Entry;
use crate::setup::{Kind, Problem, Setup};
use crate::syslog::connection::{Connection, Receiver};
use crate::syslog::message::Form;
use crate::time_limit::within;
use crate::{Connector, Done, Order, Performing, Probed, Probing, Trouble, What};
use hookgate_model::command::Action;
use hookgate_model::question;

mod connection;
mod message;
#[cfg(test)]
mod tests;

pub(crate) const KIND: Kind = Kind {
    name: "syslog",
    about: "A receiver of syslog (RFC 5424) over TLS or TCP.",
    guide: include_str!("syslog/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Syslog::new(setup)?)),
    answers: None,
    cache: None,
    sends_codes: false,
    proxied: false,
};

/// A message waits for so many others that take all of their time, and no longer than this. Then it is tried again soon.
const MOST_BEFORE: u32 = 8;
const MOST_WAITING: Duration = Duration::from_secs(30);
const WAIT: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Name of the receiver; with TLS its certificate must have this name.
    #[schemars(length(min = 1))]
    host: String,
    /// 6514 if absent; 514 with `tls = "none"`.
    #[schemars(range(min = 1, max = 65535))]
    port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    tls: Transport,
    /// PEM file with authorities that are trusted besides those of the system.
    #[schemars(length(min = 1))]
    ca_file: Option<String>,
    /// How one message is told from the next.
    #[serde(default)]
    framing: Framing,
    /// Which part of a system speaks.
    #[serde(default)]
    facility: Facility,
    /// How bad it is.
    #[serde(default)]
    severity: Severity,
    /// The program: printable ASCII without spaces.
    #[serde(default = "hookgate")]
    #[schemars(length(min = 1, max = 48))]
    app_name: String,
    /// The machine: printable ASCII without spaces. Its own name if absent.
    #[schemars(length(min = 1, max = 255))]
    hostname: Option<String>,
    /// With it a message has structured data, `[hookgate@NUMBER key="…" event_id="…" event_type="…" route="…"]`: the private
    /// enterprise number of your organisation.
    #[schemars(range(min = 1))]
    enterprise_number: Option<u32>,
    /// How characters beyond ASCII are written.
    #[serde(default)]
    charset: Charset,
    /// Most receivers cut a longer message without a word. So texts of a `notify` are cut until it fits, and a longer event is
    /// refused.
    #[serde(default = "sixty_four_kibibytes")]
    #[schemars(range(min = 480))]
    max_bytes: usize,
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Transport {
    /// TLS from the first byte.
    #[default]
    Tls,
    /// In the clear: for a receiver in a network of your own.
    None,
}

/// How one message is told from the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Framing {
    /// Its length comes first (RFC 5425, RFC 6587 3.4.1).
    #[default]
    OctetCounting,
    /// A line end comes after it (RFC 6587 3.4.2).
    Newline,
}

/// How characters beyond ASCII are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Charset {
    /// As JSON's `\u00e4`: every receiver takes that.
    #[default]
    Ascii,
    /// As they are, with the byte order mark that RFC 5424 wants before them.
    Utf8,
}

/// Which part of a system speaks (RFC 5424, table 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Facility {
    User = 1,
    Daemon = 3,
    Auth = 4,
    #[default]
    Authpriv = 10,
    Audit = 13,
    Local0 = 16,
    Local1,
    Local2,
    Local3,
    Local4,
    Local5,
    Local6,
    Local7,
}

/// How bad it is (RFC 5424, table 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    #[default]
    Info,
    Debug,
}

fn hookgate() -> String {
    "hookgate".to_owned()
}

fn sixty_four_kibibytes() -> usize {
    64 * 1024
}

struct Syslog {
    form: Form,
    receiver: Receiver,
    timeout: Duration,
    /// The open connection, taken out by whoever writes: one at a time.
    kept: Mutex<Option<Connection>>,
}

impl Syslog {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let mut problems = Vec::new();
        let mut keep = |found: Vec<Problem>| problems.extend(found);
        let egress = Egress::new(setup.allow_private);
        let host = egress.host(&settings.host).map_err(|text| keep(vec![Problem::bad_value("host", text)]));
        let authorities = client::authorities(setup, settings.ca_file.as_deref()).map_err(&mut keep);
        let form = Form::new(&settings).map_err(|problem| keep(vec![problem]));
        if settings.tls == Transport::None && settings.ca_file.is_some() {
            keep(vec![Problem::bad_value("ca_file", "means nothing with `tls = \"none\"`")]);
        }
        match (host, authorities, form) {
            (Ok(host), Ok(authorities), Ok(form)) if problems.is_empty() => {
                let receiver = match settings.tls {
                    Transport::Tls => Receiver::with_tls(host, settings.port.unwrap_or(6514), egress, authorities),
                    Transport::None => Receiver::in_the_clear(host, settings.port.unwrap_or(514), egress),
                };
                Ok(Self { form, receiver, timeout: setup.timeout, kept: Mutex::default() })
            }
            _ => Err(problems),
        }
    }

    async fn send(&self, order: &Order) -> Result<Done, Trouble> {
        let framed = self.form.framed(order, &Entry::of_order(order)?).map_err(Trouble::refused)?;
        // Others are written first. Their time is not this one's.
        let waiting = self.timeout.saturating_mul(MOST_BEFORE).min(MOST_WAITING);
        let Ok(kept) = within(waiting, self.kept.lock()).await else {
            let message = "others were still being written to the one connection".to_owned();
            return Err(Trouble { what: What::NotTried { wait: WAIT }, status: None, message });
        };
        let begun = AtomicBool::new(false);
        match within(self.timeout, self.write(kept, &framed, &begun)).await {
            Ok(outcome) => outcome,
            Err(_) if begun.load(Ordering::Relaxed) => {
                Err(Trouble::maybe_delivered("it did not take the whole message in time"))
            }
            Err(_) => Err(Trouble::not_delivered("there was no connection to write to in time")),
        }
    }

    /// Broken off or failed, the connection is gone: nobody writes behind half a message.
    async fn write(
        &self,
        mut kept: MutexGuard<'_, Option<Connection>>,
        framed: &[u8],
        begun: &AtomicBool,
    ) -> Result<Done, Trouble> {
        let mut connection = match kept.take().filter(Connection::is_open) {
            Some(connection) => connection,
            None => self.receiver.connect(self.timeout.mul_f64(0.75)).await?,
        };
        begun.store(true, Ordering::Relaxed);
        let written = connection.write(framed).await;
        written.map_err(|error| Trouble::maybe_delivered(format!("the connection broke while writing: {error}")))?;
        *kept = Some(connection);
        Ok(Done { status: None, note: "written; syslog does not answer".to_owned() })
    }
}

impl Syslog {
    async fn probed(&self) -> Result<Probed, question::Trouble> {
        self.receiver.connect(self.timeout).await?;
        Ok(Probed::new("it accepts connections", &[]))
    }
}

impl Connector for Syslog {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn check(&self, action: &Action) -> Result<(), String> {
        entry::check(KIND.name, action)?;
        self.form.check(&action.task)
    }

    fn perform<'a>(&'a self, order: &'a Order) -> Performing<'a> {
        Box::pin(self.send(order))
    }

    fn probe(&self) -> Option<Probing<'_>> {
        Some(Box::pin(self.probed()))
    }
}
