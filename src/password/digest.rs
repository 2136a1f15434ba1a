//! Plain digests of salt and password: LDAP's `{SSHA}` and kin, Django's oldest, and those that somebody describes.

use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use crate::password::{Cost, Problem, parts, same};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

impl Algorithm {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "md5" => Some(Self::Md5),
            "sha1" => Some(Self::Sha1),
            "sha256" => Some(Self::Sha256),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn of(self, pieces: &[&[u8]]) -> Vec<u8> {
        fn made<D: sha2::Digest>(pieces: &[&[u8]]) -> Vec<u8> {
            pieces.iter().fold(D::new(), |digest, piece| digest.chain_update(piece)).finalize().to_vec()
        }
        match self {
            Self::Md5 => made::<Md5>(pieces),
            Self::Sha1 => made::<Sha1>(pieces),
            Self::Sha256 => made::<Sha256>(pieces),
            Self::Sha512 => made::<Sha512>(pieces),
        }
    }
}

/// What is digested, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Salt,
    Password,
}

#[derive(Clone, Debug)]
pub(super) struct Digest {
    algorithm: Algorithm,
    pattern: Vec<Piece>,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Digest {
    pub(super) fn new(
        algorithm: Algorithm,
        pattern: Vec<Piece>,
        salt: Vec<u8>,
        hash: Vec<u8>,
    ) -> Result<Self, Problem> {
        if hash.len() != algorithm.bytes() {
            let (needs, has) = (algorithm.bytes(), hash.len());
            return Err(Problem::malformed(format!("the hash itself has {has} bytes, this kind has {needs}")));
        }
        Ok(Self { algorithm, pattern, salt, hash })
    }

    /// Base64 of the digest and, after it, the salt. `None` if LDAP has no such scheme.
    pub(super) fn ldap(scheme: &str, rest: &str) -> Result<Option<Self>, Problem> {
        let (algorithm, salted) = match scheme {
            "SMD5" => (Algorithm::Md5, true),
            "SHA" => (Algorithm::Sha1, false),
            "SSHA" => (Algorithm::Sha1, true),
            "SSHA256" => (Algorithm::Sha256, true),
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
        let pattern = if salted { vec![Piece::Password, Piece::Salt] } else { vec![Piece::Password] };
        Self::new(algorithm, pattern, salt, hash).map(Some)
    }

    /// `salt$hex` after `sha1$`.
    pub(super) fn django(algorithm: Algorithm, rest: &str) -> Result<Self, Problem> {
        let [salt, hash] = parts::split(rest)?;
        if salt.is_empty() {
            return Err(Problem::malformed("this hash has no salt"));
        }
        Self::new(algorithm, vec![Piece::Salt, Piece::Password], salt.into(), parts::hex(hash, "the hash itself")?)
    }

    /// Nothing that counts.
    pub(super) fn cost(&self) -> Cost {
        Cost::default()
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let piece = |piece: &Piece| match piece {
            Piece::Salt => self.salt.as_slice(),
            Piece::Password => password,
        };
        let pieces: Vec<&[u8]> = self.pattern.iter().map(piece).collect();
        same(&self.algorithm.of(&pieces), &self.hash)
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
