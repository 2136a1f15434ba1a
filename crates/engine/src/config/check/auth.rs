//! Rules of `[auth.NAME]`.

use http::HeaderName;
use serde_json::Value;

use crate::config::HookFacts;
use crate::config::auth::Auth;
use crate::config::check::{Check, named, text, texts};
use crate::config::source::join;
use hookgate_hooks::proof::RequiredProof;

impl Check<'_> {
    pub(super) fn auth(&mut self) {
        self.names("auth", self.root.get("auth"));
        for (path, _, auth) in named(self.root, "auth", "auth") {
            match text(auth, "scheme") {
                Some("header") => self.header_auth(&path, auth),
                Some("jwt") => self.jwt_auth(&path, auth),
                Some("mtls") => self.mtls_auth(&path, auth),
                Some("standard_webhooks") => self.standard_webhooks_auth(&path, auth),
                _ => {}
            }
        }
    }

    fn header_auth(&mut self, path: &str, auth: &Value) {
        if let Some(header) = text(auth, "header")
            && HeaderName::from_bytes(header.as_bytes()).is_err()
        {
            let message = format!("`{header}` is not the name of an HTTP header");
            self.error_with_help("config/bad-value", &join(path, "header"), message, "such as `authorization`");
        }
    }

    fn jwt_auth(&mut self, path: &str, auth: &Value) {
        let help = "write `jwks_url` to fetch the signing keys, or `jwks_file` to read them from a file";
        match (auth.get("jwks_url"), auth.get("jwks_file")) {
            (None, None) => {
                let message = "`jwks_url` or `jwks_file` is missing";
                self.error_with_help("config/missing-key", &join(path, "jwks_url"), message, help);
            }
            (Some(_), Some(_)) => {
                let message = "`jwks_url` and `jwks_file` exclude each other";
                self.error_with_help("config/bad-value", &join(path, "jwks_file"), message, help);
            }
            _ => {}
        }
        if let Some(url) = text(auth, "jwks_url")
            && !url::Url::parse(url).is_ok_and(|url| is_trustworthy(&url))
        {
            let message = "must be an https address";
            let help = "signing keys decide who may call: fetch them over https";
            self.error_with_help("config/bad-value", &join(path, "jwks_url"), message, help);
        }
        if let Some(Value::Array(audiences)) = auth.get("audience")
            && audiences.is_empty()
        {
            self.error("config/bad-value", &join(path, "audience"), "must not be empty");
        }
        if auth.get("audience").is_none() && !self.source.has("server.public_url") {
            let message = "`audience` is missing, and there is no `server.public_url` that could take its place";
            let help = "write the `aud` that the issuer puts into tokens for this gateway; if that is the address it calls, write \
                        `public_url = \"https://…\"` in `[server]` instead";
            self.error_with_help("config/missing-key", &join(path, "audience"), message, help);
        }
    }

    fn standard_webhooks_auth(&mut self, path: &str, auth: &Value) {
        let secrets = auth.get("secrets").and_then(Value::as_array);
        for (index, secret) in secrets.into_iter().flatten().enumerate() {
            if secret.get("create") == Some(&Value::Bool(true)) {
                let place = format!("{}[{index}]", join(path, "secrets"));
                let message = "the sender makes this secret, and hookgate cannot";
                let help = "remove `create`, and write the secret that the sender shows, `whsec_…`, into the file";
                self.error_with_help("config/bad-value", &join(&place, "create"), message, help);
            }
        }
    }

    fn mtls_auth(&mut self, path: &str, auth: &Value) {
        if auth.get("subjects").is_none() && auth.get("fingerprints_sha256").is_none() {
            self.error_with_help(
                "config/missing-key",
                &join(path, "subjects"),
                "`subjects` or `fingerprints_sha256` is missing",
                "say which client certificates are accepted",
            );
        }
        for (place, fingerprint) in texts(auth, path, "fingerprints_sha256") {
            if !is_fingerprint(fingerprint) {
                let message = format!("`{fingerprint}` is not a SHA-256 fingerprint");
                let help = "it has 64 hexadecimal digits: `openssl x509 -noout -fingerprint -sha256 -in FILE` shows it";
                self.error_with_help("config/bad-value", &place, message, help);
            }
        }
        if !self.source.has("server.tls.client_ca_file") {
            self.error_with_help(
                "config/missing-key",
                &join(path, "scheme"),
                "scheme `mtls` needs `server.tls.client_ca_file`",
                "name the PEM file with the authorities that sign client certificates",
            );
        }
    }

    /// A way into a route that proves too little for its hook: whoever knows the secret, or none, could make a call up.
    pub(super) fn enough_proof(&mut self, way: &[(String, &str)], facts: &HookFacts) {
        let (is_proof, needs, scheme): (fn(&str) -> bool, _, _) = match facts.proof {
            RequiredProof::Any => return,
            RequiredProof::Token => (|scheme| scheme == "jwt", "a token that its issuer signed", "jwt"),
            RequiredProof::Signature => (Auth::signs_body, "a signature over the body", "standard_webhooks"),
        };
        let root = self.root;
        let scheme_of = |name: &str| text(root.get("auth")?.get(name)?, "scheme");
        let schemes: Option<Vec<&str>> = way.iter().map(|(_, name)| scheme_of(name)).collect();
        // `route_auth` reports names of no section.
        let (Some((place, name)), Some(schemes)) = (way.first(), schemes) else { return };
        if !schemes.is_empty() && !schemes.into_iter().any(is_proof) {
            let message = format!(
                "`{}` believes {needs} only, and `{name}` checks none: others could make its calls up",
                facts.name
            );
            let help = format!(
                "name a section with `scheme = \"{scheme}\"`; with `{{ all = [\"{name}\", \"…\"] }}` both are checked"
            );
            self.error_with_help("config/forgeable", place, message, help);
        }
    }
}

/// Whether what goes there or comes from there cannot be replaced on the way: https, or this machine.
pub(super) fn is_trustworthy(url: &url::Url) -> bool {
    let local = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && local)
}

fn is_fingerprint(text: &str) -> bool {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}
