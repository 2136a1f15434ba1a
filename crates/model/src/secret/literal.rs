//! Secrets that somebody wrote where only their place belongs: told by the name beside them, or by their own form.
//!
//! Nobody can tell a secret from any other text for certain. The rules here are made to hit what people really paste: a value
//! under a name such as `api_key`, an address with a password, a token of a known service. A value that is none and is hit all
//! the same goes under another name.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use url::Host;
use url::Url;

/// How certain it is that a value under a name is a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    No,
    /// `key`, `sort_key`, `auth`: it depends on the value.
    Perhaps,
    /// `api_key`, `client_secret`, `PRIVATE-TOKEN`.
    Yes,
}

/// Words that name a secret where they come last.
const SECRET_WORDS: &[&str] = &[
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "secrets",
    "token",
    "tokens",
    "credential",
    "credentials",
    "creds",
    "bearer",
    "jwt",
    "apikey",
    "apikeys",
    "authtoken",
    "accesstoken",
    "privatekey",
    "secretkey",
    "accesskey",
    "clientsecret",
    "authorization",
    "cookie",
    "signature",
    "sig",
    "hmac",
    "psk",
    "dsn",
];
/// Words that may name one.
const DOUBTFUL_WORDS: &[&str] = &["key", "keys", "auth", "pass", "session", "sid"];
/// What a key is of whose value is a secret.
const KEYS_TO_DOORS: &[&str] = &[
    "api",
    "access",
    "secret",
    "private",
    "client",
    "auth",
    "app",
    "application",
    "service",
    "subscription",
    "signing",
    "sign",
    "encryption",
    "decryption",
    "hmac",
    "master",
    "shared",
    "ssh",
    "pgp",
    "gpg",
    "license",
    "licence",
    "functions",
    "routing",
    "integration",
    "webhook",
    "write",
    "ingest",
    "account",
    "storage",
    "admin",
    "bot",
    "rest",
    "server",
    "deploy",
];
/// What may follow the word itself: `token_2`, `api_key_prod`.
const SUFFIXES: &[&str] = &[
    "value",
    "text",
    "plain",
    "raw",
    "current",
    "next",
    "new",
    "old",
    "previous",
    "primary",
    "secondary",
    "main",
    "backup",
    "prod",
    "production",
    "live",
    "test",
    "dev",
    "staging",
    "default",
    "base64",
    "b64",
    "hex",
];

/// Beginnings of tokens of known services, and how long they are at least.
const TOKENS: &[(&str, usize)] = &[
    ("sk_live_", 16),
    ("sk_test_", 16),
    ("rk_live_", 16),
    ("rk_test_", 16),
    ("whsec_", 16),
    ("sk-", 24),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("xoxa-", 16),
    ("xoxr-", 16),
    ("xoxs-", 16),
    ("xapp-", 16),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 24),
    ("glpat-", 16),
    ("gldt-", 16),
    ("glrt-", 16),
    ("npm_", 24),
    ("pypi-", 24),
    ("dop_v1_", 24),
    ("hvs.", 20),
    ("hvb.", 20),
    ("atlasv1.", 16),
    ("SG.", 24),
    ("shpat_", 20),
    ("shpss_", 20),
    ("AIza", 30),
    ("ya29.", 20),
    ("EAAC", 30),
    ("ATATT", 24),
    ("lin_api_", 20),
    ("dckr_pat_", 16),
    ("NRAK-", 16),
    ("glsa_", 20),
    ("pat-", 24),
    ("AGE-SECRET-KEY-", 16),
    ("SSWS ", 12),
    ("Bearer ", 12),
    ("Basic ", 12),
    ("Token ", 12),
    ("Splunk ", 12),
    ("GenieKey ", 12),
];

/// Whether a value under this name is a secret. `accessToken`, `access_token` and `ACCESS-TOKEN` are one name.
pub fn names_secret(name: &str) -> Certainty {
    let words = words(name);
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    let is_suffix = |word: &&str| SUFFIXES.contains(word) || word.bytes().all(|byte| byte.is_ascii_digit());
    while words.len() > 1 && words.last().is_some_and(is_suffix) {
        words.pop();
    }
    let last = words.pop().unwrap_or_default();
    let last = last.trim_end_matches(|letter: char| letter.is_ascii_digit());
    if SECRET_WORDS.contains(&last) {
        return Certainty::Yes;
    }
    if matches!(last, "key" | "keys") && words.last().is_some_and(|of| KEYS_TO_DOORS.contains(of)) {
        return Certainty::Yes;
    }
    if DOUBTFUL_WORDS.contains(&last) { Certainty::Perhaps } else { Certainty::No }
}

