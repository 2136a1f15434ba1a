//! Hashes that do not say what they are: bare hex or base64 from a column of a table, and somebody who knows the rest.

use crate::password::digest::{Algorithm, Digest, Piece};
use crate::password::pbkdf2::{Pbkdf2, Prf};
use crate::password::{Form, MAX_HASH_BYTES, Problem, Reason, Stored, parts};

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As they are, in UTF-8.
    Text,
    Hex,
    Base64,
}

/// What somebody knows of a hash.
#[derive(Clone, Debug)]
pub struct Description {
    /// `md5`, `sha1`, `sha256`, `sha512`; or `pbkdf2-sha1`, `pbkdf2-sha256`, `pbkdf2-sha512`.
    pub format: String,
    /// Of the hash itself.
    pub encoding: Encoding,
    pub salt: Option<String>,
    pub salt_encoding: Encoding,
    /// Of PBKDF2.
    pub iterations: Option<u32>,
    /// Bytes of the hash, if it is to be checked that it has so many.
    pub length: Option<usize>,
    /// Of a digest: `salt` and `password` in their order, with `+` between.
    pub pattern: Option<String>,
    /// A digest of the password alone is meant.
    pub unsalted: bool,
}

/// Names of formats, for messages.
pub const FORMATS: &str = "md5, sha1, sha256, sha512, pbkdf2-sha1, pbkdf2-sha256, pbkdf2-sha512";

/// Reads a hash with the help of its description.
///
/// # Errors
/// The description does not fit, the hash is not what it says, or verifying would cost too much.
pub fn read(text: &str, description: &Description) -> Result<Stored, Problem> {
    if text.len() > MAX_HASH_BYTES {
        return Err(Problem::malformed(format!("a hash has at most {MAX_HASH_BYTES} bytes")));
    }
    let hash = decoded(text, description.encoding, "the hash")?;
    if let Some(length) = description.length.filter(|length| *length != hash.len()) {
        let has = hash.len();
        return Err(Problem::malformed(format!("the hash has {has} bytes, `length` says {length}")));
    }
    let salt =
        description.salt.as_deref().map(|salt| decoded(salt, description.salt_encoding, "`salt`")).transpose()?;
    let form = match description.format.split_once('-') {
        Some(("pbkdf2", prf)) => {
            let prf = Prf::named(prf).ok_or_else(|| no_format(&description.format))?;
            let missing = |what: &str| Problem::malformed(format!("PBKDF2 needs `{what}`"));
            let rounds = description.iterations.ok_or_else(|| missing("iterations"))?;
            Form::Pbkdf2(Pbkdf2::new(prf, rounds, salt.ok_or_else(|| missing("salt"))?, hash)?)
        }
        _ => {
            let algorithm = Algorithm::named(&description.format).ok_or_else(|| no_format(&description.format))?;
            let pattern = pattern(description, salt.as_deref())?;
            Form::Digest(Digest::new(algorithm, pattern, salt.unwrap_or_default(), hash)?)
        }
    };
    Stored(form).affordable()
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

/// The pattern of a digest. Without a salt in it, one has to say so: such hashes are in tables that anybody can look up.
fn pattern(description: &Description, salt: Option<&[u8]>) -> Result<Vec<Piece>, Problem> {
    let salted = salt.is_some_and(|salt| !salt.is_empty());
    let pieces = match &description.pattern {
        Some(text) => pieces(text)?,
        None if !salted => vec![Piece::Password],
        None => {
            return Err(Problem::malformed("say with `pattern` where the salt is: `salt+password` or `password+salt`"));
        }
    };
    let uses_salt = pieces.contains(&Piece::Salt);
    match (uses_salt, salted, description.unsalted) {
        (true, true, false) | (false, false, true) => Ok(pieces),
        (true, false, _) => Err(Problem::malformed("there is a salt in `pattern`, and no `salt`")),
        (false, true, _) => Err(Problem::malformed("there is a `salt`, and none in `pattern`")),
        (true, true, true) => Err(Problem::malformed("this hash has a salt, and `unsalted` says it has none")),
        (false, false, false) => {
            let text = "a digest without a salt is verified only with `unsalted: true`";
            Err(Problem::new(Reason::Unsalted, text))
        }
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, Problem> {
    let piece = |word: &str| match word.trim() {
        "salt" => Some(Piece::Salt),
        "password" => Some(Piece::Password),
        _ => None,
    };
    let pieces: Option<Vec<Piece>> = text.split('+').map(piece).collect();
    let once = |pieces: &Vec<Piece>| pieces.contains(&Piece::Password) && pieces.len() <= 8;
    pieces.filter(once).ok_or_else(|| {
        Problem::malformed("`pattern` is written `salt+password`: the two words in any order, `password` among them")
    })
}
