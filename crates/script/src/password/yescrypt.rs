//! yescrypt (`$y$`), the default of Debian, Ubuntu and Fedora: `$y$j9T$salt$hash`, read and computed as libxcrypt does.

use ::yescrypt::{Mode, Params};

use crate::password::{Cost, Problem, parts, same};

/// What mixing one byte of the memory takes, all passes.
const NANOS_PER_BYTE: u64 = 2;
const KEY_BYTES: usize = 32;

#[derive(Clone, Debug)]
pub(super) struct Yescrypt {
    settings: Params,
    salt: Vec<u8>,
    key: Vec<u8>,
}

impl Yescrypt {
    /// `j9T$salt$hash` after `$y$`.
    pub(super) fn read(rest: &str) -> Result<Self, Problem> {
        let [settings, salt, key] = parts::split(rest)?;
        let settings: Params = settings.parse().map_err(|_| unread())?;
        // What raises the time alone cannot be read from the settings; nobody sets it.
        let [n, r, p] = [settings.n(), u64::from(settings.r()), u64::from(settings.p())];
        let known = [Mode::Rw, Mode::Worm, Mode::Classic].into_iter();
        let mut known = known.filter_map(|mode| Params::new(mode, n, settings.r(), settings.p()).ok());
        if !known.any(|known| known == settings) || n < 2 || r * p >= 1 << 30 {
            return Err(unread());
        }
        let salt = parts::crypt_bytes(salt).filter(|salt| salt.len() <= 64);
        let salt = salt.ok_or_else(|| Problem::malformed("the salt of yescrypt cannot be read"))?;
        let key = parts::crypt_bytes(key).ok_or_else(|| Problem::malformed("the hash of yescrypt cannot be read"))?;
        Ok(Self { settings, salt, key: parts::key(key, KEY_BYTES..=KEY_BYTES)? })
    }

    pub(super) fn cost(&self) -> Cost {
        let block = 128 * u64::from(self.settings.r());
        let of_n = block.saturating_mul(self.settings.n());
        let of_p = block.saturating_mul(u64::from(self.settings.p()));
        Cost {
            nanos: of_n.saturating_mul(u64::from(self.settings.p())).saturating_mul(NANOS_PER_BYTE),
            memory_bytes: of_n.saturating_add(of_p),
        }
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let mut made = [0; KEY_BYTES];
        ::yescrypt::yescrypt(password, &self.salt, &self.settings, &mut made).is_ok() && same(&made, &self.key)
    }
}

fn unread() -> Problem {
    Problem::malformed("these settings of yescrypt are not read: those of libxcrypt are (`j9T` and its like)")
}
