//! `smtp`: mail through a relay.
//!
//! One connection a mail; the certificate is always checked. A mail counts as sent once the relay has taken its whole text:
//! a connection that breaks before that text went out is "not delivered", one that breaks after it is "maybe".

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters, TlsParametersBuilder};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Host;

use crate::client;
use crate::egress::Egress;
use crate::redact::Redact;
use crate::setup::{Key, Kind, Problem, Setup};
use crate::smtp::letter::Letter;
use crate::time_limit::within;
use crate::{Connector, Done, Order, Performing, Probed, Probing, Trouble, What};
use hookgate_model::command::Action;
use hookgate_model::question;
use hookgate_model::secret::{Ring, Secret, SecretSource};

mod letter;
#[cfg(test)]
mod tests;

pub(crate) const KIND: Kind = Kind {
    name: "smtp",
    about: "A mail relay.",
    guide: include_str!("smtp/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Relay::new(setup)?)),
    answers: None,
    cache: None,
    sends_codes: false,
    proxied: false,
};

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Name of the relay; its certificate must have this name.
    #[schemars(length(min = 1))]
    host: String,
    /// 587 if absent; 465 with `tls = "tls"`, 25 with `tls = "none"`.
    #[schemars(range(min = 1, max = 65535))]
    port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    tls: Security,
    /// Who sends, with `password`; nobody is named if absent.
    #[schemars(length(min = 1))]
    user: Option<String>,
    /// The password of `user`.
    password: Option<SecretSource>,
    /// The sender: `a@b.example` or `Name <a@b.example>`.
    #[schemars(length(min = 1))]
    from: String,
    /// Who gets mails that name nobody, and all of `notify`.
    #[serde(default)]
    to: Vec<String>,
    /// PEM file with authorities that are trusted besides those that everybody trusts.
    #[schemars(length(min = 1))]
    ca_file: Option<String>,
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Security {
    /// It begins in the clear and must change to TLS before anything is said.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// In the clear: for a relay on this machine.
    None,
}

struct Relay {
    host: Host,
    port: u16,
    tls: Security,
    parameters: TlsParameters,
    login: Option<(String, Key)>,
    from: Mailbox,
    to: Vec<Mailbox>,
    timeout: Duration,
    egress: Egress,
}

impl Relay {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let mut problems = Vec::new();
        let mut keep = |found: Vec<Problem>| problems.extend(found);
        let egress = Egress::new(setup.allow_private);
        let host = egress.host(&settings.host).map_err(|text| keep(vec![Problem::bad_value("host", text)]));
        let parameters = parameters(setup, &settings).map_err(&mut keep);
        let login = login(setup, &settings).map_err(&mut keep);
        let from = letter::mailbox(&settings.from).map_err(|text| keep(vec![Problem::bad_value("from", text)]));
        let read = |(index, written): (usize, &String)| {
            letter::mailbox(written).map_err(|text| vec![Problem::bad_value(&format!("to[{index}]"), text)])
        };
        let to = settings.to.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>().map_err(&mut keep);
        let port = settings.port.unwrap_or(match settings.tls {
            Security::Starttls => 587,
            Security::Tls => 465,
            Security::None => 25,
        });
        match (host, parameters, login, from, to) {
            (Ok(host), Ok(parameters), Ok(login), Ok(from), Ok(to)) => {
                let (tls, timeout) = (settings.tls, setup.timeout);
                Ok(Self { host, port, tls, parameters, login, from, to, timeout, egress })
            }
            _ => Err(problems),
        }
    }

    async fn send(&self, order: &Order) -> Result<Done, Trouble> {
        let letter = letter::of_order(order, &self.from, &self.to).map_err(Trouble::refused)?;
        let password = self.login.as_ref().map(|(_, key)| key.current());
        let redact = self.redact(password.as_deref());
        let session = Session { relay: self, redact, handed_over: AtomicBool::new(false) };
        match within(self.timeout, session.run(&letter, password)).await {
            Ok(outcome) => outcome,
            Err(_) if session.handed_over.load(Ordering::Relaxed) => {
                Err(Trouble::maybe_delivered("it did not say in time whether it took the mail"))
            }
            Err(_) => Err(Trouble::not_delivered("it did not answer in time")),
        }
    }

    async fn probed(&self) -> Result<Probed, question::Trouble> {
        let password = self.login.as_ref().map(|(_, key)| key.current());
        let redact = self.redact(password.as_deref());
        let session = Session { relay: self, redact, handed_over: AtomicBool::new(false) };
        let late = |_| Err(Trouble::not_delivered("it did not answer in time"));
        let logged_in = within(self.timeout, session.log_in(password)).await.unwrap_or_else(late);
        let mut connection = logged_in?;
        let _ = within(Duration::from_secs(1), connection.quit()).await;
        let found = if self.login.is_some() { "the relay let us in" } else { "the relay accepts connections" };
        Ok(Probed::new(found, &[&format!("to send as {}", self.from.email)]))
    }

    fn redact(&self, password: Option<&Secret>) -> Redact {
        let (Some((user, _)), Some(password)) = (&self.login, password) else { return Redact::default() };
        // As `AUTH PLAIN` sends it.
        let plain = [b"\0", user.as_bytes(), b"\0", password.expose()].concat();
        Redact::default().and(password).and(&Secret::new(plain))
    }
}

