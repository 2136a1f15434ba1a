//! Broken files and what is said about them: `line:column code key: message (help)`, in the order of the file.

/// `(what is wrong, the file, the findings)`
pub(super) const BROKEN: &[(&str, &str, &[&str])] = &[
    (
        "unknown section",
        r#"[route.a]
path = "/a"
"#,
        &[r#"1:2 config/unknown-key `route`: unknown key `route` (did you mean `routes`?)"#],
    ),
    (
        "unknown section without a near name",
        r#"[plugins.hr]
kind = "http"
"#,
        &[
            r#"1:2 config/unknown-key `plugins`: unknown key `plugins` (known here: `server`, `admin`, `store`, `telemetry`, `scripts`, `limits`, `auth`, `connectors`, `tables` and `routes`)"#,
        ],
    ),
    (
        "connector without kind",
        r#"[connectors.out]
path = "out.jsonl"
"#,
        &[
            r#"1:1 config/missing-key `connectors.out.kind`: `kind` is missing (it must be `http`, `okta`, `entra`, `webhook`, `slack`, `teams`, `pagerduty`, `jira`, `servicenow`, `smtp`, `splunk_hec`, `elastic`, `syslog`, `sql`, `ldap`, `file`, `twilio`, `vonage`, `sns` or `sms_template`)"#,
        ],
    ),
    (
        "connector of a misspelt kind",
        r#"[connectors.out]
kind = "flie"
path = "out.jsonl"
"#,
        &[
            r#"2:8 config/bad-value `connectors.out.kind`: must be `http`, `okta`, `entra`, `webhook`, `slack`, `teams`, `pagerduty`, `jira`, `servicenow`, `smtp`, `splunk_hec`, `elastic`, `syslog`, `sql`, `ldap`, `file`, `twilio`, `vonage`, `sns` or `sms_template`, not `flie` (did you mean `file`?)"#,
        ],
    ),
    (
        "misspelt and missing keys of a connector",
        r#"[connectors.out]
kind = "file"
pth = "out.jsonl"
[connectors.other]
kind = "file"
"#,
        &[
            r#"3:1 config/unknown-key `connectors.out.pth`: unknown key `pth` (did you mean `path`?)"#,
            r#"4:1 config/missing-key `connectors.other.path`: `path` is missing (Path of the file: below the folder of `gateway.toml`, or absolute. Its folder must be there. What a release is made of, secrets and the store cannot be written. A new file has the mode 0600.)"#,
        ],
    ),
    (
        "key of no connector of this kind",
        r#"[connectors.out]
kind = "file"
path = "out.jsonl"
zebra = 1
retry = { atempts = 3 }
"#,
        &[
            r#"4:1 config/unknown-key `connectors.out.zebra`: unknown key `zebra` (known here: `kind`, `path`, `rotate_bytes`, `keep_files`, `timeout_ms`, `concurrent`, `lookups`, `cache`, `allow_private`, `proxy`, `guard` and `retry`)"#,
            r#"5:11 config/unknown-key `connectors.out.retry.atempts`: unknown key `atempts` (did you mean `attempts`?)"#,
        ],
    ),
    (
        "wrong types and values of a connector",
        r#"[connectors.out]
kind = "file"
path = 3
timeout_ms = 0
allow_private = "yes"
retry = { attempts = 0, first_ms = 2000, most_ms = 1000 }
"#,
        &[
            r#"3:8 config/wrong-type `connectors.out.path`: must be a text, not a number (Path of the file: below the folder of `gateway.toml`, or absolute. Its folder must be there. What a release is made of, secrets and the store cannot be written. A new file has the mode 0600.)"#,
            r#"4:14 config/bad-value `connectors.out.timeout_ms`: must be at least 1, not 0"#,
            r#"5:17 config/wrong-type `connectors.out.allow_private`: must be `true` or `false`, not a text (Whether the target may be an address that only this network or machine knows. Without it such addresses are refused, whatever name leads to them.)"#,
            r#"6:22 config/bad-value `connectors.out.retry.attempts`: must be at least 1, not 0"#,
            r#"6:36 config/bad-value `connectors.out.retry.first_ms`: the first wait may be 2000 ms, and no wait longer than 1000 ms"#,
        ],
    ),
    (
        "connector with a name that is none",
        r#"[connectors."a b"]
kind = "file"
path = "out.jsonl"
"#,
        &[
            r#"1:13 config/bad-name `connectors."a b"`: `a b` is not a name (a name is made of letters, digits, `_` and `-`)"#,
        ],
    ),
    (
        "secrets of connectors written out",
        r#"[connectors.chat]
kind = "slack"
url = "https://hooks.example/hunter"
[connectors.hr]
kind = "http"
base_url = "https://user:hunter@hr.example"
auth = { bearer = "hunter" }
[connectors.mail]
kind = "smtp"
host = "mail.example"
from = "a@b.example"
password = "hunter"
passwrd = "hunter"
"#,
        &[
            r#"3:7 config/literal-secret `connectors.chat.url`: a secret is never written into the file (use `{ env = … }` or `{ file = … }`)"#,
            r#"6:12 config/literal-secret `connectors.hr.base_url`: a password is never written into the file (write `{ env = … }` or `{ file = … }` in its place, or name the secret in a key of its own)"#,
            r#"7:19 config/literal-secret `connectors.hr.auth.bearer`: a secret is never written into the file (use `{ env = … }` or `{ file = … }`)"#,
            r#"12:12 config/literal-secret `connectors.mail.password`: a secret is never written into the file (use `{ env = … }` or `{ file = … }`)"#,
            r#"13:1 config/unknown-key `connectors.mail.passwrd`: unknown key `passwrd` (known here: `kind`, `host`, `port`, `tls`, `user`, `password`, `from`, `to`, `ca_file`, `timeout_ms`, `concurrent`, `lookups`, `cache`, `allow_private`, `proxy`, `guard` and `retry`)"#,
        ],
    ),
    (
        "misspelt key",
        r#"[server]
lisen = "127.0.0.1:1"
"#,
        &[r#"2:1 config/unknown-key `server.lisen`: unknown key `lisen` (did you mean `listen`?)"#],
    ),
    (
        "unknown key without a near name",
        r#"[scripts]
zebra = 1
"#,
        &[
            r#"2:1 config/unknown-key `scripts.zebra`: unknown key `zebra` (known here: `dir`, `roots`, `gate`, `gate_timeout_ms`, `settle_ms` and `manifest`)"#,
        ],
    ),
    (
        "settle time and manifest",
        r#"[scripts]
settle_ms = 5
manifest = "../all.sha256"
"#,
        &[
            r#"2:13 config/bad-value `scripts.settle_ms`: must be at least 20, not 5"#,
            r#"3:12 config/closed-path `scripts.manifest`: `../all.sha256` cannot be used: it is outside the bundle (put it below the folder of `gateway.toml`, or list its folder in `[scripts] roots` if it is to be elsewhere)"#,
        ],
    ),
    (
        "text for number",
        r#"[limits]
deadline_ms = "2500"
"#,
        &[
            r#"2:15 config/wrong-type `limits.deadline_ms`: must be a whole number, not a text (Time for the whole call, lookups included.)"#,
        ],
    ),
    (
        "number for text",
        r#"[scripts]
dir = 3
"#,
        &[
            r#"2:7 config/wrong-type `scripts.dir`: must be a text, not a number (Folder of the scripts, relative to `gateway.toml`.)"#,
        ],
    ),
    (
        "table for section",
        r#"server = 4
"#,
        &[
            r#"1:10 config/wrong-type `server`: must be a table, not a number (The listener that providers call. A change needs a restart, except one of `public_url`.)"#,
        ],
    ),
    (
        "decimal for whole number",
        r#"[limits]
operations = 1.5
"#,
        &[
            r#"2:14 config/wrong-type `limits.operations`: must be a whole number, not a number with a decimal point (Operations of the script engine.)"#,
        ],
    ),
    (
        "whole decimal for whole number",
        r#"[limits]
operations = 10.0
"#,
        &[
            r#"2:14 config/wrong-type `limits.operations`: a number with a decimal point does not fit here (write a text in double quotes, or a whole number)"#,
        ],
    ),
    (
        "date for text",
        r#"[scripts]
dir = 2026-01-01
"#,
        &[
            r#"2:7 config/wrong-type `scripts.dir`: a date or time does not fit here (write a text in double quotes, or a whole number)"#,
        ],
    ),
    (
        "number out of range",
        r#"[store]
keep_days = 99_999_999_999_999_999_999
"#,
        &[r#"2:13 config/bad-value `store.keep_days`: the number is out of range"#],
    ),
    (
        "number beyond its type",
        r#"[store]
keep_days = 5_000_000_000
"#,
        &[r#"2:13 config/bad-value `store.keep_days`: must be at most 4294967295, not 5000000000"#],
    ),
    (
        "endless number",
        r#"[store]
keep_days = inf
"#,
        &[r#"2:13 config/bad-value `store.keep_days`: the number must be finite"#],
    ),
    (
        "negative number",
        r#"[server]
stop_grace_ms = -1
"#,
        &[r#"2:17 config/bad-value `server.stop_grace_ms`: must be at least 0, not -1"#],
    ),
    (
        "limit of zero",
        r#"[limits]
call_depth = 0
"#,
        &[r#"2:14 config/bad-value `limits.call_depth`: must be at least 1, not 0"#],
    ),
    (
        "word nearly right",
        r#"[scripts]
gate = "test"
"#,
        &[r#"2:8 config/bad-value `scripts.gate`: must be `tests` or `check`, not `test` (did you mean `tests`?)"#],
    ),
    (
        "word far off",
        r#"[scripts]
gate = "everything"
"#,
        &[r#"2:8 config/bad-value `scripts.gate`: must be `tests` or `check`, not `everything`"#],
    ),
    (
        "address by name",
        r#"[server]
listen = "localhost:8080"
"#,
        &[
            r#"2:10 config/bad-value `server.listen`: `localhost:8080` is not an address to listen on (write an IP address and a port, such as `127.0.0.1:8080` or `0.0.0.0:8080`)"#,
        ],
    ),
    (
        "key file without cert file",
        r#"[server.tls]
key_file = "key.pem"
"#,
        &[
            r#"1:1 config/missing-key `server.tls.cert_file`: `cert_file` is missing (PEM file with the certificate and its chain.)"#,
        ],
    ),
    (
        "open admin without token",
        r#"[admin]
listen = "0.0.0.0:8081"
"#,
        &[
            r#"2:10 config/needs-token `admin.token`: an admin listener that others can reach needs a token (add `token = { env = … }` to `[admin]`, or listen on 127.0.0.1)"#,
        ],
    ),
    (
        "literal token of readers",
        r#"[admin]
read_token = "hunter2"
"#,
        &[
            r#"2:14 config/literal-secret `admin.read_token`: a secret is never written into the file (use `{ env = … }` or `{ file = … }`)"#,
        ],
    ),
    (
        "literal token",
        r#"[admin]
token = "hunter2"
"#,
        &[
            r#"2:9 config/literal-secret `admin.token`: a secret is never written into the file (use `{ env = … }` or `{ file = … }`)"#,
        ],
    ),
    (
        "secret of both kinds",
        r#"[admin]
token = { env = "A", file = "b" }
"#,
        &[r#"2:9 config/bad-value `admin.token`: must be `{ env = … }` or `{ file = … }`"#],
    ),
    (
        "secret with misspelt key",
        r#"[admin]
token = { fiel = "a" }
"#,
        &[r#"2:11 config/unknown-key `admin.token.fiel`: unknown key `fiel` (did you mean `file`?)"#],
    ),
    (
        "secret of nothing",
        r#"[admin]
token = {}
"#,
        &[r#"2:9 config/bad-value `admin.token`: must be `{ env = … }` or `{ file = … }`"#],
    ),
    (
        "store of unknown kind",
        r#"[store]
url = "mysql://host/db"
"#,
        &[r#"2:7 config/bad-value `store.url`: is not the address of a store (write `sqlite:data/hookgate.db`)"#],
    ),
    (
        "store that this version does not have",
        r#"[store]
url = "postgres://host/db"
"#,
        &[
            r#"2:7 config/bad-value `store.url`: names a PostgreSQL database, and this version keeps events in SQLite only (write `sqlite:data/hookgate.db`)"#,
        ],
    ),
    (
        "store with password",
        r#"[store]
url = "postgres://me:hunter2@host/db"
"#,
        &[
            r#"2:7 config/literal-secret `store.url`: a password is never written into the file (put the whole address into a variable: `url = { env = "DATABASE_URL" }`)"#,
        ],
    ),
    (
        "store of wrong type",
        r#"[store]
url = 5
"#,
        &[
            r#"2:7 config/wrong-type `store.url`: must be a text or `{ env = … }`, not a number (`sqlite:FILE`, on a local disk; `{ env = … }` where a variable holds it.)"#,
        ],
    ),
    (
        "scheme missing",
        r#"[auth.a]
secrets = [{ env = "A" }]
"#,
        &[
            r#"1:1 config/missing-key `auth.a.scheme`: `scheme` is missing (it must be `header`, `basic`, `jwt`, `mtls`, `standard_webhooks` or `none`)"#,
        ],
    ),
    (
        "scheme misspelt",
        r#"[auth.a]
scheme = "heder"
secrets = [{ env = "A" }]
"#,
        &[
            r#"2:10 config/bad-value `auth.a.scheme`: must be `header`, `basic`, `jwt`, `mtls`, `standard_webhooks` or `none`, not `heder` (did you mean `header`?)"#,
        ],
    ),
    (
        "scheme of a later version",
        r#"[auth.a]
scheme = "hmac"
secrets = [{ env = "A" }]
"#,
        &[
            r#"2:10 config/bad-value `auth.a.scheme`: scheme `hmac` is not in this version (this version knows `header`, `basic`, `jwt`, `mtls`, `standard_webhooks` and `none`)"#,
        ],
    ),
    (
        "scheme of wrong type",
        r#"[auth.a]
scheme = 1
"#,
        &[
            r#"2:10 config/wrong-type `auth.a.scheme`: must be `header`, `basic`, `jwt`, `mtls`, `standard_webhooks` or `none`, not a number"#,
        ],
    ),
    (
        "header without secrets",
        r#"[auth.a]
scheme = "header"
"#,
        &[
            r#"1:1 config/missing-key `auth.a.secrets`: `secrets` is missing (Any of them is good, so that a secret can be changed without an outage.)"#,
        ],
    ),
    (
        "header with misspelt secrets",
        r#"[auth.a]
scheme = "header"
secret = [{ env = "A" }]
"#,
        &[r#"3:1 config/unknown-key `auth.a.secret`: unknown key `secret` (did you mean `secrets`?)"#],
    ),
    (
        "header with no secret",
        r#"[auth.a]
scheme = "header"
secrets = []
"#,
        &[r#"3:11 config/bad-value `auth.a.secrets`: must not be empty"#],
    ),
    (
        "literal secrets",
        r#"[auth.a]
scheme = "header"
secrets = ["hunter2", { env = "B" }, "hunter3"]
"#,
        &[
            r#"3:12 config/literal-secret `auth.a.secrets[0]`: a secret is never written into the file (use `{ env = … }` or `{ file = … }`)"#,
            r#"3:38 config/literal-secret `auth.a.secrets[2]`: a secret is never written into the file (use `{ env = … }` or `{ file = … }`)"#,
        ],
    ),
    (
        "secrets not in an array",
        r#"[auth.a]
scheme = "basic"
secrets = { env = "A" }
"#,
        &[
            r#"3:11 config/wrong-type `auth.a.secrets`: must be an array of `{ env = … }` or `{ file = … }`, not a table (Each holds `user:password`; any of them is good.)"#,
        ],
    ),
    (
        "header that is none",
        r#"[auth.a]
scheme = "header"
header = "x y"
secrets = [{ env = "A" }]
"#,
        &[
            r#"3:10 config/bad-value `auth.a.header`: `x y` is not the name of an HTTP header (such as `authorization`)"#,
        ],
    ),
    (
        "setting of none",
        r#"[auth.a]
scheme = "none"
secrets = []
"#,
        &[r#"3:1 config/unknown-key `auth.a.secrets`: unknown key `secrets` (known here: `scheme`)"#],
    ),
    (
        "jwt without keys",
        r#"[auth.a]
scheme = "jwt"
issuer = "https://x"
audience = "y"
"#,
        &[
            r#"1:1 config/missing-key `auth.a.jwks_url`: `jwks_url` or `jwks_file` is missing (write `jwks_url` to fetch the signing keys, or `jwks_file` to read them from a file)"#,
        ],
    ),
    (
        "jwt with two sources of keys",
        r#"[auth.a]
scheme = "jwt"
issuer = "https://x"
audience = []
jwks_url = "http://x/keys"
jwks_file = "keys.json"
algorithms = ["HS256"]
"#,
        &[
            r#"4:12 config/bad-value `auth.a.audience`: must not be empty"#,
            r#"5:12 config/bad-value `auth.a.jwks_url`: must be an https address (signing keys decide who may call: fetch them over https)"#,
            r#"6:13 config/bad-value `auth.a.jwks_file`: `jwks_url` and `jwks_file` exclude each other (write `jwks_url` to fetch the signing keys, or `jwks_file` to read them from a file)"#,
            r#"7:15 config/bad-value `auth.a.algorithms[0]`: must be `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384` or `EdDSA`, not `HS256` (did you mean `ES256`?)"#,
        ],
    ),
    (
        "jwt without an audience",
        r#"[auth.a]
scheme = "jwt"
issuer = "https://x"
jwks_file = "keys.json"
"#,
        &[
            r#"1:1 config/missing-key `auth.a.audience`: `audience` is missing, and there is no `server.public_url` that could take its place (write the `aud` that the issuer puts into tokens for this gateway; if that is the address it calls, write `public_url = "https://…"` in `[server]` instead)"#,
        ],
    ),
    (
        "public address without TLS",
        r#"[server]
public_url = "http://hooks.example.com"
"#,
        &[
            r#"2:14 config/bad-value `server.public_url`: must be an https address: a token for an address without TLS is for whoever listens (write what callers have before the path, such as `https://hooks.example.com`)"#,
        ],
    ),
    (
        "public address without a scheme",
        r#"[server]
public_url = "hooks.example.com"
"#,
        &[
            r#"2:14 config/bad-value `server.public_url`: must be an https address (write what callers have before the path, such as `https://hooks.example.com`)"#,
        ],
    ),
    (
        "public address with a path",
        r#"[server]
public_url = "https://hooks.example.com/okta"
"#,
        &[
            r#"2:14 config/bad-value `server.public_url`: must be scheme, host and port alone, in lower case and without a port that is the usual one (write `https://hooks.example.com`)"#,
        ],
    ),
    (
        "webhooks whose secret hookgate should make",
        r#"[auth.a]
scheme = "standard_webhooks"
secrets = [{ env = "A" }, { file = "secrets/a", create = true }]
"#,
        &[
            r#"3:58 config/bad-value `auth.a.secrets[1].create`: the sender makes this secret, and hookgate cannot (remove `create`, and write the secret that the sender shows, `whsec_…`, into the file)"#,
        ],
    ),
    (
        "webhooks without a tolerance",
        r#"[auth.a]
scheme = "standard_webhooks"
secrets = [{ env = "A" }]
tolerance_s = 0
"#,
        &[r#"4:15 config/bad-value `auth.a.tolerance_s`: must be at least 1, not 0"#],
    ),
    (
        "webhooks with a literal secret",
        r#"[auth.a]
scheme = "standard_webhooks"
secrets = ["whsec_hunter2hunter2hunter2"]
"#,
        &[
            r#"3:12 config/literal-secret `auth.a.secrets[0]`: a secret is never written into the file (use `{ env = … }` or `{ file = … }`)"#,
        ],
    ),
    (
        "mtls of nothing",
        r#"[auth.a]
scheme = "mtls"
"#,
        &[
            r#"1:1 config/missing-key `auth.a.subjects`: `subjects` or `fingerprints_sha256` is missing (say which client certificates are accepted)"#,
            r#"2:10 config/missing-key `auth.a.scheme`: scheme `mtls` needs `server.tls.client_ca_file` (name the PEM file with the authorities that sign client certificates)"#,
        ],
    ),
    (
        "fingerprint too short",
        r#"[auth.a]
scheme = "mtls"
fingerprints_sha256 = ["ab:cd"]
[server.tls]
cert_file = "c"
key_file = "k"
client_ca_file = "ca"
"#,
        &[
            r#"3:24 config/bad-value `auth.a.fingerprints_sha256[0]`: `ab:cd` is not a SHA-256 fingerprint (it has 64 hexadecimal digits: `openssl x509 -noout -fingerprint -sha256 -in FILE` shows it)"#,
        ],
    ),
    (
        "table without file",
        r#"[tables.a]
kind = "csv"
"#,
        &[
            r#"1:1 config/missing-key `tables.a.file`: `file` is missing (Path of the file, relative to `gateway.toml`.)"#,
        ],
    ),
    (
        "table kind misspelt",
        r#"[tables.a]
file = "a"
kind = "domain"
"#,
        &[
            r#"3:8 config/bad-value `tables.a.kind`: must be `domains`, `lines`, `csv`, `json` or `toml`, not `domain` (did you mean `domains`?)"#,
        ],
    ),
    (
        "key column of lines",
        r#"[tables.a]
file = "a"
kind = "lines"
key = "x"
max_shrink_percent = 101
"#,
        &[
            r#"4:7 config/bad-value `tables.a.key`: only a csv table has a key column, and this one is `lines` (remove `key`)"#,
            r#"5:22 config/bad-value `tables.a.max_shrink_percent`: must be at most 100, not 101"#,
        ],
    ),
    (
        "names with spaces",
        r#"[tables."a b"]
file = "a"
kind = "lines"
"#,
        &[
            r#"1:9 config/bad-name `tables."a b"`: `a b` is not a name (a name is made of letters, digits, `_` and `-`)"#,
        ],
    ),
    (
        "empty route",
        r#"[routes.a]
"#,
        &[
            r#"1:1 config/missing-key `routes.a.path`: `path` is missing (The path of the URL, such as `/okta/registration`. A slash at the end does not count.)"#,
            r#"1:1 config/missing-key `routes.a.hook`: `hook` is missing (The kind of call that arrives here, such as `okta.registration`.)"#,
            r#"1:1 config/missing-key `routes.a.auth`: `auth` is missing (The `[auth.…]` section that callers must satisfy, or a list of them, any of which is good. `{ all = ["a", "b"] }` wants each of those, and may stand in the list, too.)"#,
        ],
    ),
    (
        "relative path",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "a"
hook = "okta.registration"
script = "a.rhai"
auth = "open"
on_failure = "allow"
"#,
        &[r#"4:8 config/bad-value `routes.a.path`: `a` is not a path: it must start with `/` (write `/a`)"#],
    ),
    (
        "path with query",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a?b"
hook = "okta.registration"
script = "a.rhai"
auth = "open"
on_failure = "allow"
"#,
        &[
            r#"4:8 config/bad-value `routes.a.path`: `/a?b` is not a plain path (a path has no spaces, `?`, `#`, `{`, `}` or `*`; every route has one exact path)"#,
        ],
    ),
    (
        "unknown hook",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registratoin"
script = "a.rhai"
auth = "open"
on_failure = "allow"
"#,
        &[
            r#"5:8 config/unknown-name `routes.a.hook`: unknown hook `okta.registratoin` (did you mean `okta.registration`?)"#,
        ],
    ),
    (
        "inline route without on failure",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registration"
script = "a.rhai"
auth = "open"
"#,
        &[
            r#"3:1 config/needs-on-failure `routes.a.on_failure`: `on_failure` is missing: say what the caller hears when the script fails (`okta.registration` allows `on_failure = "allow"` or `on_failure = { deny = "…" }`; when it hears nothing, Okta denies the registration)"#,
        ],
    ),
    (
        "on failure of another hook",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registration"
script = "a.rhai"
auth = "open"
on_failure = "unchanged"
"#,
        &[
            r#"8:14 config/bad-value `routes.a.on_failure`: `okta.registration` has no `on_failure = "unchanged"` (`okta.registration` allows `on_failure = "allow"` or `on_failure = { deny = "…" }`; when it hears nothing, Okta denies the registration)"#,
        ],
    ),
    (
        "on failure form of another hook",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registration"
script = "a.rhai"
auth = "open"
on_failure = { refuse = "no" }
"#,
        &[
            r#"8:14 config/bad-value `routes.a.on_failure`: `okta.registration` has no `on_failure = { refuse = … }` (`okta.registration` allows `on_failure = "allow"` or `on_failure = { deny = "…" }`; when it hears nothing, Okta denies the registration)"#,
        ],
    ),
    (
        "on failure with misspelt form",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registration"
script = "a.rhai"
auth = "open"
on_failure = { dney = "no" }
"#,
        &[r#"8:16 config/unknown-key `routes.a.on_failure.dney`: unknown key `dney` (did you mean `deny`?)"#],
    ),
    (
        "on failure without text",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registration"
script = "a.rhai"
auth = "open"
on_failure = { deny = "" }
"#,
        &[r#"8:23 config/bad-value `routes.a.on_failure.deny`: must not be empty"#],
    ),
    (
        "on failure of wrong type",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registration"
script = "a.rhai"
auth = "open"
on_failure = false
"#,
        &[
            r#"8:14 config/wrong-type `routes.a.on_failure`: must be a text, `{ deny = … }` or `{ refuse = … }`, not a boolean (What the provider hears when the script fails. Must be stated, except on event routes, where events are retried.)"#,
        ],
    ),
    (
        "inline route without script",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registration"
auth = "open"
on_failure = "allow"
"#,
        &[
            r#"3:1 config/missing-key `routes.a.script`: `script` is missing (write `script = "….rhai"`: a file in the folder of scripts)"#,
        ],
    ),
    (
        "inline route with rules",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registration"
script = "a.rhai"
auth = "open"
on_failure = "allow"
[routes.a.rules.b]
events = ["*"]
script = "b.rhai"
"#,
        &[
            r#"9:11 config/exclusive-keys `routes.a.rules`: `okta.registration` is answered by one script; only event routes have rules (write `script = "….rhai"` in the route instead)"#,
        ],
    ),
    (
        "unknown auth",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registration"
script = "a.rhai"
auth = "opne"
on_failure = "allow"
"#,
        &[r#"7:8 config/unknown-name `routes.a.auth`: there is no `[auth.opne]` (did you mean `open`?)"#],
    ),
    (
        "unknown auth far off",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registration"
script = "a.rhai"
auth = ["open", "zebra", "open"]
on_failure = "allow"
"#,
        &[
            r#"7:17 config/unknown-name `routes.a.auth[1]`: there is no `[auth.zebra]` (known: `open`)"#,
            r#"7:26 config/duplicate-name `routes.a.auth[2]`: `open` is named twice (remove one)"#,
        ],
    ),
    (
        "no auth",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registration"
script = "a.rhai"
auth = []
on_failure = "allow"
"#,
        &[
            r#"7:8 config/bad-value `routes.a.auth`: must not be empty (name an `[auth.…]` section; one with `scheme = "none"` lets anybody call)"#,
        ],
    ),
    (
        "auth of wrong type",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registration"
script = "a.rhai"
auth = 3
on_failure = "allow"
"#,
        &[
            r#"7:8 config/wrong-type `routes.a.auth`: must be a text, `{ all = … }` or an array of a text or `{ all = … }`, not a number (The `[auth.…]` section that callers must satisfy, or a list of them, any of which is good. `{ all = ["a", "b"] }` wants each of those, and may stand in the list, too.)"#,
        ],
    ),
    (
        "schemes that cannot be satisfied at once",
        r#"[auth.a]
scheme = "basic"
secrets = [{ env = "A" }]
[auth.b]
scheme = "header"
secrets = [{ env = "B" }]
[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registration"
script = "a.rhai"
auth = { all = ["a", "b", "open", "a", "c"] }
on_failure = "allow"
[routes.b]
path = "/b"
hook = "okta.registration"
script = "a.rhai"
auth = ["a", { all = ["a"] }]
on_failure = "allow"
"#,
        &[
            r#"13:22 config/bad-value `routes.a.auth.all[1]`: `a` and `b` both read the header `authorization`, which a call has once (let one of them read another header: `header = "x-hook-secret"`)"#,
            r#"13:27 config/bad-value `routes.a.auth.all[2]`: `open` lets anybody call, so it proves nothing beside others (remove it)"#,
            r#"13:35 config/duplicate-name `routes.a.auth.all[3]`: `a` is named twice (remove one)"#,
            r#"13:40 config/unknown-name `routes.a.auth.all[4]`: there is no `[auth.c]` (known: `a`, `b`, `open`)"#,
            r#"19:23 config/duplicate-name `routes.b.auth[1].all[0]`: `a` is named twice (remove one)"#,
        ],
    ),
    (
        "limits of a route",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registration"
script = "a.rhai"
auth = "open"
on_failure = "allow"
[routes.a.limits]
operations = 0
deadline = 5
"#,
        &[
            r#"10:14 config/bad-value `routes.a.limits.operations`: must be at least 1, not 0"#,
            r#"11:1 config/unknown-key `routes.a.limits.deadline`: unknown key `deadline` (did you mean `deadline_ms`?)"#,
        ],
    ),
    (
        "event route without rules",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.event"
auth = "open"
"#,
        &[
            r#"3:1 config/missing-key `routes.a.rules`: an event route (`okta.event`) needs `rules` or a `script` (add `[routes.a.rules.NAME]` with `events` and `script`)"#,
        ],
    ),
    (
        "event route with script and rules",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.event"
auth = "open"
script = "a.rhai"
[routes.a.rules.b]
events = ["*"]
script = "b.rhai"
"#,
        &[
            r#"7:10 config/exclusive-keys `routes.a.script`: an event route has `script` or `rules`, not both (move the script into a rule of its own, with the events it wants)"#,
        ],
    ),
    (
        "event route with on failure",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.event"
auth = "open"
script = "a.rhai"
on_failure = "allow"
"#,
        &[
            r#"8:14 config/bad-value `routes.a.on_failure`: `okta.event` has no `on_failure`: an event that fails is retried, then kept as a dead letter (remove `on_failure`)"#,
        ],
    ),
    (
        "rule with bad patterns",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.event"
auth = "open"
[routes.a.rules.b]
events = ["user.*.create", "user..x", "a.b.*", ""]
script = "b.rhai"
"#,
        &[
            r#"8:11 config/bad-value `routes.a.rules.b.events[0]`: `user.*.create` is not an event pattern (write an event type (`user.lifecycle.create`), a family (`user.lifecycle.*`) or `*`)"#,
            r#"8:28 config/bad-value `routes.a.rules.b.events[1]`: `user..x` is not an event pattern (write an event type (`user.lifecycle.create`), a family (`user.lifecycle.*`) or `*`)"#,
            r#"8:48 config/bad-value `routes.a.rules.b.events[3]`: `` is not an event pattern (write an event type (`user.lifecycle.create`), a family (`user.lifecycle.*`) or `*`)"#,
        ],
    ),
    (
        "rule without events",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.event"
auth = "open"
[routes.a.rules.b]
events = []
"#,
        &[
            r#"7:1 config/missing-key `routes.a.rules.b.script`: `script` is missing (The script to run, relative to the folder of scripts.)"#,
            r#"8:10 config/bad-value `routes.a.rules.b.events`: must not be empty"#,
        ],
    ),
    (
        "two routes on one path",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registration"
script = "a.rhai"
auth = "open"
on_failure = "allow"
[routes.b]
path = "/a/"
hook = "okta.event"
auth = "open"
script = "b.rhai"
"#,
        &[
            r#"10:8 config/duplicate-path `routes.b.path`: routes `a` and `b` have the same path `/a/` (give one of them another path; a slash at the end makes no difference)"#,
        ],
    ),
    (
        "ways to try a route out that are none",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
preview_path = "/a/"
preview = "header:Content-Type"
hook = "okta.registration"
script = "a.rhai"
auth = "open"
on_failure = "allow"
[routes.b]
path = "/b"
preview_path = "a"
hook = "okta.event"
auth = "open"
script = "b.rhai"
[routes.c]
path = "/c"
preview_path = "/b"
preview = "query:try"
hook = "okta.event"
auth = "open"
script = "c.rhai"
"#,
        &[
            r#"5:16 config/duplicate-path `routes.a.preview_path`: `path` and `preview_path` of route `a` are the same, `/a/` (give one of them another path; a slash at the end makes no difference)"#,
            r#"6:11 config/bad-value `routes.a.preview`: calls have the header `content-type` anyway, so every one of them would be for trying only (name a header that only you add while you try, such as `header:x-hookgate-preview`)"#,
            r#"13:16 config/bad-value `routes.b.preview_path`: `a` is not a path: it must start with `/` (write `/a`)"#,
            r#"19:16 config/duplicate-path `routes.c.preview_path`: routes `b` and `c` have the same path `/b` (give one of them another path; a slash at the end makes no difference)"#,
            r#"20:11 config/bad-value `routes.c.preview`: `query:try` is not the name of a header behind `header:` (name a header that only you add while you try, such as `header:x-hookgate-preview`)"#,
        ],
    ),
    (
        "key written twice",
        r#"[store]
keep_days = 1
keep_days = 2
kep = 1
"#,
        &[
            r#"3:1 config/duplicate-name `keep_days` is written twice in the same section (keep one of the two)"#,
            r#"4:1 config/unknown-key `store.kep`: unknown key `kep` (known here: `url`, `keep_days`, `decisions_per_second`, `keep_decisions` and `hash_subjects`)"#,
        ],
    ),
    (
        "section written twice",
        r#"[store]
[admin]
[store]
"#,
        &[r#"3:2 config/duplicate-name `store` is written twice in the same section (keep one of the two)"#],
    ),
    (
        "text without quotes",
        r#"[scripts]
dir = scripts
"#,
        &[r#"2:7 config/syntax not valid TOML: a text without quotes (put the value in double quotes)"#],
    ),
    (
        "text not closed",
        r#"[scripts]
dir = "scripts
gate = "tests"
"#,
        &[r#"2:15 config/syntax not valid TOML: a text is not closed (end it with a double quote on the same line)"#],
    ),
    (
        "header not closed",
        r#"[scripts
dir = "scripts"
"#,
        &[r#"1:9 config/syntax not valid TOML: the header is not closed (end it with `]`)"#],
    ),
    (
        "array not closed",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registration"
script = "a.rhai"
auth = ["open"
on_failure = "allow"
"#,
        &[
            r#"8:1 config/syntax not valid TOML: the array goes on without a comma (put a comma between items, or end it with `]`)"#,
        ],
    ),
    (
        "value missing",
        r#"[scripts]
dir =
"#,
        &[r#"2:6 config/syntax not valid TOML: a key without a value (write a value after `=`)"#],
    ),
    (
        "equals missing",
        r#"[scripts]
dir "scripts"
"#,
        &[r#"2:5 config/syntax not valid TOML: a key without a value (write `key = value`)"#],
    ),
    (
        "half a secret",
        r#"[auth.a]
scheme = "header"
secrets = [{ env = "hunter2 }]
"#,
        &[r#"3:31 config/syntax not valid TOML: a text is not closed (end it with a double quote on the same line)"#],
    ),
    (
        "secret without quotes",
        r#"[admin]
token = hunter2
"#,
        &[r#"2:9 config/syntax not valid TOML: a text without quotes (put the value in double quotes)"#],
    ),
    (
        "token as number",
        r#"[admin]
token = 4242
"#,
        &[
            r#"2:9 config/wrong-type `admin.token`: must be `{ env = … }` or `{ file = … }`, not a number (What an operator must present. Without any token, whoever asks a loopback address is an operator.)"#,
        ],
    ),
    (
        "password under another name",
        r#"[auth.a]
scheme = "basic"
password = "hunter2"
secrets = [{ env = "A" }]
"#,
        &[r#"3:1 config/unknown-key `auth.a.password`: unknown key `password` (known here: `scheme` and `secrets`)"#],
    ),
    (
        "a body that can never fit",
        "[server]\nmax_body_bytes = 8_000_000\nbody_budget_bytes = 2_000_000\n",
        &[
            r#"3:21 config/bad-value `server.body_budget_bytes`: a body of 8000000 bytes does not fit into a budget of 2000000 for all of them (`body_budget_bytes` must be at least `max_body_bytes`)"#,
        ],
    ),
    (
        "many mistakes",
        r#"[server]
lisen = "x"
max_body_bytes = 0

[auth.open]
scheme = "nome"

[routes.b]
path = "b"
hook = "okta.tokn"
auth = "opn"
extra = 1

[routes.c]
path = "b/"
hook = "okta.token"
script = 7
auth = "open"
on_failure = "allow"
"#,
        &[
            r#"2:1 config/unknown-key `server.lisen`: unknown key `lisen` (did you mean `listen`?)"#,
            r#"3:18 config/bad-value `server.max_body_bytes`: must be at least 1, not 0"#,
            r#"6:10 config/bad-value `auth.open.scheme`: must be `header`, `basic`, `jwt`, `mtls`, `standard_webhooks` or `none`, not `nome` (did you mean `none`?)"#,
            r#"9:8 config/bad-value `routes.b.path`: `b` is not a path: it must start with `/` (write `/b`)"#,
            r#"10:8 config/unknown-name `routes.b.hook`: unknown hook `okta.tokn` (did you mean `okta.token`?)"#,
            r#"11:8 config/unknown-name `routes.b.auth`: there is no `[auth.opn]` (did you mean `open`?)"#,
            r#"12:1 config/unknown-key `routes.b.extra`: unknown key `extra` (known here: `path`, `preview_path`, `preview`, `hook`, `script`, `auth`, `on_failure`, `params`, `limits`, `rules`, `own_actors`, `reconcile` and `capture`)"#,
            r#"15:8 config/bad-value `routes.c.path`: `b/` is not a path: it must start with `/` (write `/b/`)"#,
            r#"15:8 config/duplicate-path `routes.c.path`: routes `b` and `c` have the same path `b/` (give one of them another path; a slash at the end makes no difference)"#,
            r#"17:10 config/wrong-type `routes.c.script`: must be a text, not a number (The script to run, relative to the folder of scripts. An event route has this or `rules`.)"#,
            r#"19:14 config/bad-value `routes.c.on_failure`: `okta.token` has no `on_failure = "allow"` (`okta.token` allows `on_failure = "unchanged"` or `on_failure = { refuse = "…" }`; when it hears nothing, Okta issues the token unchanged)"#,
        ],
    ),
    (
        "two syntax errors",
        r#"[scripts]
dir = scripts
[store]
keep_days 30
"#,
        &[
            r#"2:7 config/syntax not valid TOML: a text without quotes (put the value in double quotes)"#,
            r#"4:11 config/syntax not valid TOML: a key without a value (write `key = value`)"#,
        ],
    ),
    (
        "misspelt keys are not missing as well",
        r#"[auth.open]
scheme = "none"
[routes.a]
paht = "/a"
hook = "okta.registration"
scirpt = "a.rhai"
auth = "open"
on_fail = "allow"
[admin]
listen = "[::]:1"
tokn = { env = "A" }
"#,
        &[
            r#"4:1 config/unknown-key `routes.a.paht`: unknown key `paht` (did you mean `path`?)"#,
            r#"6:1 config/unknown-key `routes.a.scirpt`: unknown key `scirpt` (did you mean `script`?)"#,
            r#"8:1 config/unknown-key `routes.a.on_fail`: unknown key `on_fail` (did you mean `on_failure`?)"#,
            r#"11:1 config/unknown-key `admin.tokn`: unknown key `tokn` (did you mean `token`?)"#,
        ],
    ),
    (
        "endless number among forms",
        r#"[auth.open]
scheme = "none"
[routes.a]
path = "/a"
hook = "okta.registration"
script = "a.rhai"
auth = "open"
on_failure = inf
"#,
        &[r#"8:14 config/bad-value `routes.a.on_failure`: the number must be finite"#],
    ),
    (
        "reconcile of an inline route",
        r#"[auth.a]
scheme = "none"
[routes.t]
path = "/t"
hook = "okta.token"
auth = "a"
script = "t.rhai"
on_failure = "unchanged"
[routes.t.reconcile]
org_url = "https://example.okta.com"
token = { env = "T" }
"#,
        &[
            r#"9:1 config/bad-value `routes.t.reconcile`: a call of `okta.token` is answered or lost: only event routes have something to look for (remove `reconcile`)"#,
        ],
    ),
    (
        "reconcile without an address",
        r#"[auth.a]
scheme = "none"
[routes.e]
path = "/e"
hook = "okta.event"
auth = "a"
script = "e.rhai"
[routes.e.reconcile]
token = { env = "T" }
"#,
        &[
            r#"8:1 config/missing-key `routes.e.reconcile.org_url`: `org_url` is missing (The address of the org and nothing more, such as `https://example.okta.com`.)"#,
        ],
    ),
    (
        "reconcile without a proof",
        r#"[auth.a]
scheme = "none"
[routes.e]
path = "/e"
hook = "okta.event"
auth = "a"
script = "e.rhai"
[routes.e.reconcile]
org_url = "https://example.okta.com"
"#,
        &[
            r#"8:1 config/missing-key `routes.e.reconcile.token`: `token` is missing, or `client_id` and `private_key` (write `token = { file = "secrets/okta-log" }`: a token that may read the System Log)"#,
        ],
    ),
    (
        "reconcile with a token and an app",
        r#"[auth.a]
scheme = "none"
[routes.e]
path = "/e"
hook = "okta.event"
auth = "a"
script = "e.rhai"
[routes.e.reconcile]
org_url = "https://example.okta.com"
token = { env = "T" }
client_id = "0oa1"
private_key = { env = "K" }
"#,
        &[
            r#"11:13 config/exclusive-keys `routes.e.reconcile.client_id`: it has `token` or an app, not both: here are `token` and `client_id` (remove one of them)"#,
        ],
    ),
    (
        "reconcile with half an app",
        r#"[auth.a]
scheme = "none"
[routes.e]
path = "/e"
hook = "okta.event"
auth = "a"
script = "e.rhai"
[routes.e.reconcile]
org_url = "https://example.okta.com"
client_id = "0oa1"
"#,
        &[
            r#"8:1 config/missing-key `routes.e.reconcile.private_key`: `private_key` is missing (an app needs `client_id` and `private_key`)"#,
        ],
    ),
    (
        "reconcile with the other half",
        r#"[auth.a]
scheme = "none"
[routes.e]
path = "/e"
hook = "okta.event"
auth = "a"
script = "e.rhai"
[routes.e.reconcile]
org_url = "https://example.okta.com"
key_id = "k"
private_key = { env = "K" }
"#,
        &[
            r#"8:1 config/missing-key `routes.e.reconcile.client_id`: `client_id` is missing (an app needs `client_id` and `private_key`)"#,
        ],
    ),
    (
        "reconcile with a secret in the file",
        r#"[auth.a]
scheme = "none"
[routes.e]
path = "/e"
hook = "okta.event"
auth = "a"
script = "e.rhai"
[routes.e.reconcile]
org_url = "https://example.okta.com"
token = "hunter4242"
"#,
        &[
            r#"10:9 config/literal-secret `routes.e.reconcile.token`: a secret is never written into the file (use `{ env = … }` or `{ file = … }`)"#,
        ],
    ),
    (
        "reconcile with a misspelt key",
        r#"[auth.a]
scheme = "none"
[routes.e]
path = "/e"
hook = "okta.event"
auth = "a"
script = "e.rhai"
[routes.e.reconcile]
org_url = "https://example.okta.com"
tokn = "hunter4242"
"#,
        &[r#"10:1 config/unknown-key `routes.e.reconcile.tokn`: unknown key `tokn` (did you mean `token`?)"#],
    ),
    (
        "reconcile over plain http",
        r#"[auth.a]
scheme = "none"
[routes.e]
path = "/e"
hook = "okta.event"
auth = "a"
script = "e.rhai"
[routes.e.reconcile]
org_url = "http://example.okta.com"
allow_private = true
token = { env = "T" }
"#,
        &[
            r#"9:11 config/bad-value `routes.e.reconcile.org_url`: must begin with `https://` (write `https://example.okta.com`)"#,
        ],
    ),
    (
        "reconcile over plain http to this machine",
        r#"[auth.a]
scheme = "none"
[routes.e]
path = "/e"
hook = "okta.event"
auth = "a"
script = "e.rhai"
[routes.e.reconcile]
org_url = "http://127.0.0.1:1"
token = { env = "T" }
"#,
        &[
            r#"9:11 config/bad-value `routes.e.reconcile.org_url`: must begin with `https://` (write `https://example.okta.com`)"#,
        ],
    ),
    (
        "reconcile with a path",
        r#"[auth.a]
scheme = "none"
[routes.e]
path = "/e"
hook = "okta.event"
auth = "a"
script = "e.rhai"
[routes.e.reconcile]
org_url = "https://example.okta.com/api/v1/logs"
token = { env = "T" }
"#,
        &[
            r#"9:11 config/bad-value `routes.e.reconcile.org_url`: must be the address of the org and nothing more (write `https://example.okta.com`)"#,
        ],
    ),
    (
        "reconcile with no address",
        r#"[auth.a]
scheme = "none"
[routes.e]
path = "/e"
hook = "okta.event"
auth = "a"
script = "e.rhai"
[routes.e.reconcile]
org_url = "example.okta.com"
token = { env = "T" }
"#,
        &[
            r#"9:11 config/bad-value `routes.e.reconcile.org_url`: is not an address (write `https://example.okta.com`)"#,
        ],
    ),
    (
        "reconcile with a password in the address",
        r#"[auth.a]
scheme = "none"
[routes.e]
path = "/e"
hook = "okta.event"
auth = "a"
script = "e.rhai"
[routes.e.reconcile]
org_url = "https://ann:hunter4242@example.okta.com"
token = { env = "T" }
"#,
        &[
            r#"9:11 config/literal-secret `routes.e.reconcile.org_url`: a password is never written into the file (write `https://example.okta.com`)"#,
        ],
    ),
    (
        "reconcile with a made-up token",
        r#"[auth.a]
scheme = "none"
[routes.e]
path = "/e"
hook = "okta.event"
auth = "a"
script = "e.rhai"
[routes.e.reconcile]
org_url = "https://example.okta.com"
token = { file = "t", create = true }
"#,
        &[
            r#"10:32 config/bad-value `routes.e.reconcile.token.create`: the provider would not know a secret that is made here (remove `create`)"#,
        ],
    ),
    (
        "reconcile with numbers that make no sense",
        r#"[auth.a]
scheme = "none"
[routes.e]
path = "/e"
hook = "okta.event"
auth = "a"
script = "e.rhai"
[routes.e.reconcile]
org_url = "https://example.okta.com"
token = { env = "T" }
every_s = 0
overlap_s = 100_000
lag_s = -1
rate_share = 0.0
timeout_ms = 0
"#,
        &[
            r#"11:11 config/bad-value `routes.e.reconcile.every_s`: must be at least 1, not 0"#,
            r#"12:13 config/bad-value `routes.e.reconcile.overlap_s`: must be at most 86400, not 100000"#,
            r#"13:9 config/bad-value `routes.e.reconcile.lag_s`: must be at least 0, not -1"#,
            r#"14:14 config/bad-value `routes.e.reconcile.rate_share`: must be more than 0 (write a part of the limit, such as `0.25`)"#,
            r#"15:14 config/bad-value `routes.e.reconcile.timeout_ms`: must be at least 1, not 0"#,
        ],
    ),
    (
        "reconcile with more than everything",
        r#"[auth.a]
scheme = "none"
[routes.e]
path = "/e"
hook = "okta.event"
auth = "a"
script = "e.rhai"
[routes.e.reconcile]
org_url = "https://example.okta.com"
token = { env = "T" }
rate_share = 1.5
"#,
        &[r#"11:14 config/bad-value `routes.e.reconcile.rate_share`: must be at most 1, not 1.5"#],
    ),
    (
        "reconcile with a decimal for a whole number",
        r#"[auth.a]
scheme = "none"
[routes.e]
path = "/e"
hook = "okta.event"
auth = "a"
script = "e.rhai"
[routes.e.reconcile]
org_url = "https://example.okta.com"
token = { env = "T" }
every_s = 1.5
"#,
        &[
            r#"11:11 config/wrong-type `routes.e.reconcile.every_s`: must be a whole number, not a number with a decimal point (Seconds from one look to the next.)"#,
        ],
    ),
];
