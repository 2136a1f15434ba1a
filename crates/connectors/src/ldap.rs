//! `ldap`: whether a password is that of an entry, and searches, asked of a directory (RFC 4511).
//!
//! A bind of a user never happens on a connection that anything else uses. An empty password never reaches the wire: servers
//! take it for no question at all and say yes (RFC 4513, 5.1.2).
//!
//! LDAP is spoken here, in `ldap/`: what is needed of it is small, and so an answer can be bounded before it is in memory.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;
use url::Url;

use crate::client;
use crate::egress::Egress;
use crate::ldap::connection::{Connection, Directory, Protection};
use crate::ldap::message::{Outcome, Request, Response, Search};
use crate::ldap::values::Binary;
use crate::setup::{Key, Kind, Problem, Setup};
use crate::time_limit;
use crate::wire::Trust;
use crate::{Connector, LookingUp, Probed, Probing};
use hookgate_model::question::{Ask, Question, Reason, Trouble};
use hookgate_model::secret::{Ring, Secret, SecretSource};

mod ber;
mod connection;
mod filter;
mod message;
#[cfg(test)]
mod tests;
mod values;

pub(crate) const KIND: Kind = Kind {
    name: "ldap",
    about: "A directory that scripts ask: passwords are checked by a bind, entries are found by a search.",
    guide: include_str!("ldap/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Ldap::new(setup)?)),
    answers: Some("ldap"),
    cache: None,
    sends_codes: false,
    proxied: false,
};

/// After this long without a question a connection is not used again.
const MOST_IDLE: Duration = Duration::from_mins(1);

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// `ldaps://HOST` (port 636), or `ldap://HOST` (port 389), which begins TLS by StartTLS.
    #[schemars(length(min = 1))]
    url: String,
    /// For `ldap://` only.
    #[serde(default)]
    tls: Option<Transport>,
    /// PEM file with authorities that are trusted besides those of the system.
    #[schemars(length(min = 1))]
    ca_file: Option<String>,
    /// The account that searches. Without it only passwords can be checked.
    #[schemars(length(min = 1))]
    bind_dn: Option<String>,
    /// Its password.
    password: Option<SecretSource>,
    /// Where a search begins that names no base.
    #[schemars(length(min = 1))]
    base_dn: Option<String>,
    /// Attributes whose values are bytes, besides those that are known for it: they are answered in base64.
    #[serde(default)]
    binary: Vec<String>,
    /// Questions in work at once; others wait, as long as their scripts do.
    #[serde(default = "four")]
    #[schemars(range(min = 1, max = 64))]
    pool: usize,
    /// A search that finds more is an error.
    #[serde(default = "one_hundred")]
    #[schemars(range(min = 1, max = 10_000))]
    max_entries: u32,
    /// A longer answer is an error.
    #[serde(default = "one_mebibyte")]
    #[schemars(range(min = 1024, max = 67_108_864))]
    max_bytes: usize,
}

/// How the connection of an `ldap://` address is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Transport {
    /// By TLS, before anything else is said.
    StartTls,
    /// Not at all: passwords go in the clear. For a directory in a network of your own.
    None,
}

fn four() -> usize {
    4
}

fn one_hundred() -> u32 {
    100
}

fn one_mebibyte() -> usize {
    1 << 20
}

struct Ldap {
    directory: Directory,
    account: Option<(String, Key)>,
    base: Option<String>,
    binary: Binary,
    most_entries: u32,
    most_bytes: usize,
    timeout: Duration,
    turns: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

/// A connection of the account that searches, while nobody does.
struct Idle {
    connection: Connection,
    password: Arc<Secret>,
    used: Instant,
}

impl Ldap {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let trust = Trust::new(client::authorities(setup, settings.ca_file.as_deref())?);
        let directory = directory(&settings, setup, trust).map_err(|problem| vec![problem])?;
        let account = match (&settings.bind_dn, &settings.password) {
            (Some(dn), Some(written)) => Some((dn.clone(), setup.secret("password", written)?)),
            (None, None) => None,
            (Some(_), None) => return Err(vec![Problem::missing("password", "is needed with `bind_dn`")]),
            (None, Some(_)) => return Err(vec![Problem::missing("bind_dn", "is needed with `password`")]),
        };
        Ok(Self {
            directory,
            account,
            base: settings.base_dn,
            binary: Binary::new(&settings.binary),
            most_entries: settings.max_entries,
            most_bytes: settings.max_bytes,
            timeout: setup.timeout,
            turns: Semaphore::new(settings.pool),
            idle: Mutex::default(),
        })
    }

    async fn answer(&self, question: &Question) -> Result<Value, Trouble> {
        match &question.ask {
            Ask::Bind { dn, password } => self.verify(dn, password).await,
            Ask::Search { base, filter, attributes } => self.search(base, filter, attributes).await,
            _ => Err(question.not_for(KIND.name)),
        }
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
        let late = |_| Err(Trouble::new(Reason::Timeout, "it did not answer in time"));
        time_limit::within(self.timeout, work).await.unwrap_or_else(late)
    }