/// Whether a text under a name is a secret, by both.
pub fn is_secret(name: &str, text: &str) -> bool {
    let text = text.trim();
    if text.is_empty() || text.chars().all(|letter| matches!(letter, '*' | '.' | '-' | 'x' | 'X')) {
        return false;
    }
    match names_secret(name) {
        Certainty::Yes => !is_sentence(text) && !is_place(text),
        Certainty::Perhaps => looks_random(text),
        Certainty::No => false,
    }
}

/// What gives a text away as a secret, by its form alone; the text itself is not in it.
pub fn secret_in(text: &str) -> Option<&'static str> {
    let text = text.trim();
    let known = |(start, least): &&(&str, usize)| {
        let rest = text.get(..start.len()).filter(|head| head.eq_ignore_ascii_case(start)).and(text.get(start.len()..));
        // After a scheme word a token follows, or a sentence goes on.
        let fits = |rest: &str| !start.ends_with(' ') || looks_random(rest) || has_both(rest) || is_login(rest);
        let exact = start.ends_with(' ') || text.starts_with(start);
        exact && text.len() >= *least && rest.is_some_and(|rest| !rest.contains(char::is_whitespace) && fits(rest))
    };
    if TOKENS.iter().any(|token| known(&token)) {
        return Some("a token");
    }
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    if is_jwt(text) {
        return Some("a token");
    }
    if text.contains("://") { secret_in_url(text) } else { None }
}

/// What gives an address away as a secret: a password, a key in its query, the address of a webhook.
pub fn secret_in_url(text: &str) -> Option<&'static str> {
    let (scheme, rest) = text.trim().split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if let Some((user, _)) = authority.rsplit_once('@')
        && (user.split_once(':').is_some_and(|(_, password)| !password.is_empty())
            || (scheme.starts_with("http") && looks_random(user)))
    {
        return Some("a password");
    }
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    for pair in query.split(['&', '#', ';']) {
        let (name, value) = pair.split_once('=').unwrap_or_default();
        let name = percent_decode_str(name).decode_utf8_lossy();
        let hit = match names_secret(&name) {
            Certainty::Yes => !value.is_empty(),
            Certainty::Perhaps => value.len() >= 8,
            Certainty::No => name == "code" && value.len() >= 8,
        };
        if hit {
            return Some("a key in its query");
        }
    }
    let url = Url::parse(text.trim()).ok()?;
    is_webhook(&url).then_some("the key of a webhook")
}

/// Addresses that are a secret as a whole, because whoever knows them may post.
fn is_webhook(url: &Url) -> bool {
    let Some(Host::Domain(host)) = url.host() else { return false };
    let segments: Vec<&str> = url.path_segments().into_iter().flatten().filter(|part| !part.is_empty()).collect();
    let ends = |domain: &str| host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    let services = ["hooks.slack.com", "hooks.zapier.com", "webhook.office.com", "webhook.site", "maker.ifttt.com"];
    let known = services.iter().any(|service| ends(service)) && segments.len() > 1
        || (ends("discord.com") || ends("discordapp.com")) && segments.get(1) == Some(&"webhooks")
        || ends("api.telegram.org")
            && segments.first().is_some_and(|first| first.starts_with("bot") && first.contains(':'))
        || (ends("outlook.office.com") || ends("outlook.office365.com")) && segments.first() == Some(&"webhook");
    let hook = |pair: &[&str]| {
        ["hook", "hooks", "webhook", "webhooks", "incoming"].contains(&pair[0])
            && pair[1].len() >= 16
            && has_both(pair[1])
    };
    let in_host = host.starts_with("hook") && segments.iter().any(|part| part.len() >= 16 && has_both(part));
    known || in_host || segments.windows(2).any(hook) || segments.iter().any(|part| part.len() >= 24 && is_mixed(part))
}

/// Whether a text looks like something that was drawn by chance, or typed as a password, and not like a word or a name of a
/// field (`employeeNumber`, `extension_15`, `profile.email`, `2026-01-01`), an id of the form `8-4-4-4-12`, or a path.
pub fn looks_random(text: &str) -> bool {
    let text = text.trim();
    if text.len() < 8 || text.contains(char::is_whitespace) || is_uuid(text) {
        return false;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || b"-:.T+Z".contains(&byte)) {
        return false;
    }
    let letters = text.chars().any(char::is_alphabetic);
    // A digit that a small letter follows stands in no name: those have digits at the ends of words.
    let pairs = || text.chars().zip(text.chars().skip(1));
    let odd_digit = pairs().any(|(one, next)| one.is_ascii_digit() && next.is_ascii_lowercase());
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let odd_sign = text.chars().any(|letter| letter.is_ascii_punctuation() && !"_.-/:,[]*@{}$".contains(letter));
    let signed_digit =
        digits > 0 && text.contains('-') && pairs().any(|(one, next)| one.is_ascii_digit() && next == '-');
    let changes = pairs().filter(|(one, next)| one.is_ascii_lowercase() && next.is_ascii_uppercase()).count();
    let wild = text.len() >= 20 && !text.contains(['.', '_', '-', '/', ' ']) && changes * 4 > text.len();
    (letters && (odd_digit || signed_digit || digits > 4)) || odd_sign || wild || text.len() > 40 && is_mixed(text)
}

