//! bcrypt: `$2b$12$` + 22 letters of salt + 31 letters of hash; 2a, 2x and 2y, too, and Django's `bcrypt_sha256`.
//!
//! All variants but 2x compute the same. 2x is what old PHP made, whose C code extended the sign of letters above 127
//! (crypt_blowfish, CVE-2011-2483; that library also changes 2a for the few passwords which 2x takes for one another, and
//! that is not followed). Bytes after the 72nd do not count, as everywhere.

use sha2::{Digest as _, Sha256};
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
    /// The password is the SHA-256 of the password, in hex.
    of_sha256: bool,
}

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
            of_sha256: false,
        })
    }

    /// `$2b$12$…` after `bcrypt_sha256$`.
    pub(super) fn of_sha256(rest: &str) -> Result<Self, Problem> {
        match rest.strip_prefix('$').and_then(|rest| rest.split_once('$')) {
            Some((variant @ ("2a" | "2b" | "2y"), rest)) => Ok(Self { of_sha256: true, ..Self::read(variant, rest)? }),
            _ => Err(Problem::malformed("`bcrypt_sha256` is followed by a bcrypt hash")),
        }
    }

    pub(super) fn cost(&self) -> Cost {
        Cost::of_rounds(1 << self.cost, NANOS_PER_ROUND)
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let digest = Zeroizing::new(hex::encode(Sha256::digest(password)));
        let password = if self.of_sha256 { digest.as_bytes() } else { password };
        let key = if self.extends_sign { extended(password) } else { cut(password) };
        let made = ::bcrypt::bcrypt(self.cost, self.salt, &key);
        same(&made[..self.hash.len()], &self.hash)
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
