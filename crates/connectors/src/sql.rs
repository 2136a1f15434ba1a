//! `sql`: one statement that reads, asked of PostgreSQL, MySQL, MariaDB or SQLite.
//!
//! A script decides; it never writes. So there is no setting that allows a write, and the database is told so on every
//! connection. Values go beside the statement and never into it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::client;
use crate::egress::Egress;
use crate::setup::{Key, Kind, Problem, Secrets, Setup};
use crate::sql::reading::{Asked, Limits};
use crate::sql::target::{Engine, Server, Target};
use crate::time_limit;
use crate::wire::Trust;
use crate::{Connector, LookingUp, Probed, Probing};
use hookgate_model::files::fence::Fence;
use hookgate_model::question::{Ask, Question, Reason, Take, Trouble};
use hookgate_model::secret::{Ring, Secret, SecretSource};

mod mysql;
mod postgres;
mod reading;
mod sqlite;
mod target;
#[cfg(test)]
mod tests;

pub(crate) const KIND: Kind = Kind {
    name: "sql",
    about: "A database that scripts read: PostgreSQL, MySQL, MariaDB or a file of SQLite.",
    guide: include_str!("sql/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Sql::new(setup)?)),
    answers: Some("sql"),
    cache: None,
    sends_codes: false,
    proxied: false,
};

/// After this long without a question a connection is not used again: what stands between may have forgotten it.
const MOST_IDLE: Duration = Duration::from_mins(1);

/// A connection is not used longer: a name may lead elsewhere by now.
const MOST_AGE: Duration = Duration::from_mins(30);

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Which database: `postgres://USER@HOST:PORT/DATABASE`, `mysql://…`, `mariadb://…` or `sqlite:FILE`. With a password in
    /// it, it is a secret: `{ env = … }` or `{ file = … }`.
    url: Address,
    /// The password, where `url` has none.
    password: Option<SecretSource>,
    /// How the connection to a server is protected.
    #[serde(default)]
    tls: Transport,
    /// PEM file with authorities that are trusted besides those of the system.
    #[schemars(length(min = 1))]
    ca_file: Option<String>,
    /// Connections at once, and questions in work at once; others wait, as long as their scripts do.
    #[serde(default = "four")]
    #[schemars(range(min = 1, max = 64))]
    pool: usize,
    /// An answer with more rows is an error.
    #[serde(default = "one_thousand")]
    #[schemars(range(min = 1, max = 100_000))]
    max_rows: usize,
    /// A longer answer is an error.
    #[serde(default = "one_mebibyte")]
    #[schemars(range(min = 1024, max = 67_108_864))]
    max_bytes: usize,
}

/// The address of a database, or where it is kept.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Address {
    /// The address itself, without a password.
    Text(String),
    Secret(SecretSource),
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Transport {
    /// TLS, with a certificate of the host.
    #[default]
    Tls,
    /// In the clear: for a database in a network of your own.
    None,
}

fn four() -> usize {
    4
}

fn one_thousand() -> usize {
    1000
}

fn one_mebibyte() -> usize {
    1 << 20
}

struct Sql {
    address: Where,
    password: Option<Key>,
    fence: Arc<Fence>,
    egress: Egress,
    /// None with `tls = "none"`.
    trust: Option<Trust>,
    limits: Limits,
    timeout: Duration,
    turns: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

enum Where {
    Text(String),
    Secret(Key),
}

/// A connection that nobody uses now.
struct Idle {
    link: Link,
    server: Arc<Server>,
    made: Instant,
    used: Instant,
}

enum Link {
    Postgres(Box<postgres::Link>),
    MySql(Box<mysql::Link>),
}

impl Sql {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let authorities = client::authorities(setup, settings.ca_file.as_deref())?;
        let password = settings.password.as_ref().map(|written| setup.secret("password", written)).transpose()?;
        let address = match &settings.url {
            Address::Text(text) => Where::Text(text.clone()),
            Address::Secret(written) => Where::Secret(setup.secret("url", written)?),
        };
        let trust = (settings.tls == Transport::Tls).then(|| Trust::new(authorities));
        let sql = Self {
            address,
            password,
            fence: setup.fence.clone(),
            egress: Egress::new(setup.allow_private),
            trust,
            limits: Limits { rows: settings.max_rows, bytes: settings.max_bytes },
            timeout: setup.timeout,
            turns: Semaphore::new(settings.pool),
            idle: Mutex::default(),
        };
        if sql.trust.is_none() && !setup.allow_private {
            let text =
                "sends a password and data in the clear: use TLS, or `allow_private = true` in a network of your own";
            return Err(vec![Problem::bad_value("tls", text)]);
        }
        if sql.trust.is_none() && settings.ca_file.is_some() {
            return Err(vec![Problem::bad_value("ca_file", "means nothing with `tls = \"none\"`")]);
        }
        sql.check_address(setup)?;
        Ok(sql)
    }

    /// What can be known of the address before it is used.
    fn check_address(&self, setup: &Setup<'_>) -> Result<(), Vec<Problem>> {
        let problem = |text: String| vec![Problem::bad_value("url", text)];
        let unknown = setup.secrets == Secrets::Skip || self.written().expose().is_empty();
        if unknown && matches!(self.address, Where::Secret(_)) {
            return Ok(());
        }
        let target = self.parsed().map_err(problem)?;
        let in_text = matches!(self.address, Where::Text(_));
        match &target {
            Target::Server(server) if server.has_password() && in_text => {
                Err(problem("must not hold a password: use `password`, or make all of `url` a secret".to_owned()))
            }
            Target::Server(server) if server.has_password() && self.password.is_some() => {
                Err(vec![Problem::bad_value("password", "`url` has a password, too: only one of them is used")])
            }
            Target::File(_) if self.password.is_some() => {
                Err(vec![Problem::bad_value("password", "means nothing with a file of SQLite")])
            }
            _ => Ok(()),
        }
    }

