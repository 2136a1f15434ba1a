//! `entra`: ends the sessions of people at Microsoft Entra ID, by Microsoft Graph (contract: downstream actions, section 4).
//!
//! Asks and no more: when sessions end is up to Microsoft, so nothing here says that they did.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::client;
use crate::client::{Answer, Client, Outgoing};
use crate::egress;
use crate::oauth::assertion;
use crate::oauth::assertion::Statement;
use crate::oauth::{Grant, Presented, Proof, Tokens};
use crate::setup::{Kind, Problem, Setup};
use crate::{Connector, Done, Order, Performing, Probed, Probing, Trouble, What};
use hookgate_model::command::{Account, Action, Task, Verb};
use hookgate_model::question;
use hookgate_model::secret::{Ring, SecretSource};

#[cfg(test)]
mod tests;

pub(crate) const KIND: Kind = Kind {
    name: "entra",
    about: "A tenant of Microsoft Entra ID: ends the sessions of its users.",
    guide: include_str!("entra/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Entra::new(setup)?)),
    answers: None,
    cache: None,
    sends_codes: false,
    proxied: true,
};

/// The application permission that ending sessions needs, and no more.
const PERMISSION: &str = "User.RevokeSessions.All";

/// All but what never needs to be encoded (RFC 3986 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a user principal name may have before its `@`, beside letters and digits.
const UPN_MARKS: &str = "'.-_!#^~$";

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Id of the tenant, or one of its domains.
    #[schemars(length(min = 1))]
    tenant: String,
    /// Id of the application (client) that is registered there.
    #[schemars(length(min = 1))]
    pub client_id: String,
    /// A secret of the application.
    client_secret: Option<SecretSource>,
    /// The private key of a certificate of the application, in PEM form, instead of a secret.
    pub private_key: Option<SecretSource>,
    /// PEM file with that certificate.
    #[schemars(length(min = 1))]
    certificate_file: Option<String>,
    /// Where tokens are got; national clouds have another one, such as `https://login.microsoftonline.us`.
    #[serde(default = "login")]
    #[schemars(length(min = 1))]
    login_url: String,
    /// Where Microsoft Graph is; national clouds have another one, such as `https://graph.microsoft.us`.
    #[serde(default = "graph")]
    #[schemars(length(min = 1))]
    graph_url: String,
    /// PEM file with authorities that are trusted besides those of the system.
    #[schemars(length(min = 1))]
    ca_file: Option<String>,
}

fn login() -> String {
    "https://login.microsoftonline.com".to_owned()
}

fn graph() -> String {
    "https://graph.microsoft.com".to_owned()
}

struct Entra {
    client: Client,
    graph: Url,
    tokens: Tokens,
}

impl Entra {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let mut problems = Vec::new();
        let authorities = client::authorities(setup, settings.ca_file.as_deref());
        let authorities = authorities.map_err(|found| problems.extend(found)).ok().flatten();
        let client = Client::new(setup, authorities);
        let graph = host("graph_url", &settings.graph_url, &client).map_err(|problem| problems.push(problem));
        let login = host("login_url", &settings.login_url, &client).map_err(|problem| problems.push(problem));
        let tenant = settings.tenant.trim();
        if !tenant.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')) || tenant.starts_with('.') {
            problems.push(Problem::bad_value("tenant", "is the id of a tenant or one of its domains: `contoso.com`"));
        }
        let proof = proof(setup, &settings).map_err(|found| problems.extend(found));
        let (Ok(graph), Ok(mut token_url), Ok(proof)) = (graph, login, proof) else { return Err(problems) };
        if !problems.is_empty() {
            return Err(problems);
        }
        token_url.set_path(&format!("/{tenant}/oauth2/v2.0/token"));
        let tokens = Tokens::new(Grant {
            token_url,
            client_id: settings.client_id,
            proof,
            scope: Some(format!("{}/.default", graph.origin().ascii_serialization())),
            audience: None,
            giver: "Entra ID",
        });
        Ok(Self { client, graph, tokens })
    }

    async fn send(&self, order: &Order) -> Result<Done, Trouble> {
        let Task::Account(account) = &order.action.task else {
            return Err(Trouble::refused("it ends sessions, and does nothing else"));
        };
        let url = self.address(account).map_err(Trouble::refused)?;
        let token = self.tokens.current(&self.client).await?;
        let mut answer = self.revoke(order, &url, &token).await?;
        // A 401 says that nothing was done.
        if answer.status == 401 && self.tokens.forget(&token) {
            let token = self.tokens.current(&self.client).await?;
            answer = self.revoke(order, &url, &token).await?;
        }
        self.outcome(&answer)
    }

    async fn revoke(&self, order: &Order, url: &Url, token: &Presented) -> Result<Answer, Trouble> {
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        headers.insert(AUTHORIZATION, token.bearer()?);
        let request = Outgoing { method: Method::POST, url: url.clone(), headers, body: Bytes::new() };
        self.client.send(order, request).await
    }

    fn outcome(&self, answer: &Answer) -> Result<Done, Trouble> {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let redact = self.tokens.redact();
        let code = redact.excerpt(body["error"]["code"].as_str().unwrap_or_default());
        let said = redact.excerpt(body["error"]["message"].as_str().unwrap_or_default());
        let told = match (code.is_empty(), said.is_empty()) {
            (true, _) => String::new(),
            (false, true) => format!(" (it said: {code})"),
            (false, false) => format!(" (it said: {code}: {said})"),
        };
        let status = Some(answer.status);
        match answer.status {
            // Documented is 200; 204 comes, too.
            200..=299 => Ok(Done { status, note: "revocation requested".to_owned() }),
            404 if is_no_user(&code) => {
                Ok(Done { status, note: "there is no such user in the tenant: nothing to revoke".to_owned() })
            }
            401 => Err(Trouble {
                status,
                ..Trouble::refused(format!("Graph answered 401: it does not take the token of Entra ID{told}"))
            }),
            403 => Err(Trouble {
                status,
                ..Trouble::refused(format!(
                    "Graph answered 403: grant the application the permission `{PERMISSION}` (of type \"application\"), \
                     with the consent of an administrator{told}"
                ))
            }),
            404 => Err(Trouble {
                status,
                ..Trouble::refused(format!("Graph answered 404, and not for the user: is `graph_url` right?{told}"))
            }),
            408 | 425 | 429 | 500.. => Err(Trouble {
                what: What::NotDelivered { retry_after: answer.retry_after },
                status,
                message: format!("Graph answered {}{told}", answer.status),
            }),
            _ => match answer.judge(&redact) {
                Ok(done) => Ok(done),
                Err(trouble) if told.is_empty() => Err(trouble),
                Err(trouble) => Err(Trouble { message: format!("Graph answered {}{told}", answer.status), ..trouble }),
            },
        }
    }

    /// Where the sessions of a user are revoked.
    fn address(&self, account: &Account) -> Result<Url, String> {
        let user = user(&account.user)?;
        let path = format!("/v1.0/users{user}/revokeSignInSessions");
        let url = self.graph.join(&path).ok().filter(|url| url.path() == path && url.origin() == self.graph.origin());
        url.ok_or_else(|| "this is no id and no user principal name".to_owned())
    }

    async fn probed(&self) -> Result<Probed, question::Trouble> {
        self.tokens.current(&self.client).await?;
        Ok(Probed { found: "Entra ID gives the application a token".to_owned(), needs: vec![PERMISSION.to_owned()] })
    }
}