    async fn verify(&self, dn: &str, password: &Secret) -> Result<Value, Trouble> {
        // An empty name or password makes the bind anonymous, and that succeeds. Whoever reads a password to its first NUL
        // would find an empty one, too.
        if dn.trim().is_empty() || password.expose().is_empty() || password.expose().contains(&0) {
            return Ok(Value::Bool(false));
        }
        check_dn(dn)?;
        self.within(async {
            let mut connection = self.directory.connect(self.timeout).await?;
            let outcome = connection.ask(&Request::bind(dn, password)).await?;
            connection.close().await;
            match outcome.code {
                0 => Ok(Value::Bool(true)),
                // Wrong; of a user that is locked, expired or may not now (constraintViolation, unwillingToPerform).
                49 | 19 | 53 => Ok(Value::Bool(false)),
                _ => Err(ended(&outcome)),
            }
        })
        .await
    }

    async fn search(&self, base: &str, text: &str, attributes: &[String]) -> Result<Value, Trouble> {
        let rejected = |text: String| Trouble::new(Reason::Rejected, text);
        let Some((dn, key)) = &self.account else {
            return Err(rejected("a search needs an account: `bind_dn` and `password`".to_owned()));
        };
        let named = !base.trim().is_empty();
        let base = match &self.base {
            _ if named => base,
            Some(base) => base,
            None => return Err(rejected("a search needs a base: name one, or set `base_dn`".to_owned())),
        };
        check_dn(base)?;
        let encoded = filter::encode(text).map_err(|problem| rejected(format!("the filter is wrong: {problem}")))?;
        for name in attributes.iter().filter(|name| !matches!(name.as_str(), "*" | "+" | "1.1")) {
            filter::named(name).map_err(rejected)?;
        }
        let seconds = u32::try_from(self.timeout.as_secs()).unwrap_or(u32::MAX).max(1);
        let search =
            Search { base, scope: 2, filter: &encoded, attributes, most: self.most_entries.saturating_add(1), seconds };
        self.within(async {
            let password = key.current();
            if let Some(mut kept) = self.take(&password) {
                match self.found(&mut kept, &search, named).await {
                    // It broke while nobody used it. The others did, too; a search changes nothing.
                    Err(trouble) if trouble.reason == Reason::Unreachable => self.kept().clear(),
                    answer => return self.keep(kept, &password, answer),
                }
            }
            let mut made = self.bound(dn, &password).await?;
            let answer = self.found(&mut made, &search, named).await;
            self.keep(made, &password, answer)
        })
        .await
    }

    /// A connection of the account that searches.
    async fn bound(&self, dn: &str, password: &Secret) -> Result<Connection, Trouble> {
        if password.expose().is_empty() {
            return Err(Trouble::new(Reason::Denied, "the password of `bind_dn` is empty"));
        }
        let mut connection = self.directory.connect(self.timeout).await?;
        let outcome = connection.ask(&Request::bind(dn, password)).await?;
        match outcome.code {
            0 => Ok(connection),
            7 | 8 | 13 | 19 | 32 | 34 | 48 | 49 | 53 => {
                let text = format!("the directory does not let `bind_dn` in (result {})", outcome.code);
                Err(Trouble::new(Reason::Denied, text))
            }
            _ => Err(ended(&outcome)),
        }
    }

    async fn found(&self, connection: &mut Connection, search: &Search<'_>, named: bool) -> Result<Value, Trouble> {
        connection.send(&Request::search(search)).await?;
        let (mut entries, mut room) = (Vec::new(), self.most_bytes);
        loop {
            let (length, response) = connection.receive(room).await?;
            room = room.saturating_sub(length);
            match response {
                Response::Entry { .. } if entries.len() >= self.most_entries as usize => return Err(self.too_many()),
                Response::Entry { dn, attributes } => entries.push(self.binary.entry(dn, attributes)?),
                // What other servers hold is not looked for.
                Response::Reference => {}
                Response::Done(outcome) | Response::Goodbye(outcome) => {
                    return match outcome.code {
                        0 => Ok(Value::Array(entries)),
                        4 => Err(self.too_many()),
                        // Of a base that came from elsewhere: an entry that is gone is nothing that was found.
                        32 if named => Ok(Value::Array(Vec::new())),
                        _ => Err(ended(&outcome)),
                    };
                }
            }
        }
    }