/// What a name of a variable or file looks like that is really the value itself.
pub fn looks_like_a_value(name: &str) -> bool {
    let plain = name.rsplit('/').next().unwrap_or(name);
    let shouted =
        plain.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || "_-.".contains(letter));
    plain.len() == name.len() && plain.len() >= 12 && !shouted && !plain.contains('.') && looks_random(plain)
        || secret_in(name).is_some()
}

/// `accessToken`, `access-token`, `X-Access-Token2`: words in small letters.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = '_';
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        let follows_small = before.is_lowercase() || before.is_ascii_digit();
        let begins_word = before.is_uppercase() && letters.peek().is_some_and(|next| next.is_lowercase());
        let begins = !before.is_alphanumeric() || letter.is_uppercase() && (follows_small || begins_word);
        if letter.is_alphanumeric() {
            if begins || words.is_empty() {
                words.push(String::new());
            }
            words.last_mut().expect("one was just begun").extend(letter.to_lowercase());
        }
        before = letter;
    }
    words
}

/// More than two words that end as a sentence does: a message about a password, not one.
fn is_sentence(text: &str) -> bool {
    text.split_whitespace().count() > 2 && text.ends_with(['.', '!', '?', '\u{2026}', ':', '\u{3002}'])
}

/// An address or a path that holds no secret itself: `token = "https://sso.example/token"`.
fn is_place(text: &str) -> bool {
    let path = text.starts_with('/') && text.len() > 1 && text[1..].contains('/') && !looks_random(text);
    path || (text.contains("://") && secret_in_url(text).is_none() && Url::parse(text).is_ok())
}

fn is_jwt(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let plain = |part: &&str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-=".contains(&byte));
    matches!(parts.len(), 3 | 5) && parts[0].starts_with("eyJ") && parts[1].len() > 8 && parts.iter().all(plain)
}

