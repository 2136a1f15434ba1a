//! PBKDF2 (RFC 8018) as Django, passlib, PHC strings, LDAP, Werkzeug, Atlassian, GRUB and Spring write it; ASP.NET Identity has a
//! file of its own.

use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use crate::password::{Cost, Problem, parts, same};

/// The function that is repeated: HMAC with one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prf {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Prf {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "sha1" => Some(Self::Sha1),
            "sha224" => Some(Self::Sha224),
            "sha256" => Some(Self::Sha256),
            "sha384" => Some(Self::Sha384),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// What one round takes: two compressions.
    fn nanos(self) -> u64 {
        match self {
            Self::Sha1 => 350,
            Self::Sha224 | Self::Sha256 => 500,
            Self::Sha384 | Self::Sha512 => 700,
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

    /// What follows `$pbkdf2-sha256$`: a PHC string, which names its settings, or what passlib writes.
    pub(super) fn modular(prf: Prf, rest: &str) -> Result<Self, Problem> {
        if rest.starts_with("i=") || rest.starts_with("l=") { Self::phc(prf, rest) } else { Self::passlib(prf, rest) }
    }

    /// `i=600000,l=32$salt$key`, both in base64. The length is that of the key.
    fn phc(prf: Prf, rest: &str) -> Result<Self, Problem> {
        let [settings, salt, key] = parts::split(rest)?;
        let wrong = || Problem::malformed("the settings of PBKDF2 are written `i=600000,l=32`");
        let (mut rounds, mut length) = (None, None);
        for setting in settings.split(',') {
            let (name, value) = setting.split_once('=').ok_or_else(wrong)?;
            let place = match name {
                "i" => &mut rounds,
                "l" => &mut length,
                _ => return Err(wrong()),
            };
            if place.replace(parts::small_number(value, "a setting of PBKDF2")?).is_some() {
                return Err(wrong());
            }
        }
        let (salt, key) = (parts::adapted_base64(salt, "the salt")?, parts::adapted_base64(key, "the hash itself")?);
        // The beginning of a key is no key: without a length it is that of the digest.
        let length = length.map_or(prf.bytes(), |length| length as usize);
        Self::new(prf, rounds.ok_or_else(wrong)?, salt, parts::key(key, length..=length)?)
    }

    /// After `$p5k2$` rounds in hex, a salt and a key: with 24 bytes of key by Dwayne Litzenberger, whose salt is all before the
    /// key, with 20 by Cryptacular, in base64 for URLs.
    pub(super) fn p5k2(rest: &str) -> Result<Self, Problem> {
        let [written, salt, key] = parts::split(rest)?;
        let hex =
            || u32::from_str_radix(written, 16).map_err(|_| Problem::malformed("the number of rounds is not hex"));
        let rounds = if written.is_empty() { 400 } else { hex()? };
        if key.len() == 32 {
            let salt = format!("$p5k2${written}${salt}").into_bytes();
            return Self::new(
                Prf::Sha1,
                rounds,
                salt,
                parts::key(parts::adapted_base64(key, "the hash itself")?, 24..=24)?,
            );
        }
        let (salt, key) = (parts::any_base64(salt, "the salt")?, parts::any_base64(key, "the hash itself")?);
        Self::new(Prf::Sha1, rounds, salt, parts::key(key, 20..=20)?)
    }

    /// Base64 of 16 bytes of salt and 32 of key after `{PKCS5S2}`, made with 10,000 rounds.
    pub(super) fn atlassian(rest: &str) -> Result<Self, Problem> {
        let mut salt = parts::key(parts::base64(rest, "the hash")?, 48..=48)?;
        let key = salt.split_off(16);
        Self::new(Prf::Sha1, 10_000, salt, key)
    }

    /// `10000.SALT.KEY` after `grub.pbkdf2.sha512.`, both in hex.
    pub(super) fn grub(rest: &str) -> Result<Self, Problem> {
        let [rounds, salt, key] = rest.split('.').collect::<Vec<_>>()[..] else {
            return Err(Problem::malformed("GRUB writes `grub.pbkdf2.sha512.10000.SALT.KEY`"));
        };
        Self::whole(Prf::Sha512, rounds, parts::hex(salt, "the salt")?, parts::hex(key, "the hash itself")?)
    }

    /// Hex of salt and 32 bytes of key, as Spring's Pbkdf2PasswordEncoder writes them.
    pub(super) fn spring(prf: Prf, rounds: u32, salt_bytes: usize, rest: &str) -> Result<Self, Problem> {
        let bytes = parts::hex(rest, "the hash")?;
        let mut salt = parts::key(bytes, salt_bytes + 32..=salt_bytes + 32)?;
        let key = salt.split_off(salt_bytes);
        Self::new(prf, rounds, salt, key)
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
        let prf = Prf::named(prf)
            .ok_or_else(|| Problem::malformed("PBKDF2 is known with sha1, sha224, sha256, sha384 and sha512"))?;
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
            Prf::Sha224 => ::pbkdf2::pbkdf2_hmac::<Sha224>(password, &self.salt, self.rounds, &mut made),
            Prf::Sha256 => ::pbkdf2::pbkdf2_hmac::<Sha256>(password, &self.salt, self.rounds, &mut made),
            Prf::Sha384 => ::pbkdf2::pbkdf2_hmac::<Sha384>(password, &self.salt, self.rounds, &mut made),
            Prf::Sha512 => ::pbkdf2::pbkdf2_hmac::<Sha512>(password, &self.salt, self.rounds, &mut made),
        }
        same(&made, &self.key)
    }
}
