//! Digests of salt and password: LDAP's `{SSHA}` and kin, Django's oldest, MySQL's, and those that somebody describes.
//!
//! What is computed is an [`Expression`], once or in rounds.

use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use crate::password::expression::{Expression, Inputs};
use crate::password::{Cost, Problem, parts, same};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "md5" => Some(Self::Md5),
            "sha1" => Some(Self::Sha1),
            "sha256" => Some(Self::Sha256),
            "sha384" => Some(Self::Sha384),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The algorithm whose digests have so many bytes.
    pub(super) fn of_bytes(bytes: usize) -> Option<Self> {
        [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512].into_iter().find(|one| one.bytes() == bytes)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// What one digest of so many bytes takes.
    pub(super) fn nanos(self, bytes: usize) -> u64 {
        match self {
            Self::Md5 => md5_nanos(bytes),
            Self::Sha1 => 200 * blocks(bytes, 64),
            Self::Sha256 => 250 * blocks(bytes, 64),
            Self::Sha384 | Self::Sha512 => 450 * blocks(bytes, 128),
        }
    }

    pub(super) fn of(self, bytes: &[u8]) -> Zeroizing<Vec<u8>> {
        fn made<D: sha2::Digest>(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
            Zeroizing::new(D::digest(bytes).to_vec())
        }
        match self {
            Self::Md5 => made::<Md5>(bytes),
            Self::Sha1 => made::<Sha1>(bytes),
            Self::Sha256 => made::<Sha256>(bytes),
            Self::Sha384 => made::<Sha384>(bytes),
            Self::Sha512 => made::<Sha512>(bytes),
        }
    }
}

/// A digest that is stored.
#[derive(Clone, Debug)]
pub(super) struct Digest {
    expression: Expression,
    /// What is computed in each round after the first, and how many there are in all.
    again: Option<(Expression, u32)>,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Digest {
    /// The hash is what the expression gives in the end.
    pub(super) fn new(expression: Expression, salt: Vec<u8>, hash: Vec<u8>) -> Result<Self, Problem> {
        let algorithm = expression.algorithm().ok_or_else(|| Problem::malformed("what is stored is no digest"))?;
        if hash.len() != algorithm.bytes() {
            let (needs, has) = (algorithm.bytes(), hash.len());
            return Err(Problem::malformed(format!("the hash itself has {has} bytes, this kind has {needs}")));
        }
        Ok(Self { expression, again: None, salt, hash })
    }

    /// The same in so many rounds.
    pub(super) fn repeated(self, again: Expression, rounds: u32) -> Self {
        Self { again: Some((again, rounds)), ..self }
    }

    /// Base64 of the digest and, after it, the salt. `None` if LDAP has no such scheme.
    pub(super) fn ldap(scheme: &str, rest: &str) -> Result<Option<Self>, Problem> {
        let (algorithm, salted) = match scheme {
            "SMD5" => (Algorithm::Md5, true),
            "SHA" | "SHA1" => (Algorithm::Sha1, false),
            "SSHA" => (Algorithm::Sha1, true),
            "SHA256" => (Algorithm::Sha256, false),
            "SSHA256" => (Algorithm::Sha256, true),
            "SHA384" => (Algorithm::Sha384, false),
            "SSHA384" => (Algorithm::Sha384, true),
            "SHA512" => (Algorithm::Sha512, false),
            "SSHA512" => (Algorithm::Sha512, true),
            _ => return Ok(None),
        };
        let mut hash = parts::base64(rest, "the hash")?;
        let at = algorithm.bytes();
        if hash.len() < at || (hash.len() > at) != salted {
            let what = if salted { "a hash and a salt" } else { "a hash" };
            return Err(Problem::malformed(format!("`{{{scheme}}}` is followed by {what} of {at} bytes and more")));
        }
        let salt = hash.split_off(at);
        let pieces = if salted { vec![Expression::Password, Expression::Salt] } else { vec![Expression::Password] };
        Self::new(Expression::digest(algorithm, pieces), salt, hash).map(Some)
    }

    /// A digest of the password alone, in base64 or hex.
    pub(super) fn unsalted_md5(rest: &str) -> Result<Self, Problem> {
        let hash = if rest.len() == 32 { parts::hex(rest, "the hash")? } else { parts::base64(rest, "the hash")? };
        Self::new(Expression::digest(Algorithm::Md5, vec![Expression::Password]), Vec::new(), hash)
    }

    /// Hex of the SHA-1 of the password's SHA-1: MySQL since 4.1.
    pub(super) fn mysql(rest: &str) -> Result<Self, Problem> {
        let inner = Expression::digest(Algorithm::Sha1, vec![Expression::Password]);
        let hash = parts::hex(rest, "the hash")?;
        Self::new(Expression::digest(Algorithm::Sha1, vec![inner]), Vec::new(), hash)
    }

    /// `salt$hex` after `sha1$`.
    pub(super) fn django(algorithm: Algorithm, rest: &str) -> Result<Self, Problem> {
        let [salt, hash] = parts::split(rest)?;
        if salt.is_empty() {
            return Err(Problem::malformed("this hash has no salt"));
        }
        let pieces = vec![Expression::Salt, Expression::Password];
        Self::new(Expression::digest(algorithm, pieces), salt.into(), parts::hex(hash, "the hash itself")?)
    }

    /// Nothing that counts for one round.
    pub(super) fn cost(&self, password_bytes: usize) -> Cost {
        let Some((again, rounds)) = &self.again else { return Cost::default() };
        Cost::of_rounds(u64::from(*rounds), again.nanos(password_bytes, self.salt.len()))
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let mut made = self.expression.value(&Inputs { password, salt: &self.salt, previous: &[] });
        if let Some((again, rounds)) = &self.again {
            for _ in 1..*rounds {
                made = again.value(&Inputs { password, salt: &self.salt, previous: &made });
            }
        }
        same(&made, &self.hash)
    }
}

/// What one MD5 of so many bytes takes.
pub(super) fn md5_nanos(bytes: usize) -> u64 {
    200 * blocks(bytes, 64)
}

/// How many blocks a digest goes through: at least nine bytes are added to what is hashed.
pub(super) fn blocks(bytes: usize, block_bytes: usize) -> u64 {
    let padding = block_bytes / 8 + 1;
    ((bytes + padding).div_ceil(block_bytes)) as u64
}