/// `user:password` in base64.
fn is_login(text: &str) -> bool {
    STANDARD.decode(text).is_ok_and(|bytes| bytes.contains(&b':') && bytes.iter().all(u8::is_ascii_graphic))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

fn has_both(part: &str) -> bool {
    !is_uuid(part) && part.chars().any(|letter| letter.is_ascii_digit()) && part.chars().any(char::is_alphabetic)
}

/// Small and large letters and digits, and nothing else but `_` and `-`.
fn is_mixed(part: &str) -> bool {
    let any = |wanted: fn(&u8) -> bool| part.as_bytes().iter().any(wanted);
    !is_uuid(part)
        && any(u8::is_ascii_digit)
        && any(u8::is_ascii_lowercase)
        && any(u8::is_ascii_uppercase)
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_whether_they_name_a_secret() {
        for name in [
            "api_key",
            "apiKey",
            "API-KEY",
            "X-Api-Key",
            "apikey",
            "client_secret",
            "clientSecret",
            "slack_token",
            "PRIVATE-TOKEN",
            "password",
            "db_password_2",
            "dbPassword",
            "token",
            "tokens",
            "signing_key",
            "hmacSecret",
            "Authorization",
            "cookie",
            "Set-Cookie",
            "Proxy-Authorization",
            "api_key_prod",
            "Ocp-Apim-Subscription-Key",
            "x-functions-key",
            "passwd",
            "pwd",
            "credential",
            "credentials",
            "access_token",
            "X-Auth-Token",
            "X-Hub-Signature",
            "token2",
            "SIG",
            "OAuthToken",
        ] {
            assert_eq!(names_secret(name), Certainty::Yes, "{name}");
        }
        for name in ["key", "keys", "sort_key", "primaryKey", "auth", "pass", "stripe_key", "session", "X-Vendor-Key"] {
            assert_eq!(names_secret(name), Certainty::Perhaps, "{name}");
        }
        for name in [
            "keyboard",
            "monkey",
            "primary_key_column",
            "key_id",
            "key_okta",
            "token_url",
            "token_ttl",
            "password_policy",
            "secret_name",
            "passport",
            "author",
            "authority",
            "compass",
            "keynote",
            "tokenizer",
            "X-Key-Id",
            "accept",
            "user-agent",
            "partner_domains",
            "secretary",
            "",
        ] {
            assert_eq!(names_secret(name), Certainty::No, "{name}");
        }
    }

    #[test]
    fn a_value_under_a_name_is_a_secret_or_not() {
        for (name, value) in [
            ("api_key", "CANlit9-aaaa"),
            ("password", "hunter2"),
            ("token", "abc"),
            ("client_secret", "correct horse battery staple"),
            ("key", "CANlit9-aaaa"),
            ("stripe_key", "k3ysAreL0ng"),
            ("keys", "9f86d081884c7d65"),
            ("auth", "user1:p4ssw0rd"),
            ("vendor_key", "Pa$$w0rd!"),
            ("token", "Basic dXNlcjpwYXNz"),
        ] {
            assert!(is_secret(name, value), "{name} = {value}");
        }
        for (name, value) in [
            ("key", "externalId"),
            ("key", "employeeNumber"),
            ("sort_key", "profile.lastName"),
            ("key", "extension_15"),
            ("key", "customAttr1"),
            ("keys", "id_token"),
            ("password", "Your password must have twelve letters."),
            ("password", ""),
            ("token", "***"),
            ("token", "https://sso.example.com/oauth2/token"),
            ("auth", "okta"),
            ("session", "60m"),
            ("code", "E0000011"),
            ("keyboard", "CANlit9-aaaa"),
            ("key", "2026-01-01"),
            ("key", "username"),
            ("key", "1b4e28ba-2fa1-11d2-883f-0016d3cca427"),
            ("key", "urn:example:portal"),
        ] {
            assert!(!is_secret(name, value), "{name} = {value}");
        }
    }

    #[test]
    fn a_text_gives_itself_away() {
        for text in [
            "xoxb-123456789012-abcdefghij",
            "ghp_0123456789abcdefghij0123",
            "sk_live_0123456789abcdef",
            "Bearer abcdef123456",
            "bearer abcdef123456",
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln",
            "-----BEGIN RSA PRIVATE KEY-----\nMII",
            "https://u:CANlit@a.example",
            "postgres://u:CANlit@db/x",
            "https://a.example/keys?token=CANlit8",
            "https://a.example/x?sv=1&sig=abc%2B",
            "https://f.example/api/x?code=0123456789",
            "https://ghp0x1y2z3@github.com/a",
            "https://hooks.slack.com/services/T/B/CANlit6aaaa",
            "https://hooks.slack.com/services/T0/B0/CANlit7aaaaaaaaaaaaaaaa",
            "https://discord.com/api/webhooks/123/abc",
            "https://tenant.webhook.office.com/webhookb2/1/IncomingWebhook/2",
            "https://api.telegram.org/bot123:abc/sendMessage",
            "https://chat.example/hooks/a1b2c3d4e5f6g7h8i9j0",
            "https://collect.example/receiver/v1/http/ZaVnC4dhaV0aBcDeFgHiJkLm",
        ] {
            assert!(secret_in(text).is_some(), "{text}");
        }
        for text in [
            "https://a.example",
            "https://a.example/v1?limit=20&sort=name",
            "https://example.okta.com/oauth2/aus1b2c3d4e5f6g7h8i9",
            "https://login.microsoftonline.com/1b4e28ba-2fa1-11d2-883f-0016d3cca427/v2.0",
            "postgres://reader@db/people",
            "sqlite:data/hookgate.db",
            "application/json",
            "Please sign up with the e-mail address of your company.",
            "pat-tern",
            "Basic rules apply here",
            "bearer",
            "https://a.example/users/ann@corp.example",
            "sk-ip",
            "-----BEGIN CERTIFICATE-----",
            "https://api.example/projects/0123456789012345678901234567",
            "urn:ietf:params:oauth:token",
            "https://a.example/hooks/okta",
        ] {
            assert_eq!(secret_in(text), None, "{text}");
        }
    }

    #[test]
    fn a_value_in_the_place_of_a_name_is_seen() {
        for name in ["CANlit11-aaaa", "xoxb-123456789012-abcdefghij", "k3ysAreL0ngAnd4andom"] {
            assert!(looks_like_a_value(name), "{name}");
        }
        for name in [
            "OKTA_SECRET",
            "OKTA_SECRET_2026_01",
            "secrets/okta",
            "secrets/okta-2026-01",
            "okta",
            "okta-app.pem",
            "/run/secrets/x1y2z3a4b5c6",
        ] {
            assert!(!looks_like_a_value(name), "{name}");
        }
    }
}
