//! PBKDF2 (RFC 8018) as Django, passlib, LDAP and Werkzeug write it; ASP.NET Identity has a file of its own.

use sha1::Sha1;
use sha2::{Sha256, Sha512};

use crate::password::{Cost, Problem, parts, same};

/// The function that is repeated: HMAC with one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prf {
    Sha1,
    Sha256,
    Sha512,
}

impl Prf {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "sha1" => Some(Self::Sha1),
            "sha256" => Some(Self::Sha256),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// What one round takes: two compressions.
    fn nanos(self) -> u64 {
        match self {
            Self::Sha1 => 350,
            Self::Sha256 => 500,
            Self::Sha512 => 700,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Pbkdf2 {
    prf: Prf,
    rounds: u32,
    salt: Vec<u8>,
    key: Vec<u8>,
}

impl Pbkdf2 {
    pub(super) fn new(prf: Prf, rounds: u32, salt: Vec<u8>, key: Vec<u8>) -> Result<Self, Problem> {
        if rounds == 0 {
            return Err(Problem::malformed("the number of rounds is 0"));
        }
        Ok(Self { prf, rounds, salt, key: parts::key(key, 16..=128)? })
    }

    /// A key as long as what the PRF gives, as all but ASP.NET have it.
    fn whole(prf: Prf, rounds: &str, salt: Vec<u8>, key: Vec<u8>) -> Result<Self, Problem> {
        let rounds = parts::small_number(rounds, "the number of rounds")?;
        Self::new(prf, rounds, salt, parts::key(key, prf.bytes()..=prf.bytes())?)
    }

    /// `1000$salt$key`, both in adapted base64.
    pub(super) fn passlib(prf: Prf, rest: &str) -> Result<Self, Problem> {
        let [rounds, salt, key] = parts::split(rest)?;
        let salt = parts::adapted_base64(salt, "the salt")?;
        Self::whole(prf, rounds, salt, parts::adapted_base64(key, "the hash itself")?)
    }

    /// `1000$salt$key`, the salt as it is, the key in base64.
    pub(super) fn django(prf: Prf, rest: &str) -> Result<Self, Problem> {
        let [rounds, salt, key] = parts::split(rest)?;
        Self::whole(prf, rounds, salt.into(), parts::base64(key, "the hash itself")?)
    }

    /// `salt$key` after `pbkdf2:sha256:1000$`, the salt as it is, the key in hex.
    pub(super) fn werkzeug(prf: &str, rounds: &str, rest: &str) -> Result<Self, Problem> {
        let prf = Prf::named(prf).ok_or_else(|| Problem::malformed("PBKDF2 is known with sha1, sha256 and sha512"))?;
        let [salt, key] = parts::split(rest)?;
        Self::whole(prf, rounds, salt.into(), parts::hex(key, "the hash itself")?)
    }

    pub(super) fn cost(&self) -> Cost {
        // Each block of the key is computed with all rounds.
        let blocks = self.key.len().div_ceil(self.prf.bytes()) as u64;
        Cost::of_rounds(u64::from(self.rounds) * blocks, self.prf.nanos())
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let mut made = vec![0; self.key.len()];
        match self.prf {
            Prf::Sha1 => ::pbkdf2::pbkdf2_hmac::<Sha1>(password, &self.salt, self.rounds, &mut made),
            Prf::Sha256 => ::pbkdf2::pbkdf2_hmac::<Sha256>(password, &self.salt, self.rounds, &mut made),
            Prf::Sha512 => ::pbkdf2::pbkdf2_hmac::<Sha512>(password, &self.salt, self.rounds, &mut made),
        }
        same(&made, &self.key)
    }
}
