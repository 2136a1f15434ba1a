//! How a simulated call proves who calls: with the secret that the route itself checks.
//!
//! Only what a header can carry: a token of an identity provider or a client certificate cannot be made here.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::cli::bundle;
use hookgate_engine::config::Config;
use hookgate_engine::config::auth::Auth;
use hookgate_engine::config::routes::Route;
use hookgate_engine::release::bundle::Place;
use hookgate_hooks::Hook;
use hookgate_hooks::proof::TokenPlace;
use hookgate_model::environment;
use hookgate_model::secret::Secret;
use hookgate_model::secret::SecretSource;

/// `name: value` as somebody writes a header.
///
/// # Errors
/// It is no header.
pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("it must be `name: value`")?;
    let name = name.trim().parse::<HeaderName>().map_err(|error| error.to_string())?;
    let value = value.trim().parse::<HeaderValue>().map_err(|error| error.to_string())?;
    Ok((name, value))
}

/// What proves who calls.
#[derive(Debug)]
pub(super) struct Proof {
    /// Those that are given, and those that a secret of the route needs.
    pub(super) headers: HeaderMap,
    /// The secret that signs bodies.
    pub(super) webhook: Option<Secret>,
}

/// The first proof of the route that can be made here, beside the given headers.
pub(super) fn of(
    hook: &Hook,
    config: &Config,
    route: &Route,
    place: &Place,
    given: &[(HeaderName, HeaderValue)],
) -> Result<Proof> {
    let mut headers: HeaderMap = given.iter().cloned().collect();
    let auths = |way: &[String]| way.iter().filter_map(|name| config.auth.get(name)).collect::<Vec<&Auth>>();
    let ways: Vec<Vec<&Auth>> = route.auth.ways().into_iter().map(auths).collect();
    for way in &ways {
        // What a header cannot carry is given, or cannot be made.
        if way.iter().all(|auth| can_be_made(hook, auth)) {
            let mut webhook = None;
            for auth in way {
                add_proof(auth, place, &mut headers)?;
                if let Auth::StandardWebhooks(auth) = auth {
                    webhook = Some(secret(&auth.secrets, place)?);
                }
            }
            return Ok(Proof { headers, webhook });
        }
    }
    if given.is_empty() {
        let schemes: Vec<&str> = ways.iter().flatten().map(|auth| auth.scheme()).collect();
        let schemes = schemes.join(" and ");
        bail!(
            "it is protected by {schemes}, and only {} can make that proof; get a token and give it with \
             --header \"authorization: Bearer …\", or call a route with header or basic auth",
            hook.caller.provider
        );
    }
    Ok(Proof { headers, webhook: None })
}

/// Whether a proof of this scheme can be made from what is configured, or is made with the call itself.
fn can_be_made(hook: &Hook, auth: &Auth) -> bool {
    match auth {
        Auth::Header(_) | Auth::Basic(_) | Auth::StandardWebhooks(_) | Auth::None(_) => true,
        Auth::Jwt(_) => hook.token.place == TokenPlace::Body,
        Auth::Mtls(_) => false,
    }
}

/// Adds what a scheme asks for, unless its header is there already.
fn add_proof(auth: &Auth, place: &Place, headers: &mut HeaderMap) -> Result<()> {
    let (name, value) = match auth {
        Auth::Header(auth) => {
            let name = auth.header.parse::<HeaderName>().context("the header of its auth has no valid name")?;
            if headers.contains_key(&name) {
                return Ok(());
            }
            (name, HeaderValue::from_bytes(secret(&auth.secrets, place)?.expose()))
        }
        Auth::Basic(auth) => {
            if headers.contains_key(AUTHORIZATION) {
                return Ok(());
            }
            let pair = STANDARD.encode(secret(&auth.secrets, place)?.expose());
            (AUTHORIZATION, HeaderValue::from_str(&format!("Basic {pair}")))
        }
        _ => return Ok(()),
    };
    let mut value = value.ok().with_context(|| format!("its secret cannot stand in the header `{name}`"))?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// The first secret that is there.
fn secret(sources: &[SecretSource], place: &Place) -> Result<Secret> {
    let mut problem = None;
    for source in sources {
        match bundle::source(place, source).read_existing(environment::variable) {
            Ok(secret) => return Ok(secret),
            Err(error) => problem = problem.or(Some(error)),
        }
    }
    match problem {
        Some(problem) => {
            Err(problem).context("its secret cannot be read (`hookgate serve` makes those with `create = true`)")
        }
        None => bail!("its auth names no secret"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn configured(auth: &serde_json::Value) -> (Config, Route) {
        let config = serde_json::from_value(json!({ "auth": { "a": auth } })).expect("a configuration");
        let route = json!({ "path": "/a", "hook": "any.hook", "auth": "a" });
        (config, serde_json::from_value(route).expect("a route"))
    }

    fn made(auth: &serde_json::Value, given: &[&str]) -> Result<HeaderMap> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("secret"), "user:words\n").expect("a secret");
        let (config, route) = configured(auth);
        let given: Vec<_> = given.iter().map(|text| header(text).expect("a header")).collect();
        let hook = hookgate_hooks::find("okta.registration").expect("a hook of the table");
        let place = Place::of(&folder.path().join("gateway.toml"));
        of(hook, &config, &route, &place, &given).map(|proof| proof.headers)
    }

    #[test]
    fn the_routes_own_secret_is_sent() {
        let auth =
            json!({ "scheme": "header", "header": "x-key", "secrets": [{ "file": "none" }, { "file": "secret" }] });
        assert_eq!(made(&auth, &[]).expect("headers")["x-key"], "user:words");
        let auth = json!({ "scheme": "basic", "secrets": [{ "file": "secret" }] });
        assert_eq!(made(&auth, &[]).expect("headers")["authorization"], "Basic dXNlcjp3b3Jkcw==");
    }

    #[test]
    fn a_given_header_takes_the_place_of_the_secret() {
        let auth = json!({ "scheme": "header", "header": "x-key", "secrets": [{ "file": "none" }] });
        assert_eq!(made(&auth, &["X-Key: wrong"]).expect("headers")["x-key"], "wrong");
    }

    #[test]
    fn proofs_that_cannot_be_made_are_explained() {
        let auth = json!({ "scheme": "jwt", "issuer": "https://a", "audience": "b", "jwks_file": "c" });
        let problem = made(&auth, &[]).expect_err("no token can be made").to_string();
        assert!(
            problem.contains("jwt") && problem.contains("only Okta can") && problem.contains("--header"),
            "{problem}"
        );
        assert!(made(&auth, &["authorization: Bearer x"]).is_ok());
    }
}