impl Connector for Relay {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn check(&self, action: &Action) -> Result<(), String> {
        letter::check(&action.task, &self.from, &self.to)
    }

    fn perform<'a>(&'a self, order: &'a Order) -> Performing<'a> {
        Box::pin(self.send(order))
    }

    fn probe(&self) -> Option<Probing<'_>> {
        Some(Box::pin(self.probed()))
    }

    fn secrets(&self) -> Vec<Arc<Ring>> {
        self.login.iter().flat_map(|(_, key)| key.rings()).collect()
    }
}

/// One mail on its way.
struct Session<'a> {
    relay: &'a Relay,
    redact: Redact,
    /// The relay may have the whole text.
    handed_over: AtomicBool,
}

impl Session<'_> {
    async fn run(&self, letter: &Letter, password: Option<Arc<Secret>>) -> Result<Done, Trouble> {
        let mut connection = self.log_in(password).await?;
        let done = self.hand_over(&mut connection, letter).await;
        // The mail is taken or it is not; how the farewell goes does not matter.
        if done.is_ok() {
            let _ = within(Duration::from_secs(1), connection.quit()).await;
        }
        done
    }

    async fn log_in(&self, password: Option<Arc<Secret>>) -> Result<AsyncSmtpConnection, Trouble> {
        let mut connection = self.connect().await?;
        if let (Some((user, _)), Some(password)) = (&self.relay.login, password) {
            let password = String::from_utf8_lossy(password.expose()).into_owned();
            let credentials = Credentials::new(user.clone(), password);
            let login = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
            login.map_err(|error| self.trouble("at the login", &error))?;
        }
        Ok(connection)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Trouble> {
        let Relay { host, port, tls, parameters, egress, timeout, .. } = self.relay;
        let addresses = egress.addresses_of(host).await?;
        let addresses: Vec<SocketAddr> = addresses.into_iter().map(|address| (address, *port).into()).collect();
        let hello = ClientId::default();
        let at_once = (*tls == Security::Tls).then(|| parameters.clone());
        let connected =
            AsyncSmtpConnection::connect_tokio1(addresses.as_slice(), Some(*timeout), &hello, at_once, None).await;
        let mut connection = connected.map_err(|error| self.trouble("while connecting", &error))?;
        if *tls == Security::Starttls {
            let secured = connection.starttls(parameters.clone(), &hello).await;
            secured.map_err(|error| self.trouble("at STARTTLS", &error))?;
        }
        Ok(connection)
    }

    async fn hand_over(&self, connection: &mut AsyncSmtpConnection, letter: &Letter) -> Result<Done, Trouble> {
        let mut options = Vec::new();
        let supports = |connection: &AsyncSmtpConnection, feature| connection.server_info().supports_feature(feature);
        if letter.needs_utf8() {
            if !supports(connection, Extension::SmtpUtfEight) {
                return Err(Trouble::refused("it takes only addresses in ASCII"));
            }
            options.push(MailParameter::SmtpUtfEight);
        }
        if !letter.text.is_ascii() {
            options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let from = connection.command(MailFrom::new(Some(letter.from.clone()), options)).await;
        from.map_err(|error| self.trouble("at the sender", &error))?;
        let mut refused = Vec::new();
        for to in &letter.to {
            match connection.command(Rcpt::new(to.clone(), Vec::new())).await {
                Ok(_) => {}
                // The others get it all the same.
                Err(error) if error.is_permanent() => refused.push(self.trouble("at a recipient", &error)),
                Err(error) => return Err(self.trouble("at a recipient", &error)),
            }
        }
        let count = refused.len();
        if count == letter.to.len() {
            return Err(refused.pop().unwrap_or_else(|| Trouble::refused("nobody is to get it")));
        }
        connection.command(Data).await.map_err(|error| self.trouble("before the text", &error))?;
        self.handed_over.store(true, Ordering::Relaxed);
        let taken = connection.message(&letter.text).await.map_err(|error| self.trouble("after the text", &error))?;
        let mut note = self.said(&taken);
        if count > 0 {
            note = format!("{count} of {} recipients were refused; {note}", letter.to.len());
        }
        Ok(Done { status: Some(status(taken.code())), note })
    }

    fn said(&self, response: &Response) -> String {
        self.redact.excerpt(&response.message().collect::<Vec<_>>().join(" "))
    }

    fn trouble(&self, place: &str, error: &lettre::transport::smtp::Error) -> Trouble {
        let told = self.redact.excerpt(&causes(error));
        let status = error.status().map(status);
        let message = match status {
            Some(code) => format!("it answered {code} {place}: {told}"),
            None => format!("{place}: {told}"),
        };
        let what = if error.is_permanent() {
            What::Refused
        } else if error.is_transient() || !self.handed_over.load(Ordering::Relaxed) {
            What::NotDelivered { retry_after: None }
        } else {
            What::MaybeDelivered
        };
        Trouble { what, status, message }
    }
}

fn status(code: lettre::transport::smtp::response::Code) -> u16 {
    u16::from(code)
}

fn causes(error: &lettre::transport::smtp::Error) -> String {
    let mut told = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        told.push(inner.to_string());
        cause = inner.source();
    }
    if told.is_empty() { error.to_string() } else { told.join(": ") }
}

