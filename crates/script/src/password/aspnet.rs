//! ASP.NET Identity: one base64 text that holds everything, first its version.
//!
//! Version 2: `00`, 16 bytes of salt, 32 of PBKDF2-HMAC-SHA1 with 1000 rounds. Version 3: `01`, then the PRF (0 SHA-1,
//! 1 SHA-256, 2 SHA-512), the rounds and the length of the salt, each 32 bits, most significant first, then salt and key of 32 bytes
//! (source: `PasswordHasher<TUser>` of ASP.NET Core).

use crate::password::pbkdf2::{Pbkdf2, Prf};
use crate::password::{Problem, parts};

/// Of both versions.
const KEY_BYTES: usize = 32;
const V2_BYTES: usize = 1 + 16 + KEY_BYTES;
const V2_ROUNDS: u32 = 1_000;
/// Before the salt of version 3.
const V3_HEADER: usize = 1 + 3 * 4;

/// `None` if the text is nothing of the kind.
pub(super) fn read(text: &str) -> Result<Option<Pbkdf2>, Problem> {
    let Ok(bytes) = parts::base64(text, "the hash") else { return Ok(None) };
    match bytes.first() {
        Some(0) => version_2(&bytes).map(Some),
        Some(1) => version_3(&bytes).map(Some),
        _ => Ok(None),
    }
}

fn version_2(bytes: &[u8]) -> Result<Pbkdf2, Problem> {
    if bytes.len() != V2_BYTES {
        let length = bytes.len();
        let text = format!("a hash of ASP.NET Identity 2 has {V2_BYTES} bytes, this one has {length}");
        return Err(Problem::malformed(text));
    }
    Pbkdf2::new(Prf::Sha1, V2_ROUNDS, bytes[1..17].into(), bytes[17..].into())
}

fn version_3(bytes: &[u8]) -> Result<Pbkdf2, Problem> {
    let cut_off = || Problem::malformed("this hash of ASP.NET Identity 3 is cut off");
    let (header, rest) = bytes.split_at_checked(V3_HEADER).ok_or_else(cut_off)?;
    let field = |index: usize| {
        let at = 1 + 4 * index;
        header[at..at + 4].iter().fold(0_u32, |value, byte| (value << 8) | u32::from(*byte))
    };
    let prf = match field(0) {
        0 => Prf::Sha1,
        1 => Prf::Sha256,
        2 => Prf::Sha512,
        other => return Err(Problem::malformed(format!("ASP.NET Identity 3 has no PRF number {other}"))),
    };
    let salt_bytes = usize::try_from(field(2)).map_err(|_| cut_off())?;
    let (salt, key) = rest.split_at_checked(salt_bytes).ok_or_else(cut_off)?;
    if salt.len() < 16 {
        return Err(Problem::malformed("a salt of ASP.NET Identity 3 has at least 16 bytes"));
    }
    Pbkdf2::new(prf, field(1), salt.into(), parts::key(key.into(), KEY_BYTES..=KEY_BYTES)?)
}
