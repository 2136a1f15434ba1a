//! MySQL and MariaDB.
//!
//! Every statement is prepared, which allows only one, and runs in a transaction that may only read. The session, too, is set
//! to reading, to UTC and to a time after which the server itself stops a statement. After each question it is reset: variables and
//! locks of one question are none of the next one's.
//!
//! Parameters go as texts. A number beside a column of texts would turn the texts into numbers, and then `0` finds every text that
//! begins with no digit. A text beside a number or a time is read as one, and where that is none the server warns: that
//! answer is refused.

use std::net::IpAddr;
use std::time::Duration;

use mysql_async::consts::ColumnType;
use mysql_async::prelude::Queryable;
use mysql_async::{Column, Conn, DriverError, Error, IoError, OptsBuilder, Params, ServerError, SslOpts, TlsError};
use serde_json::Value;
use url::Host;

use crate::egress::Egress;
use crate::redact::Redact;
use crate::sql::reading;
use crate::sql::reading::{Asked, Gathered, Limits, bad_cell, rejected, too_long};
use crate::sql::target::Server;
use crate::time_limit::within;
use crate::wire;
use crate::wire::Trust;
use hookgate_model::question::digits;
use hookgate_model::question::{Reason, Trouble};

/// The number of the character set `binary`.
const BINARY: u16 = 63;

/// A connection; after an error that is not the statement's it is not used again.
pub(super) struct Link {
    connection: Conn,
    version: String,
    /// How its session is set up.
    session: String,
    /// Its session could not be reset.
    spent: bool,
    redact: Redact,
}

impl Link {
    pub(super) async fn connect(
        server: &Server,
        egress: &Egress,
        trust: Option<&Trust>,
        time: Duration,
        limits: Limits,
    ) -> Result<Self, Trouble> {
        let addresses = egress.addresses_of(&server.host).await.map_err(wire::no_address)?;
        let password = std::str::from_utf8(server.password.expose())
            .map_err(|_| Trouble::new(Reason::Denied, "its password is not UTF-8"))?;
        let options = OptsBuilder::default()
            .ip_or_hostname(name(&server.host))
            .tcp_port(server.port)
            .resolved_ips(Some(addresses))
            .user(Some(&server.user))
            .pass(server.has_password().then_some(password))
            .db_name(Some(&server.database))
            // Or else it looks for a way around the address that was judged.
            .prefer_socket(false)
            .stmt_cache_size(0)
            .tcp_keepalive(Some(Duration::from_secs(30)))
            // A longer row is not read to its end.
            .max_allowed_packet(Some(limits.bytes.saturating_mul(2).max(1 << 20)))
            .ssl_opts(trust.map(tls).transpose()?);
        let redact = Redact::default().and(&server.password);
        let connection = within(time.mul_f64(0.75), Conn::new(options)).await;
        let connection = connection
            .map_err(|_| Trouble::new(Reason::Unreachable, "it did not accept a connection in time"))?
            .map_err(|error| trouble(&error, &redact, limits))?;
        let (version, session, spent) = Default::default();
        let mut link = Self { connection, version, session, spent, redact };
        link.prepare_session(time, limits).await.map_err(|error| trouble(&error, &link.redact, limits))?;
        Ok(link)
    }

    async fn prepare_session(&mut self, time: Duration, limits: Limits) -> mysql_async::Result<()> {
        let version: Option<String> = self.connection.query_first("SELECT VERSION()").await?;
        self.version = version.unwrap_or_default();
        let time = reading::stop_after(time);
        let (most, read_only) = match self.is_mariadb() {
            true => (format!("max_statement_time = {}", time.as_secs_f64()), "tx_read_only"),
            false => (format!("max_execution_time = {}", time.as_millis()), "transaction_read_only"),
        };
        let rows = limits.rows.saturating_add(1);
        self.session = format!("SET SESSION time_zone = '+00:00', sql_select_limit = {rows}, {most}, {read_only} = 1");
        self.connection.query_drop(self.session.as_str()).await
    }

    /// Ends the transaction, and makes the session as it was at first. Where that fails, the connection is not used again.
    async fn reset(&mut self) {
        self.spent = true;
        if matches!(self.connection.reset().await, Ok(true))
            && self.connection.query_drop(self.session.as_str()).await.is_ok()
        {
            self.spent = false;
        }
    }

    pub(super) fn is_spent(&self) -> bool {
        self.spent
    }

    fn is_mariadb(&self) -> bool {
        self.version.contains("MariaDB")
    }

    /// `MariaDB 10.11.6`.
    pub(super) fn version(&self) -> String {
        let product = if self.is_mariadb() { "MariaDB" } else { "MySQL" };
        format!("{product} {}", self.version.split('-').next().unwrap_or_default())
    }

    pub(super) async fn ask(&mut self, asked: &Asked<'_>) -> Result<Value, Trouble> {
        let redact = self.redact.clone();
        let trouble = |error: Error| trouble(&error, &redact, asked.limits);
        self.connection.query_drop("START TRANSACTION READ ONLY").await.map_err(trouble)?;
        let answer = self.read(asked).await;
        // What was not read stands in the way: the connection is not used again.
        if answer.as_ref().is_err_and(|trouble| trouble.reason == Reason::TooLarge) {
            return answer;
        }
        self.reset().await;
        answer
    }

