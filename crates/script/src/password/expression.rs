//! How a digest is put together, as people write it: `md5(md5(password)+salt)`.
//!
//! Words: `password` (or `p`), `salt`, and in rounds after the first `digest`, which is the digest before. Texts stand in quotes.
//! `md5`, `sha1`, `sha256`, `sha384` and `sha512` give hex in lower case, as PHP does, and bytes with `_raw` behind the name;
//! `hmac_sha256(key, text)` and its like, too. `hex`, `base64`, `lower`, `upper` and `utf16le` change what is in them.

mod read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use crate::password::digest::Algorithm;

pub(super) use read::read;

type Bytes = Zeroizing<Vec<u8>>;

/// What a digest is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    Password,
    Salt,
    /// The digest of the round before.
    Previous,
    Text(Vec<u8>),
    Join(Vec<Expression>),
    Digest(Algorithm, Box<Expression>),
    Hmac(Algorithm, Box<[Expression; 2]>),
    Written(Writing, Box<Expression>),
}

/// What is made of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    Hex,
    Base64,
    Lower,
    Upper,
    /// Two bytes a letter, as Windows has text.
    Utf16,
}

/// What stands for the words.
pub(super) struct Inputs<'a> {
    pub(super) password: &'a [u8],
    pub(super) salt: &'a [u8],
    pub(super) previous: &'a [u8],
}

impl Expression {
    /// The digest of pieces, one after the other.
    pub(super) fn digest(algorithm: Algorithm, mut pieces: Vec<Self>) -> Self {
        let of = if pieces.len() == 1 { pieces.remove(0) } else { Self::Join(pieces) };
        Self::Digest(algorithm, Box::new(of))
    }

    /// A digest as bytes instead of hex, as it is compared. All else stays.
    pub(super) fn bare_digest(self) -> Self {
        match self {
            Self::Written(Writing::Hex, inner) if inner.algorithm().is_some() => *inner,
            other => other,
        }
    }

    /// The algorithm of the digest that it is as a whole.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::Digest(algorithm, _) | Self::Hmac(algorithm, _) => Some(*algorithm),
            _ => None,
        }
    }

    /// Whether `wanted` is in it.
    pub(super) fn has(&self, wanted: &Self) -> bool {
        self == wanted
            || match self {
                Self::Join(all) => all.iter().any(|one| one.has(wanted)),
                Self::Digest(_, of) | Self::Written(_, of) => of.has(wanted),
                Self::Hmac(_, of) => of.iter().any(|one| one.has(wanted)),
                _ => false,
            }
    }

    pub(super) fn value(&self, inputs: &Inputs<'_>) -> Bytes {
        match self {
            Self::Password => Zeroizing::new(inputs.password.to_vec()),
            Self::Salt => Zeroizing::new(inputs.salt.to_vec()),
            Self::Previous => Zeroizing::new(inputs.previous.to_vec()),
            Self::Text(text) => Zeroizing::new(text.clone()),
            Self::Join(all) => {
                let values: Vec<Bytes> = all.iter().map(|one| one.value(inputs)).collect();
                let mut joined = Zeroizing::new(Vec::with_capacity(values.iter().map(|value| value.len()).sum()));
                values.iter().for_each(|value| joined.extend_from_slice(value));
                joined
            }
            Self::Digest(algorithm, of) => algorithm.of(&of.value(inputs)),
            Self::Hmac(algorithm, of) => hmac(*algorithm, &of[0].value(inputs), &of[1].value(inputs)),
            Self::Written(writing, of) => writing.of(&of.value(inputs)),
        }
    }

    /// An estimate of what computing it takes.
    pub(super) fn nanos(&self, password: usize, salt: usize) -> u64 {
        self.size(password, salt).1
    }

    /// Bytes that come out, and what they take.
    fn size(&self, password: usize, salt: usize) -> (usize, u64) {
        let of = |inner: &Self| inner.size(password, salt);
        match self {
            Self::Password => (password, 10),
            Self::Salt => (salt, 10),
            Self::Previous => (64, 10),
            Self::Text(text) => (text.len(), 10),
            Self::Join(all) => all.iter().map(of).fold((0, 20), |sum, one| (sum.0 + one.0, sum.1 + one.1)),
            Self::Digest(algorithm, inner) => {
                let (bytes, nanos) = of(inner);
                (algorithm.bytes(), nanos + algorithm.nanos(bytes))
            }
            Self::Hmac(algorithm, inner) => {
                let ([key, text], block) = (inner.each_ref().map(of), 128);
                (algorithm.bytes(), key.1 + text.1 + 4 * algorithm.nanos(block) + algorithm.nanos(text.0))
            }
            Self::Written(_, inner) => {
                let (bytes, nanos) = of(inner);
                (2 * bytes, nanos + 10 * bytes as u64)
            }
        }
    }
}

impl Writing {
    fn of(self, bytes: &[u8]) -> Bytes {
        let text = |bytes: &[u8]| Zeroizing::new(String::from_utf8_lossy(bytes).into_owned());
        Zeroizing::new(match self {
            Self::Hex => hex::encode(bytes).into_bytes(),
            Self::Base64 => STANDARD.encode(bytes).into_bytes(),
            Self::Lower => text(bytes).to_lowercase().into_bytes(),
            Self::Upper => text(bytes).to_uppercase().into_bytes(),
            Self::Utf16 => text(bytes).encode_utf16().flat_map(u16::to_le_bytes).collect(),
        })
    }
}

fn hmac(algorithm: Algorithm, key: &[u8], text: &[u8]) -> Bytes {
    macro_rules! made {
        ($digest:ty) => {{
            let mut mac = Hmac::<$digest>::new_from_slice(key).expect("HMAC takes keys of every length");
            mac.update(text);
            Zeroizing::new(mac.finalize().into_bytes().to_vec())
        }};
    }
    match algorithm {
        Algorithm::Md5 => made!(Md5),
        Algorithm::Sha1 => made!(Sha1),
        Algorithm::Sha256 => made!(Sha256),
        Algorithm::Sha384 => made!(Sha384),
        Algorithm::Sha512 => made!(Sha512),
    }
}
