//! Firebase's scrypt: what scrypt makes of the password is a key, with which the project's signer key is encrypted (AES-256 in
//! counter mode); that is the hash. Source: github.com/firebase/scrypt.
//!
//! Written as Supabase does, `$fbscrypt$v=1,n=14,r=8,p=1,ss=…,sk=…$salt$hash`, or Kratos,
//! `$firescrypt$ln=14,r=8,p=1$salt$hash$separator$key`; all in base64. What Firebase exports itself is described:
//! salt and hash of a user, and separator, signer key, `rounds` and `mem_cost` of the project.

use aes::Aes256;
use aes::cipher::{KeyIvInit, StreamCipher};
use ctr::Ctr128BE;
use zeroize::Zeroizing;

use crate::password::scrypt::Scrypt;
use crate::password::{Cost, Problem, parts, same};

/// Of AES-256.
const KEY_BYTES: usize = 32;

#[derive(Clone, Debug)]
pub(super) struct Firebase {
    scrypt: Scrypt,
    hash: Vec<u8>,
    signer_key: Vec<u8>,
}

/// What a project's settings say of all its hashes.
#[derive(Clone, Debug)]
pub struct Project {
    /// In base64, as the console shows them.
    pub(crate) signer_key: String,
    pub(crate) salt_separator: String,
    pub(crate) rounds: u32,
    pub(crate) mem_cost: u32,
}

impl Firebase {
    /// `v=1,n=14,r=8,p=1,ss=Bw==,sk=…$salt$hash` after `$fbscrypt$`.
    pub(super) fn of_supabase(rest: &str) -> Result<Self, Problem> {
        let [settings, salt, hash] = parts::split(rest)?;
        let wrong = || Problem::malformed("the settings of `fbscrypt` are written `v=1,n=14,r=8,p=1,ss=Bw==,sk=…`");
        let [version, n, r, p, separator, key] = settings.split(',').collect::<Vec<_>>()[..] else {
            return Err(wrong());
        };
        let number = |text: &str, name: &str| {
            parts::small_number(text.strip_prefix(name).ok_or_else(wrong)?, "a setting of `fbscrypt`")
        };
        if number(version, "v=")? != 1 {
            return Err(Problem::malformed("`fbscrypt` has the version 1"));
        }
        let settings = [number(n, "n=")?, number(r, "r=")?, number(p, "p=")?];
        let text = |text: &'_ str, name: &str| text.strip_prefix(name).map(str::to_owned).ok_or_else(wrong);
        Self::new(settings, [salt, &text(separator, "ss=")?], hash, &text(key, "sk=")?)
    }

    /// `ln=14,r=8,p=1$salt$hash$separator$key` after `$firescrypt$`.
    pub(super) fn of_kratos(rest: &str) -> Result<Self, Problem> {
        let [settings, salt, hash, separator, key] = parts::split(rest)?;
        let wrong = || Problem::malformed("the settings of `firescrypt` are written `ln=14,r=8,p=1`");
        let [n, r, p] = settings.split(',').collect::<Vec<_>>()[..] else { return Err(wrong()) };
        let number = |text: &str, name: &str| {
            parts::small_number(text.strip_prefix(name).ok_or_else(wrong)?, "a setting of `firescrypt`")
        };
        let settings = [number(n, "ln=")?, number(r, "r=")?, number(p, "p=")?];
        Self::new(settings, [salt, separator], hash, key)
    }

    /// The salt and hash of a user in base64, with the settings of its project.
    pub(super) fn described(salt: &str, hash: &str, project: &Project) -> Result<Self, Problem> {
        let settings = [project.mem_cost, project.rounds, 1];
        Self::new(settings, [salt, &project.salt_separator], hash, &project.signer_key)
    }

    fn new([log_n, r, p]: [u32; 3], salt: [&str; 2], hash: &str, signer_key: &str) -> Result<Self, Problem> {
        let [own, separator] = salt;
        let mut salt = parts::any_base64(own, "the salt")?;
        salt.extend(parts::any_base64(separator, "the salt separator")?);
        let signer_key = parts::key(parts::any_base64(signer_key, "the signer key")?, 16..=256)?;
        let hash = parts::any_base64(hash, "the hash itself")?;
        if hash.len() != signer_key.len() {
            return Err(Problem::malformed("a hash of Firebase is as long as the signer key"));
        }
        // The key of scrypt is made here, and compared with nothing.
        Ok(Self { scrypt: Scrypt::new(log_n, r, p, salt, vec![0; KEY_BYTES])?, hash, signer_key })
    }

    pub(super) fn cost(&self) -> Cost {
        self.scrypt.cost()
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if !self.scrypt.derive(password, key.as_mut_slice()) {
            return false;
        }
        let mut made = self.signer_key.clone();
        Ctr128BE::<Aes256>::new(&(*key).into(), &[0; 16].into()).apply_keystream(&mut made);
        same(&made, &self.hash)
    }
}
