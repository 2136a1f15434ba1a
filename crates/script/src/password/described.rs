//! Hashes that do not say what they are: bare hex or base64 from a column of a table, and somebody who knows the rest.

use crate::password::digest::{Algorithm, Digest};
use crate::password::expression;
use crate::password::expression::Expression;
use crate::password::firebase::{Firebase, Project};
use crate::password::pbkdf2::{Pbkdf2, Prf};
use crate::password::{Form, Options, Problem, Reason, Stored, bounded, parts};

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As they are, in UTF-8.
    Text,
    Hex,
    Base64,
}

/// What somebody knows of a hash.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    /// `md5`, `sha1`, `sha256`, `sha384`, `sha512`; or `pbkdf2-sha1` and its like, or `firebase-scrypt`. A `pattern` that is a call
    /// needs none.
    pub(crate) format: Option<String>,
    /// Of the hash itself.
    pub(crate) encoding: Encoding,
    pub(crate) salt: Option<String>,
    pub(crate) salt_encoding: Encoding,
    /// Of PBKDF2, or of a digest with `again`.
    pub(crate) iterations: Option<u32>,
    /// Bytes of the hash, if it is to be checked that it has so many.
    pub(crate) length: Option<usize>,
    /// Of a digest: what is hashed, `salt+password`, or all of it, `md5(md5(password)+salt)`.
    pub(crate) pattern: Option<String>,
    /// Of a digest in rounds: what is computed after the first, with `digest` for what came before.
    pub(crate) again: Option<String>,
    /// A digest of the password alone is meant.
    pub(crate) unsalted: bool,
    /// Of `firebase-scrypt`.
    pub(crate) project: Option<Project>,
    pub(crate) options: Options,
}

/// Names of formats, for messages.
pub(crate) const FORMATS: &str = "md5, sha1, sha256, sha384, sha512, pbkdf2-sha1, pbkdf2-sha224, pbkdf2-sha256, pbkdf2-sha384, \
                           pbkdf2-sha512, firebase-scrypt";

/// Reads a hash with the help of its description.
///
/// # Errors
/// The description does not fit, or the hash is not what it says.
pub(crate) fn read(text: &str, description: &Description) -> Result<Stored, Problem> {
    let text = bounded(text, description.options)?;
    let salt =
        description.salt.as_deref().map(|salt| decoded(salt, description.salt_encoding, "`salt`")).transpose()?;
    let format = description.format.as_deref().unwrap_or_default();
    if format == "firebase-scrypt" {
        return firebase(text, description).map(Stored);
    }
    let hash = decoded(text, description.encoding, "the hash")?;
    if let Some(length) = description.length.filter(|length| *length != hash.len()) {
        let has = hash.len();
        return Err(Problem::malformed(format!("the hash has {has} bytes, `length` says {length}")));
    }
    match format.split_once('-') {
        Some(("pbkdf2", prf)) => {
            let prf = Prf::named(prf).ok_or_else(|| no_format(format))?;
            let missing = |what: &str| Problem::malformed(format!("PBKDF2 needs `{what}`"));
            let rounds = description.iterations.ok_or_else(|| missing("iterations"))?;
            Pbkdf2::new(prf, rounds, salt.ok_or_else(|| missing("salt"))?, hash).map(Form::Pbkdf2).map(Stored)
        }
        _ => digest(description, salt, hash).map(Form::Digest).map(Stored),
    }
}

fn no_format(format: &str) -> Problem {
    Problem::new(Reason::Unknown, format!("there is no format `{format}`; there are: {FORMATS}"))
}

fn decoded(text: &str, encoding: Encoding, name: &str) -> Result<Vec<u8>, Problem> {
    match encoding {
        Encoding::Text => Ok(text.into()),
        Encoding::Hex => parts::hex(text, name),
        Encoding::Base64 => parts::base64(text, name),
    }
}

fn firebase(text: &str, description: &Description) -> Result<Form, Problem> {
    let missing = || {
        let text = "`firebase-scrypt` needs the `salt` of the user, and of the project `signer_key`, `salt_separator`, `rounds` and \
                    `mem_cost`";
        Problem::malformed(text)
    };
    let (salt, project) = description.salt.as_deref().zip(description.project.as_ref()).ok_or_else(missing)?;
    Firebase::described(salt, text, project).map(Form::Firebase)
}

