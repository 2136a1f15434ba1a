//! `secret.verifies(hash)`: a password against what another system stored of it.
//!
//! Reading and computing is [`crate::password`]; here are the words of scripts, and the one thing that makes these functions
//! different from all others: they take long and cannot be stopped. So they never run on an async worker, and what they
//! gave is remembered for a run that is repeated.

use rhai::{Dynamic, EvalAltResult, Map, Position};

use crate::password::described::{self, Description, Encoding};
use crate::password::{self, Problem, Stored, gate};
use crate::script::budget;
use crate::script::context;
use crate::script::context::World;
use crate::script::journal::{Noted, Verdict};
use crate::script::library::{Doc, Library};
use crate::script::prelude::Fallible;
use crate::script::prelude::secret::Hidden;

/// What `verify_nothing()` imitates without an example: bcrypt with cost 12. Nobody knows the password.
const NOTHING: &str = "$2b$12$LkukN8uOidOnJQULqznDWeaQjVTzoHuBbo6snRANVRYZHJFAELR62";

/// What the members of a description are called.
const MEMBERS: [&str; 8] =
    ["format", "encoding", "salt", "salt_encoding", "iterations", "length", "pattern", "unsalted"];

fn verifies(secret: &Hidden, hash: &str) -> Fallible<bool> {
    spend(password::recognise(hash), secret)
}

fn verifies_described(secret: &Hidden, hash: &str, members: &Map) -> Fallible<bool> {
    let description = description(members)?;
    spend(described::read(hash, &description), secret)
}

fn verify_nothing(secret: &Hidden, like: &str) -> Fallible<bool> {
    spend(password::recognise(like), secret).map(|_| false)
}

/// Verifies when this run's turn comes, on a thread where that disturbs nobody.
fn spend(stored: Result<Stored, Problem>, secret: &Hidden) -> Fallible<bool> {
    let name = "verifies";
    let stored = stored.map_err(|problem| thrown(&problem))?;
    let take = |noted: &Noted| if let Noted::Verdict(verdict) = noted { Some(verdict.clone()) } else { None };
    let known = context::with(name, |run| run.journal.noted(take))??;
    let verdict: Verdict = match known {
        Some(verdict) => verdict,
        None => {
            budget::leave_worker()?;
            let (gate, deadline) = context::with(name, |run| {
                let gate = if matches!(run.world, World::Mocked(_)) { gate::testing() } else { gate::serving() };
                (gate, run.deadline)
            })?;
            let verdict = gate.verify(&stored, secret.reveal().as_bytes(), deadline);
            context::with(name, |run| run.journal.add(Noted::Verdict(verdict.clone())))?;
            verdict
        }
    };
    verdict.map_err(|problem| thrown(&problem))
}

/// What a script can catch: a map with the problem's `kind` and `message`.
fn thrown(problem: &Problem) -> Box<EvalAltResult> {
    let mut error = Map::new();
    error.insert("kind".into(), problem.reason.name().into());
    error.insert("message".into(), problem.to_string().into());
    EvalAltResult::ErrorRuntime(Dynamic::from_map(error), Position::NONE).into()
}

fn description(members: &Map) -> Fallible<Description> {
    if let Some(unknown) = members.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
        return Err(format!("a description has no `{unknown}`; there are: {}", MEMBERS.join(", ")).into());
    }
    Ok(Description {
        format: text(members, "format")?
            .ok_or_else(|| format!("a description needs `format`; there are: {}", described::FORMATS))?,
        encoding: encoding(members, "encoding", Encoding::Hex)?,
        salt: text(members, "salt")?,
        salt_encoding: encoding(members, "salt_encoding", Encoding::Text)?,
        iterations: number(members, "iterations")?,
        length: number(members, "length")?,
        pattern: text(members, "pattern")?,
        unsalted: member(members, "unsalted", "true or false", |value| value.as_bool().ok())?.unwrap_or(false),
    })
}

fn member<T>(members: &Map, name: &str, what: &str, read: impl FnOnce(&Dynamic) -> Option<T>) -> Fallible<Option<T>> {
    match members.get(name).filter(|value| !value.is_unit()) {
        None => Ok(None),
        Some(value) => match read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(format!("`{name}` of a description is {what}").into()),
        },
    }
}

