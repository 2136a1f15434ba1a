//! Argon2 (RFC 9106): `$argon2id$v=19$m=65536,t=3,p=4$salt$hash`, and argon2i, argon2d, and without `v` the version 16.

use ::argon2::{Algorithm, Params, Version};

use crate::password::{Cost, Problem, parts, same};

/// What filling one KiB takes, once.
const NANOS_PER_KIB: u64 = 1_000;

#[derive(Clone, Debug)]
pub(super) struct Argon2 {
    algorithm: Algorithm,
    version: Version,
    settings: Params,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Argon2 {
    /// `v=19$m=…,t=…,p=…$salt$hash` after `$argon2id$`.
    pub(super) fn read(id: &str, rest: &str) -> Result<Self, Problem> {
        let algorithm = Algorithm::new(id).map_err(|_| Problem::malformed("this kind of argon2 does not exist"))?;
        let (version, rest) = match rest.strip_prefix("v=").and_then(|rest| rest.split_once('$')) {
            Some(("19", rest)) => (Version::V0x13, rest),
            Some(("16", rest)) => (Version::V0x10, rest),
            Some(_) => return Err(Problem::malformed("argon2 has the versions 16 and 19")),
            None => (Version::V0x10, rest),
        };
        let [settings, salt, hash] = parts::split(rest)?;
        let (salt, hash) =
            (parts::base64(salt, "the salt")?, parts::key(parts::base64(hash, "the hash itself")?, 16..=128)?);
        if !(8..=128).contains(&salt.len()) {
            return Err(Problem::malformed("a salt of argon2 has 8 to 128 bytes"));
        }
        Ok(Self { algorithm, version, settings: settings_of(settings, hash.len())?, salt, hash })
    }

    pub(super) fn cost(&self) -> Cost {
        let kib = u64::from(self.settings.m_cost());
        let nanos = kib.saturating_mul(u64::from(self.settings.t_cost())).saturating_mul(NANOS_PER_KIB);
        Cost { nanos, memory_bytes: kib * 1024 }
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let mut made = vec![0; self.hash.len()];
        let argon2 = ::argon2::Argon2::new(self.algorithm, self.version, self.settings.clone());
        argon2.hash_password_into(password, &self.salt, &mut made).is_ok() && same(&made, &self.hash)
    }
}

fn settings_of(text: &str, length: usize) -> Result<Params, Problem> {
    let wrong = || Problem::malformed("the settings of argon2 are written `m=65536,t=3,p=4`");
    let [m, t, p] = text.split(',').collect::<Vec<_>>()[..] else { return Err(wrong()) };
    let value =
        |text: &str, name: &str| parts::small_number(text.strip_prefix(name).ok_or_else(wrong)?, "a setting of argon2");
    let refused = |_| Problem::malformed("these settings of argon2 are not possible");
    Params::new(value(m, "m=")?, value(t, "t=")?, value(p, "p=")?, Some(length)).map_err(refused)
}
