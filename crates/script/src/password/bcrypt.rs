//! bcrypt: `$2b$12$` + 22 letters of salt + 31 letters of hash; 2a, 2x and 2y, too. Django's `bcrypt_sha256`, passlib's
//! `$bcrypt-sha256$` and WordPress since 6.8 (`$wp$2y$`) give it a digest of the password.
//!
//! All variants but 2x compute the same. 2x is what old PHP made, whose C code extended the sign of letters above 127
//! (crypt_blowfish, CVE-2011-2483; that library also changes 2a for the few passwords which 2x takes for one another, and
//! that is not followed). Bytes after the 72nd do not count, as everywhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256, Sha384};
use zeroize::Zeroizing;

use crate::password::{Cost, Problem, parts, same};

/// What one of `2^cost` rounds takes.
const NANOS_PER_ROUND: u64 = 70_000;
/// Bytes of a password that count.
const KEY_BYTES: usize = 72;

#[derive(Clone, Debug)]
pub(super) struct Bcrypt {
    cost: u32,
    salt: [u8; 16],
    hash: [u8; 23],
    /// The variant 2x.
    extends_sign: bool,
    input: Input,
}

/// What bcrypt gets instead of the password.
#[derive(Clone, Debug)]
enum Input {
    Password,
    /// Its SHA-256 in hex: Django.
    Sha256Hex,
    /// Its SHA-256 in base64: passlib's first version.
    Sha256Base64,
    /// Its HMAC-SHA256 with the salt in base64: passlib's second version.
    HmacSha256(String),
    /// Its HMAC-SHA384 in base64: WordPress.
    HmacSha384,
}

/// The key of WordPress, which keeps hashes of other uses apart.
const WORDPRESS_KEY: &[u8] = b"wp-sha384";

impl Bcrypt {
    /// `12$…` after `$2b$`.
    pub(super) fn read(variant: &str, rest: &str) -> Result<Self, Problem> {
        let [cost, text] = parts::split(rest)?;
        if cost.len() != 2 || text.len() != 53 || !text.is_ascii() {
            return Err(Problem::malformed("a bcrypt hash has a cost of two digits and 53 letters"));
        }
        let cost = parts::small_number(cost, "the cost of bcrypt")?;
        if !(4..=31).contains(&cost) {
            return Err(Problem::malformed("the cost of bcrypt is a number from 04 to 31"));
        }
        let (salt, hash) = text.split_at(22);
        Ok(Self {
            cost,
            salt: parts::bcrypt_base64(salt, "the salt")?,
            hash: parts::bcrypt_base64(hash, "the hash itself")?,
            extends_sign: variant == "2x",
            input: Input::Password,
        })
    }

    /// `$2b$12$…` after `bcrypt_sha256$`.
    pub(super) fn of_django(rest: &str) -> Result<Self, Problem> {
        match rest.strip_prefix('$').and_then(|rest| rest.split_once('$')) {
            Some((variant @ ("2a" | "2b" | "2y"), rest)) => {
                Ok(Self { input: Input::Sha256Hex, ..Self::read(variant, rest)? })
            }
            _ => Err(Problem::malformed("`bcrypt_sha256` is followed by a bcrypt hash")),
        }
    }

    /// `2y$12$…` after `$wp$`.
    pub(super) fn of_wordpress(rest: &str) -> Result<Self, Problem> {
        match rest.split_once('$') {
            Some((variant @ ("2a" | "2b" | "2y"), rest)) => {
                Ok(Self { input: Input::HmacSha384, ..Self::read(variant, rest)? })
            }
            _ => Err(Problem::malformed("`$wp$` is followed by a bcrypt hash: `$wp$2y$…`")),
        }
    }

    /// `v=2,t=2b,r=12$salt$hash` after `$bcrypt-sha256$`, or `2b,12$salt$hash` in the first version.
    pub(super) fn of_passlib(rest: &str) -> Result<Self, Problem> {
        let [settings, salt, hash] = parts::split(rest)?;
        let wrong = || Problem::malformed("the settings of `bcrypt-sha256` are written `v=2,t=2b,r=12`");
        let (version, variant, cost) = match settings.split(',').collect::<Vec<_>>()[..] {
            ["v=2", variant, cost] => {
                (2, variant.strip_prefix("t=").ok_or_else(wrong)?, cost.strip_prefix("r=").ok_or_else(wrong)?)
            }
            [variant, cost] => (1, variant, cost),
            _ => return Err(wrong()),
        };
        let cost = parts::small_number(cost, "the cost of bcrypt")?;
        if !["2a", "2b", "2y"].contains(&variant) || salt.len() != 22 {
            return Err(wrong());
        }
        let input = if version == 2 { Input::HmacSha256(salt.to_owned()) } else { Input::Sha256Base64 };
        Ok(Self { input, ..Self::read(variant, &format!("{cost:02}${salt}{hash}"))? })
    }

    pub(super) fn cost(&self) -> Cost {
        Cost::of_rounds(1 << self.cost, NANOS_PER_ROUND)
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let digest = self.input.digest(password);
        let password = digest.as_ref().map_or(password, |digest| digest.as_bytes());
        let key = if self.extends_sign { extended(password) } else { cut(password) };
        let made = ::bcrypt::bcrypt(self.cost, self.salt, &key);
        same(&made[..self.hash.len()], &self.hash)
    }
}

impl Input {
    /// `None` if it is the password itself.
    fn digest(&self, password: &[u8]) -> Option<Zeroizing<String>> {
        let text = match self {
            Self::Password => return None,
            Self::Sha256Hex => hex::encode(Sha256::digest(password)),
            Self::Sha256Base64 => STANDARD.encode(Sha256::digest(password)),
            Self::HmacSha256(salt) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(salt.as_bytes()).expect("HMAC takes keys of every length");
                mac.update(password);
                STANDARD.encode(mac.finalize().into_bytes())
            }
            Self::HmacSha384 => {
                let mut mac = Hmac::<Sha384>::new_from_slice(WORDPRESS_KEY).expect("HMAC takes keys of every length");
                mac.update(password);
                STANDARD.encode(mac.finalize().into_bytes())
            }
        };
        Some(Zeroizing::new(text))
    }
}

/// The password as bcrypt takes it: with the NUL at its end, and not more than counts.
fn cut(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(KEY_BYTES));
    key.extend_from_slice(&password[..password.len().min(KEY_BYTES)]);
    if key.len() < KEY_BYTES {
        key.push(0);
    }
    key
}

/// The key that a signed `char` makes: every letter above 127 overwrites those before it in its word. Blowfish repeats its
/// key over 18 words, which are written out here.
fn extended(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let letters = cut(password);
    let mut letters = letters.iter().cycle();
    let mut key = Zeroizing::new(Vec::with_capacity(KEY_BYTES));
    for _ in 0..KEY_BYTES / 4 {
        let word = letters.by_ref().take(4).fold(0_u32, |word, letter| {
            let extended = i32::from(letter.cast_signed()).cast_unsigned();
            (word << 8) | extended
        });
        key.extend_from_slice(&word.to_be_bytes());
    }
    key
}