    async fn read(&mut self, asked: &Asked<'_>) -> Result<Value, Trouble> {
        let redact = &self.redact;
        let trouble = |error: Error| trouble(&error, redact, asked.limits);
        let statement = self.connection.prep(asked.statement).await.map_err(trouble)?;
        asked.check_count(usize::from(statement.num_params()))?;
        asked.check_no_truth_values("MySQL")?;
        let names = statement.columns().iter().map(|column| column.name_str().into_owned()).collect();
        let mut gathered = Gathered::new(asked, names)?;
        let parameters = match asked.parameters {
            [] => Params::Empty,
            some => Params::Positional(some.iter().map(parameter).collect()),
        };
        let mut rows = self.connection.exec_iter(&statement, parameters).await.map_err(trouble)?;
        // All are read, wanted or not: what is left on the way would be taken for the answer to the next question. The
        // session's own limit keeps them few.
        let mut full = Ok(());
        while let Some(row) = rows.next().await.map_err(trouble)? {
            if full.is_ok() && gathered.wants_more() {
                full = cells(row, gathered.columns().len()).and_then(|cells| gathered.add(cells));
            }
            if let Err(Trouble { reason: Reason::TooLarge, .. }) = &full {
                return full.map(|()| Value::Null);
            }
        }
        drop(rows);
        if self.connection.get_warnings() > 0 && !asked.parameters.is_empty() {
            self.check_warnings(asked).await?;
        }
        full.map(|()| gathered.answer())
    }

    /// Whether a parameter was compared with a number or a time and is none: the server takes what it can of it.
    async fn check_warnings(&mut self, asked: &Asked<'_>) -> Result<(), Trouble> {
        let trouble = |error: Error| trouble(&error, &self.redact, asked.limits);
        let warnings: Vec<(String, u16, String)> = self.connection.query("SHOW WARNINGS").await.map_err(trouble)?;
        let doubted = warnings.iter().filter(|(level, code, _)| level == "Warning" && matches!(code, 1292 | 1366));
        for (_, _, text) in doubted {
            if let Some(at) = asked.parameters.iter().position(|value| is_about(text, value)) {
                return Err(rejected(format!(
                    "parameter {} is a text that is no number (or no time), and the statement compares it with one: give what \
                     the column holds",
                    at + 1
                )));
            }
        }
        Ok(())
    }
}

/// Whether a warning (`Truncated incorrect DECIMAL value: '7abc'`) quotes this text, or its beginning.
fn is_about(warning: &str, value: &Value) -> bool {
    let quoted = warning.split_once(": '").and_then(|(_, rest)| rest.strip_suffix('\''));
    let (Some(quoted), Some(text)) = (quoted, value.as_str()) else { return false };
    // Long ones are cut, and what is not ASCII may be written as `\xC3`.
    match quoted.trim_end_matches("...").split('\\').next().unwrap_or_default() {
        _ if text.is_empty() => quoted.is_empty(),
        "" => !quoted.is_empty() && text.starts_with(|c: char| c == '\\' || !c.is_ascii()),
        plain => text.starts_with(plain),
    }
}

