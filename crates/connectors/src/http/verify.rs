//! `http(…).verify`: asks a login endpoint whether a password is right. The answer is yes, no, or trouble.
//!
//! The secrets of the question are put into the request here and nowhere else. Of the answer nothing is told but its status:
//! a body may repeat the password. Where one question is asked twice, the system answered 401 to an access token of ours.

use crate::client;
use crate::client::{Answer, Outgoing};
use crate::egress;
use crate::http::Api;
use crate::http::auth::Auth;
use crate::oauth::settings::ClientAuth;
use crate::predicate::Predicate;
use crate::redact::Redact;
use crate::setup::{Key, Problem, Setup};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hookgate_model::question::verify::Credentials;
use hookgate_model::question::{Reason, Trouble};
use hookgate_model::secret::SecretSource;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Url, form_urlencoded};

#[cfg(test)]
mod tests;

/// How `http(…).verify` sends what it is given, and what the answer means.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Verify")]
pub(super) struct Settings {
    /// How the members go out.
    send: Encoding,
    /// Statuses that mean yes. Absent: 200 to 299; for `password_grant` 200.
    #[schemars(inner(range(min = 200, max = 399)))]
    yes: Option<Vec<u16>>,
    /// Statuses that mean no; every other one is trouble. Absent: 401 and 403, or none where the connector has `auth` (they may be
    /// about us then) and for `password_grant`.
    #[schemars(inner(range(min = 200, max = 599)))]
    no: Option<Vec<u16>>,
    /// What an answer with such a status holds if it means yes. Where the field is there and is something else, it means no; where
    /// it is missing, that is trouble. Absent: nothing; for `password_grant` the field `access_token`.
    success: Option<Predicate>,
    /// What an answer holds that means no, whether its status is one of `yes` or from 400 to 499. Absent: nothing; for
    /// `password_grant` `{ field = "error", equals = "invalid_grant" }`.
    failure: Option<Predicate>,
    /// Who we are at the token endpoint, for `password_grant`.
    #[schemars(length(min = 1))]
    pub client_id: Option<String>,
    /// Our secret there, if we have one.
    client_secret: Option<SecretSource>,
    /// How that is sent.
    client_auth: ClientAuth,
    /// What is asked for with `password_grant`, separated by spaces.
    #[schemars(length(min = 1))]
    scope: Option<String>,
}

/// How members become a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "VerifyForm")]
enum Encoding {
    /// `POST` of an object.
    #[default]
    Json,
    /// `POST` of a form, as pages send it.
    Form,
    /// `GET` with `username` and `password` as `Authorization: Basic …`.
    Basic,
    /// `POST` of a form to a token endpoint, with `grant_type=password` (RFC 6749 4.3). The token is thrown away.
    PasswordGrant,
}

/// The settings with their defaults in place.
pub(super) struct Verification {
    encoding: Encoding,
    yes: Option<Vec<u16>>,
    no: Vec<u16>,
    success: Option<Predicate>,
    failure: Option<Predicate>,
    client: Option<(String, Option<Key>, ClientAuth)>,
    scope: Option<String>,
}

impl Verification {
    /// # Errors
    /// Settings that contradict one another, or a secret that is not there.
    pub(super) fn new(setup: &Setup<'_>, written: &Settings, auth: Option<&Auth>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let grant = written.send == Encoding::PasswordGrant;
        let foreign = [
            ("client_id", written.client_id.is_some()),
            ("client_secret", written.client_secret.is_some()),
            ("scope", written.scope.is_some()),
        ];
        for (name, _) in foreign.into_iter().filter(|(_, is_there)| *is_there && !grant) {
            let message = format!("`{name}` is for `send = \"password_grant\"`");
            problems.push(Problem::bad_value(&format!("verify.{name}"), message));
        }
        if grant && written.client_secret.is_some() && written.client_id.is_none() {
            problems.push(Problem::missing("verify.client_id", "`client_id` is missing beside `client_secret`"));
        }
        if matches!(written.send, Encoding::Basic) && auth.is_some_and(Auth::is_authorization) {
            let message = "the password goes out in `Authorization`, and so does `auth` of this connector";
            problems.push(Problem::bad_value("verify.send", message));
        }
        let yes = written.yes.clone().or_else(|| grant.then(|| vec![200]));
        let usual = if grant || auth.is_some() { Vec::new() } else { vec![401, 403] };
        let no = written.no.clone().unwrap_or(usual);
        if let Some(both) = no.iter().find(|status| is_yes(yes.as_deref(), **status)) {
            problems.push(Problem::bad_value("verify.no", format!("{both} cannot mean yes and no")));
        }
        let secret = written.client_secret.as_ref().map(|source| setup.secret("verify.client_secret", source));
        let secret = secret.transpose().map_err(|found| problems.extend(found));
        let Ok(secret) = secret else { return Err(problems) };
        if !problems.is_empty() {
            return Err(problems);
        }
        let usual = |predicate: fn() -> Predicate| grant.then(predicate);
        let success = written.success.clone().or_else(|| usual(|| Predicate::present("access_token")));
        let failure = written.failure.clone().or_else(|| usual(|| Predicate::text("error", "invalid_grant")));
        let client = written.client_id.clone().map(|id| (id, secret, written.client_auth));
        Ok(Self { encoding: written.send, yes, no, success, failure, client, scope: written.scope.clone() })
    }