fn digest(description: &Description, salt: Option<Vec<u8>>, hash: Vec<u8>) -> Result<Digest, Problem> {
    let expression = whole(description, salt.as_deref())?;
    let again = description.again.as_deref().map(|again| expression::read(again, "again")).transpose()?;
    check_salt(description, salt.as_deref(), &expression, again.as_ref())?;
    let digest = Digest::new(expression, salt.unwrap_or_default(), hash)?;
    match (again, description.iterations) {
        (None, None | Some(1)) => Ok(digest),
        (Some(again), Some(rounds)) => {
            let again = again.bare_digest();
            if again.algorithm().is_none() || !again.has(&Expression::Previous) {
                let text = "`again` is one call of a digest with `digest` in it: `sha512(digest+password)`";
                return Err(Problem::malformed(text));
            }
            Ok(digest.repeated(again, rounds))
        }
        (None, Some(_)) => Err(Problem::malformed(
            "a digest in rounds needs `again`, what is computed after the first: `sha512(digest+password)`",
        )),
        (Some(_), None) => Err(Problem::malformed("`again` needs `iterations`, the number of rounds in all")),
    }
}

/// The digest that is stored, as an expression. A pattern that is one call is all of it; any other is what `format` hashes.
fn whole(description: &Description, salt: Option<&[u8]>) -> Result<Expression, Problem> {
    let format = description.format.as_deref();
    let algorithm = format.map(|name| Algorithm::named(name).ok_or_else(|| no_format(name))).transpose()?;
    let salted = salt.is_some_and(|salt| !salt.is_empty());
    let hashed = match &description.pattern {
        Some(text) => expression::read(text, "pattern")?,
        None if !salted => Expression::Password,
        None => {
            let text = "say with `pattern` where the salt is: `salt+password`, `password+salt`, or all of it, \
                        `md5(md5(password)+salt)`";
            return Err(Problem::malformed(text));
        }
    };
    if !hashed.has(&Expression::Password) || hashed.has(&Expression::Previous) {
        return Err(Problem::malformed(
            "there is no `password` in `pattern`, or there is `digest`, which goes into `again`",
        ));
    }
    let hashed = hashed.bare_digest();
    match (algorithm, hashed.algorithm()) {
        (Some(format), Some(called)) if format != called => {
            let (format, called) = (format.name(), called.name());
            let text = format!(
                "`format` says {format} and `pattern` is {called}(…): write all of it as the pattern, `{format}({called}(…))`"
            );
            Err(Problem::malformed(text))
        }
        (_, Some(_)) => Ok(hashed),
        (Some(format), None) => Ok(Expression::digest(format, vec![hashed])),
        (None, None) => {
            let text = format!(
                "a description needs `format`, or a `pattern` that is one call of a digest; formats: {FORMATS}"
            );
            Err(Problem::malformed(text))
        }
    }
}

/// Without a salt in it, one has to say so: such hashes are in tables that anybody can look up.
fn check_salt(
    description: &Description,
    salt: Option<&[u8]>,
    expression: &Expression,
    again: Option<&Expression>,
) -> Result<(), Problem> {
    let salted = salt.is_some_and(|salt| !salt.is_empty());
    let uses_salt = expression.has(&Expression::Salt) || again.is_some_and(|again| again.has(&Expression::Salt));
    match (uses_salt, salted, description.unsalted) {
        (true, true, false) | (false, false, true) => Ok(()),
        (true, false, _) => Err(Problem::malformed("there is a salt in `pattern`, and no `salt`")),
        (false, true, _) => Err(Problem::malformed("there is a `salt`, and none in `pattern`")),
        (true, true, true) => Err(Problem::malformed("this hash has a salt, and `unsalted` says it has none")),
        (false, false, false) => {
            let text = "a digest without a salt is verified only with `unsalted: true`";
            Err(Problem::new(Reason::Unsalted, text))
        }
    }
}