fn parameters(setup: &Setup<'_>, settings: &Settings) -> Result<TlsParameters, Vec<Problem>> {
    let bad = |error: lettre::transport::smtp::Error| vec![Problem::bad_value("ca_file", error.to_string())];
    let mut builder = TlsParametersBuilder::new(settings.host.clone());
    if let Some(pem) = client::authorities(setup, settings.ca_file.as_deref())? {
        builder = builder.add_root_certificate(Certificate::from_pem(&pem).map_err(bad)?);
    }
    builder.build_rustls().map_err(bad)
}

fn login(setup: &Setup<'_>, settings: &Settings) -> Result<Option<(String, Key)>, Vec<Problem>> {
    match (&settings.user, &settings.password) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(vec![Problem::missing("password", "`password` is missing: `user` has one")]),
        (None, Some(_)) => Err(vec![Problem::missing("user", "`user` is missing: whose password is it?")]),
        (Some(_), Some(_)) if settings.tls == Security::None && !setup.allow_private => {
            let problem = Problem::bad_value("tls", "sends the password in the clear");
            Err(vec![problem.help("use `starttls` or `tls`, or `allow_private = true` in a network of your own")])
        }
        (Some(user), Some(password)) => Ok(Some((user.clone(), setup.secret("password", password)?))),
    }
}