    /// Our secret at the token endpoint.
    pub(super) fn key(&self) -> Option<&Key> {
        self.client.as_ref().and_then(|(_, key, _)| key.as_ref())
    }

    pub(super) fn redact(&self, redact: Redact) -> Redact {
        self.key().into_iter().fold(redact, |redact, key| redact.and(&key.current()))
    }

    fn reads_the_answer(&self) -> bool {
        self.success.is_some() || self.failure.is_some()
    }

    /// The request but for headers of the connector.
    fn request(&self, url: Url, asked: &Credentials) -> Result<Outgoing, Trouble> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let (method, kind, body) = match self.encoding {
            Encoding::Json => (Method::POST, Some("application/json"), Bytes::from(asked.filled().to_string())),
            Encoding::Basic => {
                headers.insert(AUTHORIZATION, basic(asked)?);
                (Method::GET, None, Bytes::new())
            }
            Encoding::Form => (Method::POST, Some("application/x-www-form-urlencoded"), form(&asked.filled(), &[])?),
            Encoding::PasswordGrant => {
                let body = self.grant(asked, &mut headers)?;
                (Method::POST, Some("application/x-www-form-urlencoded"), body)
            }
        };
        headers.extend(kind.map(|kind| (CONTENT_TYPE, HeaderValue::from_static(kind))));
        Ok(Outgoing { method, url, headers, body })
    }

    /// The form of RFC 6749 4.3.2, and who we are (2.3.1).
    fn grant(&self, asked: &Credentials, headers: &mut HeaderMap) -> Result<Bytes, Trouble> {
        let mut more: Vec<(&str, String)> = vec![("grant_type", "password".to_owned())];
        more.extend(self.scope.iter().map(|scope| ("scope", scope.clone())));
        match &self.client {
            Some((id, Some(key), ClientAuth::ClientSecretBasic)) => {
                let coded = |bytes: &[u8]| form_urlencoded::byte_serialize(bytes).collect::<String>();
                let both = format!("{}:{}", coded(id.as_bytes()), coded(key.current().expose()));
                headers.insert(AUTHORIZATION, sensitive(&format!("Basic {}", STANDARD.encode(both)))?);
            }
            Some((id, key, _)) => {
                more.push(("client_id", id.clone()));
                let secret = key.iter().map(|key| String::from_utf8_lossy(key.current().expose()).into_owned());
                more.extend(secret.map(|secret| ("client_secret", secret)));
            }
            None => {}
        }
        form(&asked.filled(), &more)
    }

    fn judge(&self, answer: &Answer, most: usize) -> Result<Option<bool>, Trouble> {
        if self.no.contains(&answer.status) {
            return Ok(Some(false));
        }
        let of_the_caller = (400..500).contains(&answer.status) && ![407, 429].contains(&answer.status);
        if !is_yes(self.yes.as_deref(), answer.status) {
            // Where the body cannot be read, the status is what is told.
            let says_no = |failure: &Predicate| body(answer, most).is_ok_and(|body| failure.is_in(&body));
            return Ok((of_the_caller && self.failure.as_ref().is_some_and(says_no)).then_some(false));
        }
        let Some(decides) = self.success.as_ref().or(self.failure.as_ref()) else { return Ok(Some(true)) };
        let body = body(answer, most)?;
        if self.failure.as_ref().is_some_and(|failure| failure.is_in(&body)) {
            return Ok(Some(false));
        }
        match &self.success {
            None => Ok(Some(true)),
            Some(success) if success.is_in(&body) => Ok(Some(true)),
            // With a `failure` of its own, what is neither is neither.
            Some(success) if self.failure.is_none() && success.is_answered(&body) => Ok(Some(false)),
            Some(_) => {
                let text = format!("it answered {} without {}", answer.status, decides.wanted());
                Err(Trouble::new(Reason::BadAnswer, text))
            }
        }
    }
}

