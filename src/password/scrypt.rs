//! scrypt (RFC 7914) as passlib, Django and Werkzeug write it.

use crate::password::{Cost, Problem, parts, same};

/// What mixing one byte of the memory takes, both ways.
const NANOS_PER_BYTE: u64 = 3;

#[derive(Clone, Debug)]
pub(super) struct Scrypt {
    log_n: u8,
    r: u32,
    p: u32,
    salt: Vec<u8>,
    key: Vec<u8>,
}

impl Scrypt {
    /// `ln=16,r=8,p=1$salt$key`, both in base64.
    pub(super) fn passlib(rest: &str) -> Result<Self, Problem> {
        let [settings, salt, key] = parts::split(rest)?;
        let wrong = || Problem::malformed("the settings of scrypt are written `ln=16,r=8,p=1`");
        let [log_n, r, p] = settings.split(',').collect::<Vec<_>>()[..] else { return Err(wrong()) };
        let value = |text: &str, name: &str| {
            parts::small_number(text.strip_prefix(name).ok_or_else(wrong)?, "a setting of scrypt")
        };
        let log_n = value(log_n, "ln=")?;
        let (salt, key) = (parts::base64(salt, "the salt")?, parts::base64(key, "the hash itself")?);
        Self::new(log_n, value(r, "r=")?, value(p, "p=")?, salt, parts::key(key, 32..=32)?)
    }

    /// `N$salt$r$p$key` after `scrypt$`: the salt comes second; it is taken as it is, the key is base64.
    pub(super) fn django(rest: &str) -> Result<Self, Problem> {
        let [n, salt, r, p, key] = parts::split::<5>(rest)?;
        let (salt, key) = (salt.into(), parts::base64(key, "the hash itself")?);
        Self::new(log_2(n)?, setting(r)?, setting(p)?, salt, parts::key(key, 64..=64)?)
    }

    /// `salt$key` after `scrypt:N:r:p$`, the salt as it is, the key in hex.
    pub(super) fn werkzeug([n, r, p]: [&str; 3], rest: &str) -> Result<Self, Problem> {
        let [salt, key] = parts::split(rest)?;
        let (salt, key) = (salt.into(), parts::hex(key, "the hash itself")?);
        Self::new(log_2(n)?, setting(r)?, setting(p)?, salt, parts::key(key, 64..=64)?)
    }

    fn new(log_n: u32, r: u32, p: u32, salt: Vec<u8>, key: Vec<u8>) -> Result<Self, Problem> {
        let log_n = u8::try_from(log_n).map_err(|_| refused())?;
        ::scrypt::Params::new(log_n, r, p).map_err(|_| refused())?;
        Ok(Self { log_n, r, p, salt, key })
    }

    pub(super) fn cost(&self) -> Cost {
        let of_n = (128 * u64::from(self.r)).saturating_mul(1 << self.log_n.min(40));
        let of_p = (128 * u64::from(self.r)).saturating_mul(u64::from(self.p));
        Cost {
            nanos: of_n.saturating_mul(u64::from(self.p)).saturating_mul(NANOS_PER_BYTE),
            memory_bytes: of_n.saturating_add(of_p),
        }
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let mut made = vec![0; self.key.len()];
        let done = ::scrypt::Params::new(self.log_n, self.r, self.p)
            .is_ok_and(|settings| ::scrypt::scrypt(password, &self.salt, &settings, &mut made).is_ok());
        done && same(&made, &self.key)
    }
}

fn setting(text: &str) -> Result<u32, Problem> {
    parts::small_number(text, "a setting of scrypt")
}

fn log_2(n: &str) -> Result<u32, Problem> {
    let n = parts::number(n, "the N of scrypt")?;
    if n.is_power_of_two() { Ok(n.trailing_zeros()) } else { Err(refused()) }
}

fn refused() -> Problem {
    Problem::malformed("these settings of scrypt are not possible: N is a power of two, r and p are at least 1")
}