fn text(members: &Map, name: &str) -> Fallible<Option<String>> {
    member(members, name, "a text", |value| value.clone().into_string().ok())
}

fn number<T: TryFrom<i64>>(members: &Map, name: &str) -> Fallible<Option<T>> {
    member(members, name, "a number above 0", |value| {
        value.as_int().ok().filter(|number| *number > 0).and_then(|number| T::try_from(number).ok())
    })
}

fn encoding(members: &Map, name: &str, otherwise: Encoding) -> Fallible<Encoding> {
    let named = |value: &Dynamic| match value.clone().into_string().ok()?.as_str() {
        "hex" => Some(Encoding::Hex),
        "base64" => Some(Encoding::Base64),
        "text" if name == "salt_encoding" => Some(Encoding::Text),
        _ => None,
    };
    let what = if name == "encoding" { "`hex` or `base64`" } else { "`text`, `hex` or `base64`" };
    Ok(member(members, name, what, named)?.unwrap_or(otherwise))
}

pub(super) fn register(library: &mut Library) {
    library.reader(
        Doc::new(
            "Secret.verifies(hash: string) -> bool",
            "Whether the secret is the password that another system stored as this hash. The hash says what it is: bcrypt \
             (`$2a$`, `$2b$`, `$2x$`, `$2y$`), Argon2, scrypt and PBKDF2 as Django, passlib and Werkzeug write them, ASP.NET \
             Identity 2 and 3, crypt(3) (`$1$`, `$apr1$`, `$5$`, `$6$`), phpass (`$P$`, `$H$`), LDAP (`{SSHA}`, `{SSHA256}`, \
             `{SSHA512}`, `{SMD5}`, `{SHA}`, `{CRYPT}`, `{PBKDF2}`), Django's `sha1$` and `md5$`. The password is taken as it \
             is, nothing is trimmed; one with a NUL is never right. What cannot be verified is an error to catch whose `kind` is `unknown`, `malformed`, \
             `too_costly`, `unsalted`, `too_long` (a password over 4096 bytes) or `busy`.",
            r#"example_secret.verifies("{SSHA}1j5ho2mHI6fHgwQOjBk9aRHF47FzYWx0")"#,
        ),
        |secret: &mut Hidden, hash: &str| verifies(secret, hash),
    );
    library.reader(
        Doc::new(
            "Secret.verifies(hash: string, description: map) -> bool",
            "The same for a hash that does not say what it is. `format` is `md5`, `sha1`, `sha256` or `sha512`, with `salt` \
             and the `pattern` of both (`\"salt+password\"`), or with `unsalted: true`; or it is `pbkdf2-sha1`, \
             `pbkdf2-sha256` or `pbkdf2-sha512`, with `salt`, `iterations` and, to be checked, `length`. `encoding` of the \
             hash is `\"hex\"` unless it is `\"base64\"`; `salt_encoding` is `\"text\"` unless it is one of these.",
            r#"example_secret.verifies("e10adc3949ba59abbe56e057f20f883e", #{ format: "md5", unsalted: true })"#,
        ),
        |secret: &mut Hidden, hash: &str, description: Map| verifies_described(secret, hash, &description),
    );
    library.reader(
        Doc::new(
            "Secret.verify_nothing() -> bool",
            "Takes as long as a wrong password takes against bcrypt with cost 12, and is false: for a user who is not there, so \
             that nobody learns from the time who is.",
            "!example_secret.verify_nothing()",
        ),
        |secret: &mut Hidden| verify_nothing(secret, NOTHING),
    );
    library.reader(
        Doc::new(
            "Secret.verify_nothing(like: string) -> bool",
            "The same with a hash of the kind and the cost that the users who are there have. It is false whatever the \
             secret is.",
            r#"!example_secret.verify_nothing("{SSHA}1j5ho2mHI6fHgwQOjBk9aRHF47FzYWx0")"#,
        ),
        |secret: &mut Hidden, like: &str| verify_nothing(secret, like),
    );
}
