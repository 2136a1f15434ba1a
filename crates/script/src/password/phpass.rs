//! phpass, as WordPress (`$P$`) and phpBB (`$H$`) use it, and Drupal 7 (`$S$`): MD5 or SHA-512, repeated `2^n` times.
//!
//! After the name one letter for `n` (7 to 30), 8 letters of salt, then 22 letters of hash, or 43 of the 86 that SHA-512 has.
//! `U$` before it stands for a password that was raised from Drupal 6: what is hashed is the MD5 of the password, in hex.

use md5::Md5;
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use crate::password::{Cost, Problem, digest, parts, same};

#[derive(Clone, Debug)]
pub(super) struct Phpass {
    /// SHA-512, else MD5.
    is_512: bool,
    /// The password is the MD5 of the password, in hex.
    of_md5: bool,
    log_rounds: u32,
    salt: String,
    hash: String,
}

impl Phpass {
    /// What follows `$P$`, `$H$` or `$S$`.
    pub(super) fn read(id: &str, rest: &str) -> Result<Self, Problem> {
        let is_512 = id == "S";
        let letters = if is_512 { 52 } else { 31 };
        if !parts::is_crypt_text(rest, letters) {
            return Err(Problem::malformed(format!(
                "a hash of phpass with `${id}$` has {letters} letters after its name"
            )));
        }
        let log_rounds = rest.bytes().next().and_then(parts::crypt_value).filter(|rounds| (7..=30).contains(rounds));
        let log_rounds =
            log_rounds.ok_or_else(|| Problem::malformed("the rounds of this phpass hash are out of range"))?;
        let (salt, hash) = rest[1..].split_at(8);
        Ok(Self { is_512, of_md5: false, log_rounds, salt: salt.to_owned(), hash: hash.to_owned() })
    }

    /// `S$…` after `U$`.
    pub(super) fn raised(rest: &str) -> Result<Self, Problem> {
        match rest.split_once('$') {
            Some((id @ ("P" | "H" | "S"), rest)) => Ok(Self { of_md5: true, ..Self::read(id, rest)? }),
            _ => Err(Problem::malformed("`U$` is followed by `S$`, `P$` or `H$`, as Drupal writes it")),
        }
    }

    pub(super) fn cost(&self, password_bytes: usize) -> Cost {
        let password_bytes = if self.of_md5 { 32 } else { password_bytes };
        let algorithm = if self.is_512 { digest::Algorithm::Sha512 } else { digest::Algorithm::Md5 };
        Cost::of_rounds(1 << self.log_rounds, algorithm.nanos(algorithm.bytes() + password_bytes))
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let digest = Zeroizing::new(hex::encode(Md5::digest(password)));
        let password = if self.of_md5 { digest.as_bytes() } else { password };
        let made = if self.is_512 { self.rounds::<Sha512>(password) } else { self.rounds::<Md5>(password) };
        let mut text = Vec::with_capacity(88);
        for bytes in made.chunks(3) {
            let value = bytes.iter().rev().fold(0_u32, |value, byte| (value << 8) | u32::from(*byte));
            parts::push_crypt(&mut text, value, bytes.len() + 1);
        }
        // Drupal's column has 55 letters.
        text.truncate(self.hash.len());
        same(&text, self.hash.as_bytes())
    }

    fn rounds<D: Digest>(&self, password: &[u8]) -> Vec<u8> {
        let mut made = D::new().chain_update(&self.salt).chain_update(password).finalize();
        for _ in 0..1_u64 << self.log_rounds {
            made = D::new().chain_update(&made).chain_update(password).finalize();
        }
        made.to_vec()
    }
}