impl Connector for Entra {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn check(&self, action: &Action) -> Result<(), String> {
        match &action.task {
            Task::Account(account) if account.verb == Verb::RevokeSignInSessions => self.address(account).map(|_| ()),
            _ => Err(format!("an `entra` connector takes `revoke_sign_in_sessions`, not `{}`", action.name())),
        }
    }

    fn perform<'a>(&'a self, order: &'a Order) -> Performing<'a> {
        Box::pin(self.send(order))
    }

    fn probe(&self) -> Option<Probing<'_>> {
        Some(Box::pin(self.probed()))
    }

    fn secrets(&self) -> Vec<Arc<Ring>> {
        self.tokens.rings()
    }
}

/// Graph's code for a user that is not there; others stand for an address that is not.
fn is_no_user(code: &str) -> bool {
    matches!(code, "Request_ResourceNotFound" | "ResourceNotFound" | "ErrorItemNotFound")
}

/// A user as what follows `/users` (Graph, "Get a user"): a name that begins with `$` goes into parentheses.
fn user(written: &str) -> Result<String, String> {
    let encoded = |text: &str| utf8_percent_encode(text, SEGMENT).to_string();
    if is_guid(written) {
        return Ok(format!("/{written}"));
    }
    let Some((local, domain)) = written.rsplit_once('@') else {
        return Err("a user of Entra ID is an object id or a user principal name (`ann@contoso.com`)".to_owned());
    };
    if let Some(strange) = written.chars().find(|c| !c.is_ascii()) {
        return Err(format!(
            "a user principal name has no accents, and no letters beyond ASCII: this one has `{strange}`"
        ));
    }
    let fits = |text: &str, marks: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c))
    };
    if !fits(local, UPN_MARKS) || !fits(domain, ".-") {
        return Err("this is no user principal name: it has letters that none may have".to_owned());
    }
    if local.starts_with('$') {
        // In the quotes of OData a quote is doubled.
        return Ok(format!("('{}')", encoded(&written.replace('\'', "''"))));
    }
    Ok(format!("/{}", encoded(written)))
}

fn is_guid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

fn host(key: &str, written: &str, client: &Client) -> Result<Url, Problem> {
    let url = egress::target_of_secret(written, client.egress()).map_err(|text| Problem::bad_value(key, text))?;
    match matches!(url.path(), "" | "/") && url.query().is_none() {
        true => Ok(url),
        false => Err(Problem::bad_value(key, "is the address of a host and nothing more")),
    }
}

fn proof(setup: &Setup<'_>, settings: &Settings) -> Result<Proof, Vec<Problem>> {
    match (&settings.client_secret, &settings.private_key, &settings.certificate_file) {
        (Some(secret), None, None) => Ok(Proof::Secret(setup.secret("client_secret", secret)?)),
        (None, Some(private_key), Some(file)) => {
            let key = setup.secret("private_key", private_key)?;
            assertion::check("private_key", &key)?;
            let file = SecretSource::File { file: file.clone(), create: false };
            let certificate = setup.secret("certificate_file", &file)?;
            let pem = certificate.current();
            if !pem.expose().is_empty() && assertion::thumbprint(pem.expose()).is_none() {
                return Err(vec![Problem::bad_value("certificate_file", "holds no certificate in PEM form")]);
            }
            Ok(Proof::Statement(Statement { key, key_id: None, certificate: Some(certificate) }))
        }
        (None, Some(_), None) => {
            Err(vec![Problem::missing("certificate_file", "`certificate_file` is missing: the certificate of the key")])
        }
        (None, None, Some(_)) => {
            Err(vec![Problem::missing("private_key", "`private_key` is missing: the key of the certificate")])
        }
        (None, None, None) => Err(vec![Problem::missing(
            "client_secret",
            "`client_secret` is missing, or `private_key` and `certificate_file`",
        )]),
        (Some(_), ..) => {
            let problem = Problem::bad_value("client_secret", "`client_secret` and `private_key` exclude each other");
            Err(vec![problem.help("remove one of them")])
        }
    }
}
