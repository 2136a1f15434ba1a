//! scrypt (RFC 7914) as passlib, Django, Werkzeug, Spring and crypt(3) (`$7$`) write it.

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

    /// After `$7$` a letter for the logarithm of N, five for r, five for p, the salt as it is, `$`, and the key as libxcrypt
    /// writes bytes.
    pub(super) fn crypt(rest: &str) -> Result<Self, Problem> {
        let wrong =
            || Problem::malformed("a hash of scrypt with `$7$` has 11 letters of settings, a salt, `$` and 43 letters");
        let (head, key) = rest.rsplit_once('$').ok_or_else(wrong)?;
        let (settings, salt) = head.split_at_checked(11).ok_or_else(wrong)?;
        let number = |from: usize, to: usize| settings.get(from..to).and_then(parts::crypt_number).ok_or_else(wrong);
        let key = parts::crypt_bytes(key).ok_or_else(wrong)?;
        Self::new(number(0, 1)?, number(1, 6)?, number(6, 11)?, salt.into(), parts::key(key, 32..=32)?)
    }

    /// `params$salt$key` after `$`, as Spring writes it: the logarithm of N, then r and p with eight bits each, in hex.
    pub(super) fn spring(rest: &str) -> Result<Self, Problem> {
        let wrong = || Problem::malformed("a hash of Spring's SCryptPasswordEncoder is written `$e0801$salt$key`");
        let [settings, salt, key] = parts::split(rest.strip_prefix('$').ok_or_else(wrong)?)?;
        let settings = u32::from_str_radix(settings, 16).map_err(|_| wrong())?;
        let (salt, key) = (parts::base64(salt, "the salt")?, parts::base64(key, "the hash itself")?);
        let (r, p) = ((settings >> 8) & 0xff, settings & 0xff);
        Self::new(settings >> 16, r, p, salt, parts::key(key, 32..=64)?)
    }

    pub(super) fn new(log_n: u32, r: u32, p: u32, salt: Vec<u8>, key: Vec<u8>) -> Result<Self, Problem> {
        let log_n = u8::try_from(log_n).map_err(|_| refused())?;
        // The crate compares the product with its limit (RFC 7914 section 2), and does not look whether it fits.
        r.checked_mul(p).ok_or_else(refused)?;
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
        self.derive(password, &mut made) && same(&made, &self.key)
    }

    /// Fills `made` with the key of the password. Whether that worked.
    pub(super) fn derive(&self, password: &[u8], made: &mut [u8]) -> bool {
        ::scrypt::Params::new(self.log_n, self.r, self.p)
            .is_ok_and(|settings| ::scrypt::scrypt(password, &self.salt, &settings, made).is_ok())
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
