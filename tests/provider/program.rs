//! The program with one more provider, as a child process; and the provider's keys.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hookgate_engine::auth::standard_webhooks;
use hookgate_model::secret::Secret;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir};

use crate::AS_PROGRAM;

/// A bundle, and the program that works with it.
pub struct Program {
    folder: TempDir,
    port: u16,
    admin: u16,
}

pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

/// The program while it serves the bundle. Killed at the end whatever happens.
pub struct Served {
    port: u16,
    admin: u16,
    printed: NamedTempFile,
    child: Child,
}

/// What a call was answered.
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

/// Who signs tokens.
pub struct Issuer {
    key: rcgen::KeyPair,
}

impl Program {
    pub fn new(config: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, admin) = (free_port(), free_port());
        let listen = format!("[server]\nlisten = \"127.0.0.1:{port}\"\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n");
        for (path, text) in files.iter().copied().chain([("gateway.toml", (listen + config).as_str())]) {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self { folder, port, admin }
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        let output = command(self.folder.path(), args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub fn serve(&self) -> Served {
        // Not in the folder: each line would be a change of the bundle to look at.
        let printed = NamedTempFile::new().unwrap();
        let log = printed.reopen().unwrap();
        let child = command(self.folder.path(), &["serve", "--log", "json"])
            .stdin(Stdio::null())
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .unwrap();
        let mut served = Served { port: self.port, admin: self.admin, printed, child };
        served.wait_until_ready();
        served
    }
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(AS_PROGRAM).args(args).current_dir(folder);
    for variable in ["HOOKGATE_CONFIG", "HOOKGATE_LOG", "HOOKGATE_WORKER_THREADS"] {
        command.env_remove(variable);
    }
    command
}

impl Served {
    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.asked("/readyz").is_none_or(|answer| answer.status != 200) {
            assert!(Instant::now() < deadline, "the gateway does not become ready:\n{}", self.log());
            assert!(self.child.try_wait().unwrap().is_none(), "the gateway ended:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn asked(&self, path: &str) -> Option<Answer> {
        exchange(self.admin, "GET", path, &[], "")
    }

    /// What the admin listener gives.
    pub fn admin(&self, path: &str) -> String {
        self.asked(path).expect("it listens").body
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.printed.path()).unwrap()
    }

    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        exchange(self.port, method, path, headers, body).expect("it listens")
    }

    pub fn form(&self, path: &str, body: &str) -> Answer {
        self.call("POST", path, &[("content-type", "application/x-www-form-urlencoded")], body)
    }

    /// A call that this secret signs.
    pub fn signed(&self, path: &str, id: &str, secret: &str, body: &str) -> Answer {
        let now = jiff::Timestamp::now().as_second();
        let signed = standard_webhooks::sign(&Secret::new(secret.as_bytes()), id, now, body.as_bytes()).unwrap();
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(signed.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        self.call("POST", path, &headers, body)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

impl Issuer {
    pub fn new() -> Self {
        Self { key: rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap() }
    }

    pub fn pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The public key: an uncompressed point of P-256.
    pub fn jwks(&self) -> String {
        let point = rcgen::PublicKeyData::der_bytes(&self.key);
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k1", "x": x, "y": y }] })
            .to_string()
    }

    pub fn token(&self, claims: &Value) -> String {
        self.token_of("farewell+jwt", claims)
    }

    pub fn token_of(&self, typ: &str, claims: &Value) -> String {
        let header = Header { typ: Some(typ.to_owned()), kid: Some("k1".to_owned()), ..Header::new(Algorithm::ES256) };
        let key = EncodingKey::from_ec_pem(self.pem().as_bytes()).unwrap();
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }
}

/// HMAC-SHA256 of the body in hexadecimal digits, written out as RFC 2104 has it.
pub fn hmac(secret: &str, body: &str) -> String {
    let mut key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    key.resize(64, 0);
    let padded = |with: u8| key.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
    let inner = Sha256::digest([padded(0x36), body.as_bytes().to_vec()].concat());
    hex::encode(Sha256::digest([padded(0x5c), inner.to_vec()].concat()))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn exchange(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{lines}content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all((head + body).as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}