impl Api {
    /// `true` or `false`.
    pub(super) async fn verified(&self, asked: &Credentials) -> Result<Value, Trouble> {
        if asked.has_empty_secret() {
            return Ok(false.into());
        }
        let url = self.url(&asked.path).map_err(|text| Trouble::new(Reason::Rejected, text))?;
        // Without `verify` in the settings, nobody has looked at that before.
        egress::target_of_secret(url.as_str(), self.client.egress())
            .map_err(|text| Trouble::new(Reason::Forbidden, format!("its `base_url` {text}")))?;
        let mut request = self.verification.request(url, asked)?;
        let unfit = |trouble: crate::Trouble| Trouble::new(Reason::Denied, trouble.message);
        self.headers.add_to(&mut request.headers).map_err(unfit)?;
        let most = if self.verification.reads_the_answer() { self.max_answer_bytes + 1 } else { 0 };
        let mut shown = self.proof.show(&self.client).await?;
        let mut answer = self.client.look(shown.on(&request), most).await?;
        if answer.status == 401 && !self.verification.no.contains(&401) && self.proof.forget(&shown) {
            shown = self.proof.show(&self.client).await?;
            answer = self.client.look(shown.on(&request), most).await?;
        }
        match self.verification.judge(&answer, self.max_answer_bytes)? {
            Some(right) => Ok(right.into()),
            None => Err(self.undecided(&answer)),
        }
    }

    /// What a status means that is neither yes nor no.
    fn undecided(&self, answer: &Answer) -> Trouble {
        let status = answer.status;
        if matches!(status, 401 | 403) && (self.proof.is_some() || self.verification.client.is_some()) {
            let text = format!(
                "it answered {status}, which may be about us or about the user: where it means a wrong password, say so with \
                 `verify = {{ no = [{status}] }}`"
            );
            return Trouble::new(Reason::Denied, text);
        }
        if let Err(trouble) = self.about_us(answer) {
            return trouble;
        }
        let reason = if matches!(status, 408 | 500..) { Reason::Unreachable } else { Reason::Rejected };
        let text = format!(
            "it answered {status}, which means neither yes nor no: `verify = {{ yes = […], no = […] }}` says which status does"
        );
        Trouble::new(reason, text)
    }
}

fn is_yes(yes: Option<&[u16]>, status: u16) -> bool {
    yes.map_or((200..300).contains(&status), |all| all.contains(&status))
}

/// The whole answer as JSON.
fn body(answer: &Answer, most: usize) -> Result<Value, Trouble> {
    if answer.body.len() > most {
        let text = format!("its answer is longer than {most} bytes (`max_answer_bytes`)");
        return Err(Trouble::new(Reason::TooLarge, text));
    }
    match (answer.complete, answer.late) {
        (true, _) => serde_json::from_slice(&answer.body)
            .map_err(|_| Trouble::new(Reason::BadAnswer, format!("it answered {} without JSON", answer.status))),
        (false, true) => Err(Trouble::new(Reason::Timeout, "its answer did not come to an end in time")),
        (false, false) => Err(Trouble::new(Reason::BadAnswer, "its answer broke off before its end")),
    }
}

/// `username` and `password` as RFC 7617 has them.
fn basic(asked: &Credentials) -> Result<HeaderValue, Trouble> {
    let wrong = |text: &str| Trouble::new(Reason::Rejected, text);
    let username = asked.members.get("username").and_then(Value::as_str);
    let (Some(username), Some(password)) = (username, asked.secret("password")) else {
        return Err(wrong("with `send = \"basic\"` there are a text `username` and a secret `password`"));
    };
    if username.contains(':') {
        return Err(wrong("a user name with a colon cannot go out with `send = \"basic\"`"));
    }
    let both = [username.as_bytes(), b":", password.expose()].concat();
    sensitive(&format!("Basic {}", STANDARD.encode(both)))
}

fn sensitive(text: &str) -> Result<HeaderValue, Trouble> {
    client::secret_value(text.as_bytes()).map_err(|trouble| Trouble::new(Reason::Rejected, trouble.message))
}

/// Members as a form, with `more` before them: one pair for each, several for a list, none for `null`.
fn form(members: &Value, more: &[(&str, String)]) -> Result<Bytes, Trouble> {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    for (name, value) in more {
        pairs.append_pair(name, value);
    }
    for (name, value) in members.as_object().into_iter().flatten() {
        let items = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
        for item in items {
            match item {
                Value::Null => {}
                Value::String(text) => drop(pairs.append_pair(name, text)),
                Value::Bool(_) | Value::Number(_) => drop(pairs.append_pair(name, &item.to_string())),
                Value::Array(_) | Value::Object(_) => {
                    let text =
                        format!("`{name}` goes out in a form: it is a text, a number, a truth value or a list of them");
                    return Err(Trouble::new(Reason::Rejected, text));
                }
            }
        }
    }
    Ok(pairs.finish().into())
}
