//! crypt(3) with MD5 (`$1$`, Apache's `$apr1$`), SHA-256 (`$5$`) and SHA-512 (`$6$`).
//!
//! SHA-crypt is a specification (SHA-crypt.txt by Ulrich Drepper), MD5-crypt is the code that FreeBSD had first. Both mix
//! the password into every round, so the cost grows with it.

use md5::{Digest as _, Md5};
use sha_crypt::Params;

use crate::password::{Cost, Problem, digest, parts, same};

const MD5_ROUNDS: u32 = 1_000;
/// Rounds of SHA-crypt unless `rounds=` says otherwise.
const SHA_ROUNDS: u32 = 5_000;

#[derive(Clone, Debug)]
pub(super) struct Md5Crypt {
    /// With its dollars: part of what is hashed.
    magic: &'static str,
    salt: String,
    hash: String,
}

impl Md5Crypt {
    pub(super) fn read(id: &str, rest: &str) -> Result<Self, Problem> {
        let [salt, hash] = parts::split(rest)?;
        if salt.len() > 8 || !parts::is_crypt_text(hash, 22) {
            return Err(Problem::malformed(
                "a hash of MD5-crypt has a salt of up to 8 letters and 22 letters after it",
            ));
        }
        let magic = if id == "1" { "$1$" } else { "$apr1$" };
        Ok(Self { magic, salt: salt.to_owned(), hash: hash.to_owned() })
    }

    pub(super) fn cost(&self, password_bytes: usize) -> Cost {
        // In six rounds of seven the password is there twice or once, and the last digest and often the salt beside it.
        Cost::of_rounds(MD5_ROUNDS.into(), digest::md5_nanos(24 + 2 * password_bytes))
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let made = self.digest(password);
        let mut text = Vec::with_capacity(24);
        for [high, middle, low] in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
            parts::push_crypt(&mut text, triple(made[high], made[middle], made[low]), 4);
        }
        parts::push_crypt(&mut text, made[11].into(), 2);
        same(&text, self.hash.as_bytes())
    }

    fn digest(&self, password: &[u8]) -> [u8; 16] {
        let salt = self.salt.as_bytes();
        let beside = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
        let mut first = Md5::new().chain_update(password).chain_update(self.magic).chain_update(salt);
        for piece in password.chunks(16) {
            first.update(&beside[..piece.len()]);
        }
        let mut bits = password.len();
        while bits > 0 {
            // The first letter of the password stands for a 0, and a NUL for a 1: so it was written.
            first.update(if bits & 1 == 1 { &[0] } else { &password[..1] });
            bits >>= 1;
        }
        let mut made = first.finalize();
        for round in 0..MD5_ROUNDS {
            let odd = round % 2 == 1;
            let mut next = Md5::new();
            next.update(if odd { password } else { &made });
            if round % 3 != 0 {
                next.update(salt);
            }
            if round % 7 != 0 {
                next.update(password);
            }
            next.update(if odd { &made } else { password });
            made = next.finalize();
        }
        made.into()
    }
}

#[derive(Clone, Debug)]
pub(super) struct ShaCrypt {
    /// SHA-512, else SHA-256.
    is_512: bool,
    rounds: u32,
    salt: String,
    hash: String,
}

impl ShaCrypt {
    pub(super) fn read(id: &str, rest: &str) -> Result<Self, Problem> {
        let is_512 = id == "6";
        let (rounds, rest) = match rest.strip_prefix("rounds=").and_then(|rest| rest.split_once('$')) {
            Some((rounds, rest)) => (parts::small_number(rounds, "the number of rounds")?, rest),
            None => (SHA_ROUNDS, rest),
        };
        if !(Params::ROUNDS_MIN..=Params::ROUNDS_MAX).contains(&rounds) {
            return Err(Problem::malformed("SHA-crypt has 1000 to 999999999 rounds"));
        }
        let [salt, hash] = parts::split(rest)?;
        let letters = if is_512 { 86 } else { 43 };
        if salt.len() > 16 || !parts::is_crypt_text(hash, letters) {
            let text = format!("this hash has a salt of up to 16 letters and {letters} letters after it");
            return Err(Problem::malformed(text));
        }
        Ok(Self { is_512, rounds, salt: salt.to_owned(), hash: hash.to_owned() })
    }

    pub(super) fn cost(&self, password_bytes: usize) -> Cost {
        // In six rounds of seven the password is there twice, the last digest and in most the salt beside it.
        let (digest_bytes, block_bytes, nanos) = if self.is_512 { (64, 128, 450) } else { (32, 64, 250) };
        let blocks = digest::blocks(digest_bytes + self.salt.len() + 2 * password_bytes, block_bytes);
        Cost::of_rounds(self.rounds.into(), nanos * blocks)
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let Ok(settings) = Params::new(self.rounds) else { return false };
        let salt = self.salt.as_bytes();
        let mut text = Vec::with_capacity(88);
        if self.is_512 {
            let made = ::sha_crypt::sha512_crypt(password, salt, settings);
            let mut places = [0, 21, 42];
            for _ in 0..21 {
                push_bytes(&mut text, &made, places);
                places = [places[1] + 1, places[2] + 1, places[0] + 1];
            }
            parts::push_crypt(&mut text, made[63].into(), 2);
        } else {
            let made = ::sha_crypt::sha256_crypt(password, salt, settings);
            let mut places = [0, 10, 20];
            for _ in 0..10 {
                push_bytes(&mut text, &made, places);
                places = [places[2] + 1, places[0] + 1, places[1] + 1];
            }
            parts::push_crypt(&mut text, triple(0, made[31], made[30]), 3);
        }
        same(&text, self.hash.as_bytes())
    }
}

fn push_bytes(text: &mut Vec<u8>, bytes: &[u8], [high, middle, low]: [usize; 3]) {
    parts::push_crypt(text, triple(bytes[high], bytes[middle], bytes[low]), 4);
}

fn triple(high: u8, middle: u8, low: u8) -> u32 {
    u32::from_be_bytes([0, high, middle, low])
}
