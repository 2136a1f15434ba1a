//! The pieces that hashes are written in: numbers, base64 in three alphabets, hex.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::alphabet::{BCRYPT, STANDARD};
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::password::Problem;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const ANY_STANDARD: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
/// The last letter of a salt or hash has bits to spare; some libraries leave rubbish in them.
const OF_BCRYPT: GeneralPurpose = GeneralPurpose::new(&BCRYPT, LENIENT.with_decode_allow_trailing_bits(true));

/// The letters of crypt(3), in the order of their values.
const CRYPT_LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A number written in digits alone.
pub(super) fn number(text: &str, name: &str) -> Result<u64, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| Problem::malformed(format!("{name} is no number")))
}

/// [`number`], for what has at most 32 bits everywhere.
pub(super) fn small_number(text: &str, name: &str) -> Result<u32, Problem> {
    u32::try_from(number(text, name)?).map_err(|_| Problem::malformed(format!("{name} is too large a number")))
}

/// Base64 with or without padding.
pub(super) fn base64(text: &str, name: &str) -> Result<Vec<u8>, Problem> {
    ANY_STANDARD.decode(text).map_err(|_| Problem::malformed(format!("{name} is not base64")))
}

/// Base64 of either alphabet, with or without padding.
pub(super) fn any_base64(text: &str, name: &str) -> Result<Vec<u8>, Problem> {
    base64(&text.replace('-', "+").replace('_', "/"), name)
}

/// Base64 as passlib adapts it: `.` instead of `+`.
pub(super) fn adapted_base64(text: &str, name: &str) -> Result<Vec<u8>, Problem> {
    base64(&text.replace('.', "+"), name)
}

/// Base64 with bcrypt's alphabet.
pub(super) fn bcrypt_base64<const N: usize>(text: &str, name: &str) -> Result<[u8; N], Problem> {
    let bytes = OF_BCRYPT.decode(text).map_err(|_| Problem::malformed(format!("{name} is not base64")))?;
    bytes.try_into().map_err(|_| Problem::malformed(format!("{name} has a wrong length")))
}

/// Hex in either case.
pub(super) fn hex(text: &str, name: &str) -> Result<Vec<u8>, Problem> {
    hex::decode(text).map_err(|_| Problem::malformed(format!("{name} is not hex")))
}

/// The value of one letter of crypt(3).
pub(super) fn crypt_value(letter: u8) -> Option<u32> {
    CRYPT_LETTERS.iter().position(|known| *known == letter).and_then(|value| u32::try_from(value).ok())
}

/// Whether all letters are some of crypt(3), and how many there are.
pub(super) fn is_crypt_text(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|letter| CRYPT_LETTERS.contains(&letter))
}

/// Writes the lowest bits of `value` first, six in a letter.
pub(super) fn push_crypt(text: &mut Vec<u8>, mut value: u32, letters: usize) {
    for _ in 0..letters {
        text.push(CRYPT_LETTERS[value as usize & 63]);
        value >>= 6;
    }
}

/// Bytes as yescrypt writes them: each three of them in four letters, the lowest bits first.
pub(super) fn crypt_bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for letters in text.as_bytes().chunks(4) {
        let mut value = 0;
        for (index, letter) in letters.iter().enumerate() {
            value |= crypt_value(*letter)? << (6 * index);
        }
        let count = letters.len() * 6 / 8;
        // One letter alone is no byte, and bits to spare are zero.
        if count == 0 || value >> (8 * count) != 0 {
            return None;
        }
        bytes.extend_from_slice(&value.to_le_bytes()[..count]);
    }
    Some(bytes)
}

/// A number of 30 bits in five letters, the lowest bits first.
pub(super) fn crypt_number(text: &str) -> Option<u32> {
    let letters = text.bytes().enumerate();
    letters.map(|(index, letter)| Some(crypt_value(letter)? << (6 * index))).sum()
}

/// The parts of `text` between dollar signs, if there are exactly so many.
pub(super) fn split<const N: usize>(text: &str) -> Result<[&str; N], Problem> {
    let parts: Vec<&str> = text.split('$').collect();
    parts
        .try_into()
        .map_err(|_| Problem::malformed(format!("this kind of hash has {N} parts between `$` after its name")))
}

/// A derived key of this length. A key that was cut off is the beginning of the right one: it must not pass for it.
pub(super) fn key(bytes: Vec<u8>, lengths: RangeInclusive<usize>) -> Result<Vec<u8>, Problem> {
    if lengths.contains(&bytes.len()) {
        return Ok(bytes);
    }
    let (has, least) = (bytes.len(), lengths.start());
    Err(Problem::malformed(format!("the hash itself has {has} bytes, this kind has {least}")))
}
