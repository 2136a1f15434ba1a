//! Rules of `[routes.NAME.reconcile]` for this log that its schema cannot say. The section may break the schema, too.

use serde_json::Value;
use url::{Host, Url};

use crate::setup::Problem;
use hookgate_model::secret::literal::secret_in_url;

const EXAMPLE: &str = "write `https://example.okta.com`";

pub(super) fn problems(section: &Value) -> Vec<Problem> {
    org(section).into_iter().chain(proof(section)).collect()
}

fn org(section: &Value) -> Option<Problem> {
    let written = section.get("org_url")?.as_str().filter(|written| !written.is_empty())?;
    if let Some(what) = secret_in_url(written) {
        let problem = Problem::bad_value("org_url", format!("{what} is never written into the file"));
        return Some(Problem { code: "config/literal-secret", ..problem }.help(EXAMPLE));
    }
    let allow_private = section.get("allow_private").and_then(Value::as_bool).unwrap_or(false);
    let problem = match Url::parse(written) {
        Err(_) => "is not an address",
        Ok(url) if !is_safe(&url, allow_private) => "must begin with `https://`",
        Ok(url) if !is_bare_host(&url) => "must be the address of the org and nothing more",
        Ok(_) => return None,
    };
    Some(Problem::bad_value("org_url", problem).help(EXAMPLE))
}

fn proof(section: &Value) -> Vec<Problem> {
    let has = |key: &str| section.get(key).is_some();
    let app = ["client_id", "private_key", "key_id"].into_iter().find(|key| has(key));
    match (has("token"), app) {
        (true, Some(key)) => {
            let message = format!("it has `token` or an app, not both: here are `token` and `{key}`");
            let problem = Problem { code: "config/exclusive-keys", ..Problem::bad_value(key, message) };
            vec![problem.help("remove one of them")]
        }
        (false, None) => {
            let help = "write `token = { file = \"secrets/okta-log\" }`: a token that may read the System Log";
            vec![Problem::missing("token", "`token` is missing, or `client_id` and `private_key`").help(help)]
        }
        (false, Some(_)) => {
            let missing = ["client_id", "private_key"].into_iter().filter(|key| !has(key));
            let problem = |key| Problem::missing(key, format!("`{key}` is missing"));
            missing.map(|key| problem(key).help("an app needs `client_id` and `private_key`")).collect()
        }
        (true, None) => Vec::new(),
    }
}

/// Nobody on the way reads the token: https, or this machine for trying things out.
fn is_safe(url: &Url, allow_private: bool) -> bool {
    let local = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && local && allow_private)
}

fn is_bare_host(url: &Url) -> bool {
    let nothing_before = url.username().is_empty() && url.password().is_none();
    let nothing_behind = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    url.host().is_some() && nothing_before && nothing_behind
}