    fn written(&self) -> Arc<Secret> {
        match &self.address {
            Where::Text(text) => Arc::new(Secret::new(text.as_bytes())),
            Where::Secret(key) => key.current(),
        }
    }

    fn parsed(&self) -> Result<Target, String> {
        let written = self.written();
        let text = std::str::from_utf8(written.expose()).map_err(|_| "is not an address".to_owned())?;
        Target::parse(text, &self.fence, &self.egress)
    }

    /// The database as the secrets say now.
    fn target(&self) -> Result<Target, Trouble> {
        let target = self.parsed().map_err(|text| Trouble::new(Reason::Forbidden, format!("its `url` {text}")))?;
        Ok(match (target, &self.password) {
            (Target::Server(server), Some(key)) => Target::Server(Server { password: key.current(), ..server }),
            (target, _) => target,
        })
    }

    async fn answer(&self, question: &Question) -> Result<Value, Trouble> {
        let Ask::Sql { take, statement, parameters } = &question.ask else {
            return Err(question.not_for(KIND.name));
        };
        let asked = Asked { take: *take, statement, parameters, limits: self.limits };
        asked.check()?;
        self.within(self.ask(&asked)).await
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
        let late = |_| Err(Trouble::new(Reason::Timeout, "it did not answer in time"));
        time_limit::within(self.timeout, work).await.unwrap_or_else(late)
    }

    async fn ask(&self, asked: &Asked<'_>) -> Result<Value, Trouble> {
        let began = Instant::now();
        let left = || self.timeout.saturating_sub(began.elapsed());
        let server = match self.target()? {
            Target::File(path) => return sqlite::ask(&path, asked, self.timeout).await,
            Target::Server(server) => Arc::new(server),
        };
        if let Some(mut idle) = self.take(&server) {
            let answer = idle.link.ask(asked, left()).await;
            match &answer {
                // It broke while nobody used it. The others did, too; asking again changes nothing.
                Err(trouble) if trouble.reason == Reason::Unreachable => self.kept().clear(),
                _ => {
                    self.keep(idle, &answer);
                    return answer;
                }
            }
        }
        let link = self.connect(&server).await?;
        let now = Instant::now();
        let mut made = Idle { link, server, made: now, used: now };
        let answer = made.link.ask(asked, left()).await;
        self.keep(made, &answer);
        answer
    }

    async fn connect(&self, server: &Server) -> Result<Link, Trouble> {
        let (egress, trust) = (&self.egress, self.trust.as_ref());
        match server.engine {
            Engine::Postgres => {
                let link = postgres::Link::connect(server, egress, trust, self.timeout, self.limits).await?;
                Ok(Link::Postgres(Box::new(link)))
            }
            Engine::MySql => {
                let link = mysql::Link::connect(server, egress, trust, self.timeout, self.limits).await?;
                Ok(Link::MySql(Box::new(link)))
            }
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to this very database, with this very password.
    fn take(&self, server: &Server) -> Option<Idle> {
        let mut kept = self.kept();
        kept.retain(|idle| idle.is_good_for(server));
        kept.pop()
    }

    /// For the next question, unless what went wrong is the connection's.
    fn keep(&self, mut idle: Idle, answer: &Result<Value, Trouble>) {
        let spent = matches!(answer, Err(trouble) if matches!(
            trouble.reason,
            Reason::Unreachable | Reason::Timeout | Reason::TooLarge | Reason::Forbidden | Reason::Limited
        ));
        if !spent {
            idle.used = Instant::now();
            self.kept().push(idle);
        }
    }

    async fn probed(&self) -> Result<Probed, Trouble> {
        let found = match self.target()? {
            Target::File(path) => format!("SQLite {}", sqlite::version(&path, self.timeout).await?),
            Target::Server(server) => {
                let mut link = self.connect(&server).await?;
                let asked = Asked { take: Take::Value, statement: "SELECT 1", parameters: &[], limits: self.limits };
                link.ask(&asked, self.timeout).await?;
                match link {
                    Link::Postgres(link) => link.version().await?,
                    Link::MySql(link) => link.version(),
                }
            }
        };
        let needs = vec!["SELECT on the tables that scripts read, and nothing else".to_owned()];
        Ok(Probed { found: format!("{found}, read only"), needs })
    }
}

impl Idle {
    fn is_good_for(&self, server: &Server) -> bool {
        let open = match &self.link {
            Link::Postgres(link) => link.is_open(),
            // Whether it broke is found out at the next question.
            Link::MySql(link) => !link.is_spent(),
        };
        open && self.server.is(server) && self.used.elapsed() < MOST_IDLE && self.made.elapsed() < MOST_AGE
    }
}

impl Link {
    /// Asks within the time that is left.
    async fn ask(&mut self, asked: &Asked<'_>, left: Duration) -> Result<Value, Trouble> {
        match self {
            Self::Postgres(link) => link.ask(asked, left).await,
            Self::MySql(link) => link.ask(asked).await,
        }
    }
}

impl Connector for Sql {
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
        let address = match &self.address {
            Where::Text(_) => Vec::new(),
            Where::Secret(key) => key.rings(),
        };
        address.into_iter().chain(self.password.iter().flat_map(Key::rings)).collect()
    }
}