fn name(host: &Host) -> String {
    match host {
        Host::Domain(name) => name.clone(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => IpAddr::V6(*address).to_string(),
    }
}

fn tls(trust: &Trust) -> Result<SslOpts, Trouble> {
    let (_, all) = trust.roots().map_err(|error| wire::broken(&error))?;
    let roots = all.into_iter().map(|certificate| certificate.to_vec().into()).collect();
    Ok(SslOpts::default().with_disable_built_in_roots(true).with_root_certs(roots))
}

fn parameter(value: &Value) -> mysql_async::Value {
    match value {
        Value::Number(number) => number.to_string().into(),
        Value::String(text) => text.as_str().into(),
        // Truth values, lists and maps were refused before.
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => mysql_async::Value::NULL,
    }
}

/// A row's own columns are exact; those of the statement were made before its parameters were known.
fn cells(row: mysql_async::Row, count: usize) -> Result<Vec<Value>, Trouble> {
    let columns = row.columns();
    let given = columns.iter().take(count).zip(row.unwrap_raw());
    given.map(|(column, value)| cell(value.unwrap_or(mysql_async::Value::NULL), column)).collect()
}

fn cell(value: mysql_async::Value, column: &Column) -> Result<Value, Trouble> {
    use mysql_async::Value as Given;
    let name = column.name_str();
    match value {
        Given::NULL => Ok(Value::Null),
        Given::Int(number) => Ok(number.into()),
        Given::UInt(number) => Ok(unsigned(number)),
        Given::Float(number) => reading::float(shortest(number), &name),
        Given::Double(number) => reading::float(number, &name),
        Given::Bytes(bytes) => text(bytes, column, &name),
        Given::Date(year, month, day, ..) if column.column_type() == ColumnType::MYSQL_TYPE_DATE => {
            Ok(format!("{year:04}-{month:02}-{day:02}").into())
        }
        Given::Date(year, month, day, hour, minute, second, micros) => {
            let part = fraction(micros);
            // The session is in UTC, and only these are moved to its zone.
            let zone = if column.column_type() == ColumnType::MYSQL_TYPE_TIMESTAMP { "Z" } else { "" };
            Ok(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{part}{zone}").into())
        }
        Given::Time(negative, days, hours, minutes, seconds, micros) => {
            let (sign, hours) = (if negative { "-" } else { "" }, days * 24 + u32::from(hours));
            Ok(format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{}", fraction(micros)).into())
        }
    }
}

/// Scripts count to 2^63: what is more is a text, like decimals.
fn unsigned(number: u64) -> Value {
    i64::try_from(number).map_or_else(|_| number.to_string().into(), Value::from)
}

/// `0.1` as it was written, not `0.10000000149011612`.
fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| f64::from(number))
}

fn fraction(micros: u32) -> String {
    let written = format!(".{micros:06}");
    if micros == 0 { String::new() } else { written.trim_end_matches('0').to_owned() }
}

fn text(bytes: Vec<u8>, column: &Column, name: &str) -> Result<Value, Trouble> {
    match column.column_type() {
        ColumnType::MYSQL_TYPE_BIT if bytes.len() <= 8 => {
            Ok(unsigned(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))))
        }
        ColumnType::MYSQL_TYPE_JSON => {
            digits::read(&bytes).map_err(|_| bad_cell(name, "holds JSON that cannot be read"))
        }
        ColumnType::MYSQL_TYPE_NEWDECIMAL | ColumnType::MYSQL_TYPE_DECIMAL => utf8(bytes, name),
        ColumnType::MYSQL_TYPE_GEOMETRY | ColumnType::MYSQL_TYPE_BIT | ColumnType::MYSQL_TYPE_VECTOR => {
            Err(bad_cell(name, reading::BINARY))
        }
        _ if column.character_set() == BINARY => Err(bad_cell(name, reading::BINARY)),
        _ => utf8(bytes, name),
    }
}

fn utf8(bytes: Vec<u8>, name: &str) -> Result<Value, Trouble> {
    String::from_utf8(bytes).map(Value::String).map_err(|_| bad_cell(name, reading::NO_UTF8))
}

fn trouble(error: &Error, redact: &Redact, limits: Limits) -> Trouble {
    match error {
        Error::Server(said) => refused(said, redact),
        Error::Io(IoError::Tls(TlsError::Tls(why))) => wire::broken(why),
        // The driver says it either way, depending on where it noticed.
        Error::Io(IoError::Io(why)) if why.to_string().contains("max_allowed_packet") => too_long(limits),
        Error::Driver(DriverError::PacketTooLarge) => too_long(limits),
        Error::Io(IoError::Io(why)) => wire::broken(why),
        Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            Trouble::new(Reason::Forbidden, "the server offers no TLS: `tls = \"none\"` does without")
        }
        Error::Driver(DriverError::CleartextPluginDisabled | DriverError::MysqlOldPasswordDisabled) => {
            Trouble::new(Reason::Denied, "the server wants the password in a form that shows it to others")
        }
        Error::Driver(DriverError::UnknownAuthPlugin { name }) => Trouble::new(
            Reason::Denied,
            format!("the server wants the password in an unknown form, `{}`", redact.excerpt(name)),
        ),
        Error::Driver(DriverError::ConnectionClosed) => Trouble::new(Reason::Unreachable, "the connection broke"),
        // Others may hold what was received.
        _ => Trouble::new(Reason::Unreachable, "the connection cannot be used: the server says what MySQL does not"),
    }
}

/// What the server says of a statement holds names and parts of it, and sometimes data: so only what is known is told.
fn refused(said: &ServerError, redact: &Redact) -> Trouble {
    let code = said.code;
    let words = || format!("{} ({code})", redact.excerpt(&said.message));
    match code {
        1044 | 1045 | 1130 | 1142 | 1143 | 1227 | 1370 | 1698 | 1820 | 1862 | 3118 | 4151 => {
            Trouble::new(Reason::Denied, words())
        }
        1040 | 1203 | 1226 => Trouble::new(Reason::Limited, words()),
        1205 | 1969 | 3024 => reading::stopped(code),
        1053 | 1077 | 1079 | 1317 | 1927 | 4031 => {
            Trouble::new(Reason::Unreachable, format!("the server ended the connection ({code})"))
        }
        1792 | 1290 => rejected(format!("the statement writes, and this connector only reads ({code})")),
        // What is not there, or not spelled like this.
        1046 | 1049 | 1051 | 1052 | 1054 | 1060 | 1064 | 1066 | 1109 | 1111 | 1140 | 1146 | 1149 | 1176 | 1241
        | 1242 | 1305 | 1327 | 1356 => rejected(words()),
        _ => rejected(format!("the server refuses the statement: error {code}")),
    }
}
