//! phpass, as WordPress (`$P$`) and phpBB (`$H$`) use it: MD5, repeated `2^n` times.
//!
//! After the name one letter for `n` (7 to 30), 8 letters of salt, 22 of hash.

use md5::{Digest as _, Md5};

use crate::password::{Cost, Problem, digest, parts, same};

#[derive(Clone, Debug)]
pub(super) struct Phpass {
    log_rounds: u32,
    salt: String,
    hash: String,
}

impl Phpass {
    pub(super) fn read(rest: &str) -> Result<Self, Problem> {
        if !parts::is_crypt_text(rest, 31) {
            return Err(Problem::malformed("a hash of phpass has 31 letters after its name"));
        }
        let log_rounds = rest.bytes().next().and_then(parts::crypt_value).filter(|rounds| (7..=30).contains(rounds));
        let log_rounds =
            log_rounds.ok_or_else(|| Problem::malformed("the rounds of this phpass hash are out of range"))?;
        let (salt, hash) = rest[1..].split_at(8);
        Ok(Self { log_rounds, salt: salt.to_owned(), hash: hash.to_owned() })
    }

    pub(super) fn cost(&self, password_bytes: usize) -> Cost {
        Cost::of_rounds(1 << self.log_rounds, digest::md5_nanos(16 + password_bytes))
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let mut made = Md5::new().chain_update(&self.salt).chain_update(password).finalize();
        for _ in 0..1_u64 << self.log_rounds {
            made = Md5::new().chain_update(made).chain_update(password).finalize();
        }
        let mut text = Vec::with_capacity(24);
        for bytes in made.chunks(3) {
            let value = bytes.iter().rev().fold(0_u32, |value, byte| (value << 8) | u32::from(*byte));
            parts::push_crypt(&mut text, value, bytes.len() + 1);
        }
        same(&text, self.hash.as_bytes())
    }
}