    fn too_many(&self) -> Trouble {
        let text = format!(
            "there are more than {} entries: make the filter narrower, or raise `max_entries`",
            self.most_entries
        );
        Trouble::new(Reason::TooLarge, text)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that was made with this very password.
    fn take(&self, password: &Secret) -> Option<Connection> {
        let mut kept = self.kept();
        kept.retain(|idle| idle.used.elapsed() < MOST_IDLE && idle.password.matches(password.expose()));
        kept.pop().map(|idle| idle.connection)
    }

    /// For the next search, if this one came to its end.
    fn keep(
        &self,
        connection: Connection,
        password: &Arc<Secret>,
        answer: Result<Value, Trouble>,
    ) -> Result<Value, Trouble> {
        if answer.is_ok() {
            self.kept().push(Idle { connection, password: password.clone(), used: Instant::now() });
        }
        answer
    }

    async fn probed(&self) -> Result<Probed, Trouble> {
        let (found, needs) = match &self.account {
            Some((dn, key)) => {
                self.bound(dn, &key.current()).await?.close().await;
                let needs = "read access for `bind_dn` to the entries and attributes that scripts search for";
                ("a directory that lets `bind_dn` in", vec![needs.to_owned()])
            }
            None => {
                self.directory.connect(self.timeout).await?.close().await;
                ("a directory; without `bind_dn` it only checks passwords", Vec::new())
            }
        };
        let protection = match self.directory.protection {
            Protection::Tls => "TLS",
            Protection::StartTls => "StartTLS",
            Protection::None => "in the clear",
        };
        Ok(Probed { found: format!("{found} ({protection})"), needs })
    }
}

fn directory(settings: &Settings, setup: &Setup<'_>, trust: Trust) -> Result<Directory, Problem> {
    let bad = |text: &str| Problem::bad_value("url", text);
    let url = Url::parse(settings.url.trim()).map_err(|error| bad(&format!("is not an address: {error}")))?;
    let (port, protection) = match (url.scheme(), settings.tls) {
        ("ldaps", None) => (636, Protection::Tls),
        ("ldaps", Some(_)) => return Err(Problem::bad_value("tls", "means nothing with `ldaps://`")),
        ("ldap", None | Some(Transport::StartTls)) => (389, Protection::StartTls),
        ("ldap", Some(Transport::None)) => (389, Protection::None),
        _ => return Err(bad("must begin with `ldaps://` or `ldap://`")),
    };
    if protection == Protection::None && !setup.allow_private {
        let text = "sends passwords in the clear: use TLS, or `allow_private = true` in a network of your own";
        return Err(Problem::bad_value("tls", text));
    }
    if protection == Protection::None && settings.ca_file.is_some() {
        return Err(Problem::bad_value("ca_file", "means nothing with `tls = \"none\"`"));
    }
    let bare = url.username().is_empty() && url.password().is_none() && matches!(url.path(), "" | "/");
    if !bare || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("must be a host and nothing else: `bind_dn` and `base_dn` say the rest"));
    }
    let egress = Egress::new(setup.allow_private);
    let host =
        egress.host(url.host_str().unwrap_or_default()).map_err(|text| bad(&format!("names a host that {text}")))?;
    Ok(Directory { host, port: url.port().unwrap_or(port), egress, trust, protection })
}

fn check_dn(dn: &str) -> Result<(), Trouble> {
    if dn.contains('\0') {
        return Err(Trouble::new(Reason::Rejected, "a name has a NUL: use dn_escape for its parts"));
    }
    Ok(())
}

/// What a result means that is none of the expected ones. What the directory says beside may tell data: its number is told.
fn ended(outcome: &Outcome) -> Trouble {
    let (reason, what) = match outcome.code {
        3 => (Reason::Timeout, "the directory ran out of its time"),
        11 => (Reason::Limited, "the directory's own limit was reached"),
        51 => (Reason::Limited, "the directory is busy"),
        52 | 80 => (Reason::Unreachable, "the directory cannot answer now"),
        7 | 8 | 13 | 48 | 49 | 50 => (Reason::Denied, "the directory does not allow this"),
        10 => (Reason::Rejected, "the directory refers to another one, and no referral is followed"),
        32 => (Reason::Rejected, "there is no such base"),
        34 => (Reason::Rejected, "a name is not written as one: use dn_escape for its parts"),
        _ => (Reason::Rejected, "the directory refuses the question"),
    };
    let trouble = Trouble::new(reason, format!("{what} (result {})", outcome.code));
    // Its own limit of time: it is there.
    if outcome.code == 3 { trouble.as_answered() } else { trouble }
}

impl Connector for Ldap {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn turns(&self) -> Option<&Semaphore> {
        Some(&self.turns)
    }

    fn look_up<'a>(&'a self, question: &'a Question) -> LookingUp<'a> {
        Box::pin(self.answer(question))
    }

    fn probe(&self) -> Option<Probing<'_>> {
        Some(Box::pin(self.within(self.probed())))
    }

    fn secrets(&self) -> Vec<Arc<Ring>> {
        self.account.iter().flat_map(|(_, key)| key.rings()).collect()
    }
}
