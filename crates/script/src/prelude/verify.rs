//! `secret.verifies(hash)`: a password against what another system stored of it.
//!
//! Reading and computing is [`crate::password`]; here are the words of scripts, and the one thing that makes these functions
//! different from all others: they take long and cannot be stopped. So they never run on an async worker, and what they
//! gave is remembered for a run that is repeated.

use rhai::{Dynamic, EvalAltResult, Map, Position};

use crate::budget;
use crate::context;
use crate::context::World;
use crate::journal::{Noted, Verdict};
use crate::library::{Doc, Library};
use crate::password::described::{self, Description, Encoding};
use crate::password::{self, Options, Problem, Project, Stored, gate};
use crate::prelude::Fallible;
use crate::prelude::secret::Hidden;

/// What `verify_nothing()` imitates without an example: bcrypt with cost 12. Nobody knows the password.
const NOTHING: &str = "$2b$12$LkukN8uOidOnJQULqznDWeaQjVTzoHuBbo6snRANVRYZHJFAELR62";

/// What the members of a description are called.
const MEMBERS: [&str; 16] = [
    "format",
    "encoding",
    "salt",
    "salt_encoding",
    "iterations",
    "length",
    "pattern",
    "again",
    "unsalted",
    "signer_key",
    "salt_separator",
    "rounds",
    "mem_cost",
    "allow_weak",
    "padded",
    "normalise",
];

/// Those that say something of every hash.
const OF_ALL: [&str; 3] = ["allow_weak", "padded", "normalise"];

fn verifies(secret: &Hidden, hash: &str) -> Fallible<bool> {
    spend(password::recognise(hash, Options::default()), secret)
}

fn verifies_described(secret: &Hidden, hash: &str, members: &Map) -> Fallible<bool> {
    let description = description(members)?;
    let form = text(members, "normalise")?;
    let normalised = form.map(|form| secret.normalise(&form)).transpose()?;
    // A map that describes nothing is about a hash that says itself what it is.
    let says_itself = members.iter().all(|(name, value)| OF_ALL.contains(&name.as_str()) || value.is_unit());
    let stored =
        if says_itself { password::recognise(hash, description.options) } else { described::read(hash, &description) };
    spend(stored, normalised.as_ref().unwrap_or(secret))
}

fn verify_nothing(secret: &Hidden, like: &str) -> Fallible<bool> {
    spend(password::recognise(like, Options::default()), secret).map(|_| false)
}

/// Verifies when this run's turn comes, on a thread where that disturbs nobody.
fn spend(stored: Result<Stored, Problem>, secret: &Hidden) -> Fallible<bool> {
    let name = "verifies";
    let ceilings = context::with(name, |run| run.ceilings)?;
    let stored = stored.and_then(|stored| stored.affordable(ceilings)).map_err(|problem| thrown(&problem))?;
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
            let verdict = gate.verify(&stored, secret.reveal().as_bytes(), ceilings, deadline);
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
    let flag = |name| member(members, name, "true or false", |value| value.as_bool().ok());
    Ok(Description {
        format: text(members, "format")?,
        encoding: encoding(members, "encoding", Encoding::Hex)?,
        salt: text(members, "salt")?,
        salt_encoding: encoding(members, "salt_encoding", Encoding::Text)?,
        iterations: number(members, "iterations")?,
        length: number(members, "length")?,
        pattern: text(members, "pattern")?,
        again: text(members, "again")?,
        unsalted: flag("unsalted")?.unwrap_or(false),
        project: project(members)?,
        options: Options { allow_weak: flag("allow_weak")?.unwrap_or(false), padded: flag("padded")?.unwrap_or(false) },
    })
}

/// What Firebase's console shows of a project; `None` if something is missing.
fn project(members: &Map) -> Fallible<Option<Project>> {
    let texts = text(members, "signer_key")?.zip(text(members, "salt_separator")?);
    let numbers = number(members, "rounds")?.zip(number(members, "mem_cost")?);
    Ok(texts.zip(numbers).map(|((signer_key, salt_separator), (rounds, mem_cost))| Project {
        signer_key,
        salt_separator,
        rounds,
        mem_cost,
    }))
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
             (`$2a$`, `$2b$`, `$2x$`, `$2y$`; `$wp$2y$` of WordPress 6.8, Django's and passlib's with SHA-256), Argon2, scrypt \
             (Django, passlib, Werkzeug, `$7$`; Firebase as `$fbscrypt$` and `$firescrypt$`), yescrypt (`$y$`), PBKDF2 (Django, \
             passlib, PHC strings, Werkzeug, `$p5k2$`, GRUB, Atlassian's `{PKCS5S2}`), ASP.NET Identity 2 and 3, crypt(3) (`$1$`, \
             `$apr1$`, `$5$`, `$6$`), phpass (`$P$`, `$H$`), Drupal 7 (`$S$`, `U$S$`), LDAP (`{SSHA}` and its like, `{SMD5}`, \
             `{SHA}`, `{CRYPT}`, `{PBKDF2}`), Spring's `{bcrypt}`, `{argon2}`, `{scrypt}`, `{pbkdf2}`, `{sha256}`, `{SHA-256}`, \
             `{ldap}`, Django's `sha1$` and `md5$`. With `allow_weak` in a description also `{noop}`, `{MD5}` and MySQL's `*…`. \
             The password is taken as it \
             is, nothing is trimmed; one with a NUL is never right. What cannot be verified is an error to catch whose `kind` is `unknown`, `malformed`, \
             `too_costly` (over `limits.password_ms` or `limits.password_memory_bytes`), `weak`, `unsalted`, `too_long` (a password \
             over 4096 bytes) or `busy`.",
            r#"example_secret.verifies("{SSHA}1j5ho2mHI6fHgwQOjBk9aRHF47FzYWx0")"#,
        ),
        |secret: &mut Hidden, hash: &str| verifies(secret, hash),
    );
    library.reader(
        Doc::new(
            "Secret.verifies(hash: string, description: map) -> bool",
            "The same with what somebody knows of the hash. For every hash: `allow_weak: true` takes plain text and quick digests \
             without a salt, `padded: true` cuts off blanks that a column has put behind it, `normalise` is `\"NFC\"`, `\"NFKC\"` or \
             `\"none\"` (`Secret.normalise`). For a digest that does not say what it is: `format` (`md5`, `sha1`, `sha256`, `sha384` \
             or `sha512`), with `salt` and the `pattern` of both (`\"salt+password\"`), or with `unsalted: true`; or all of it as \
             the `pattern`: `\"md5(md5(password)+salt)\"` (vBulletin), made of `password`, `salt`, texts in quotes, `+`, \
             `md5(…)` and its like (hex, or bytes as `md5_raw(…)`), `hmac_sha256(key, text)` and its like, `hex`, `base64`, `lower`, \
             `upper`, `utf16le`. In rounds: `iterations`, and `again` with `digest` for what came before (Symfony: \
             `again: \"sha512(digest+password+'{'+salt+'}')\"`). Or `format` is `pbkdf2-sha256` or its like, with `salt`, \
             `iterations` and, to be checked, `length`; or `firebase-scrypt`, with `salt` and the project's `signer_key`, \
             `salt_separator`, `rounds` and `mem_cost`. `encoding` of the hash is `\"hex\"` unless it is `\"base64\"`; \
             `salt_encoding` is `\"text\"` unless it is one of these.",
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
