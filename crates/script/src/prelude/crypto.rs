//! Hashes, message codes and encodings of text. Verifying passwords is in [`crate::prelude::verify`].

use base64::Engine as _;
use base64::alphabet::{STANDARD as STANDARD_ALPHABET, URL_SAFE as URL_SAFE_ALPHABET};
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use rhai::ImmutableString;
use sha2::{Digest, Sha256};

use crate::context;
use crate::context::Context;
use crate::library::{Doc, Library};
use crate::prelude::Fallible;
use crate::prelude::secret::Hidden;

/// Both take what others write: with or without padding.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const ANY_STANDARD: GeneralPurpose = GeneralPurpose::new(&STANDARD_ALPHABET, LENIENT);
const ANY_URL_SAFE: GeneralPurpose = GeneralPurpose::new(&URL_SAFE_ALPHABET, LENIENT);

fn hmac_sha256(key: &str, text: &str) -> Fallible<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(|error| error.to_string())?;
    mac.update(text.as_bytes());
    Ok(hex::encode(mac.finalize().into_bytes()))
}

fn base64_decode(text: &str) -> Fallible<ImmutableString> {
    let url_safe = text.contains(['-', '_']);
    let decoded = if url_safe { ANY_URL_SAFE.decode(text.trim()) } else { ANY_STANDARD.decode(text.trim()) };
    as_text(decoded.map_err(|error| format!("this text is not base64: {error}"))?, "base64")
}

fn hex_decode(text: &str) -> Fallible<ImmutableString> {
    as_text(hex::decode(text.trim()).map_err(|error| format!("this text is not hex: {error}"))?, "hex")
}

fn as_text(bytes: Vec<u8>, what: &str) -> Fallible<ImmutableString> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(_) => Err(format!("this {what} holds bytes that are not UTF-8 text").into()),
    }
}

pub(super) fn register(library: &mut Library) {
    library.function(
        Doc::new(
            "sha256(text: string) -> string",
            "The SHA-256 of the text's UTF-8 bytes, in lower-case hex.",
            r#"sha256("abc").sub_string(0, 16) == "ba7816bf8f01cfea""#,
        ),
        |text: &str| hex::encode(Sha256::digest(text.as_bytes())),
    );
    library.function(
        Doc::new(
            "hmac_sha256(key: string or Secret, text: string) -> string",
            "HMAC with SHA-256, in lower-case hex.",
            r#"hmac_sha256("Jefe", "what do ya want for nothing?").sub_string(0, 16) == "5bdcc146bf60754e""#,
        ),
        hmac_sha256,
    );
    library.overload("hmac_sha256", |key: Hidden, text: &str| hmac_sha256(key.reveal(), text));
    library.function(
        Doc::new("base64(text: string) -> string", "Base64 with padding.", r#"base64("hi?>") == "aGk/Pg==""#),
        |text: &str| STANDARD.encode(text),
    );
    library.function(
        Doc::new(
            "base64url(text: string) -> string",
            "Base64 for URLs, without padding.",
            r#"base64url("hi?>") == "aGk_Pg""#,
        ),
        |text: &str| URL_SAFE_NO_PAD.encode(text),
    );
    library.function(
        Doc::new(
            "base64_decode(text: string) -> string",
            "Reads base64 of either alphabet, with or without padding. What is not base64 of UTF-8 text is an error.",
            r#"base64_decode("aGk_Pg") == "hi?>" && base64_decode("aGk/Pg==") == "hi?>""#,
        ),
        base64_decode,
    );
    library.function(
        Doc::new("hex(text: string) -> string", "The text's UTF-8 bytes in lower-case hex.", r#"hex("hi") == "6869""#),
        |text: &str| hex::encode(text),
    );
    library.function(
        Doc::new(
            "hex_decode(text: string) -> string",
            "Reads hex. What is not hex of UTF-8 text is an error.",
            r#"hex_decode("6869") == "hi""#,
        ),
        hex_decode,
    );
    library.reader(
        Doc::new("uuid() -> string", "A new random UUID (version 4).", "uuid().len() == 36 && uuid() != uuid()"),
        || context::with("uuid", Context::uuid)?,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_hold() {
        // RFC 4231, test case 2.
        let code = hmac_sha256("Jefe", "what do ya want for nothing?").expect("any key will do");
        assert_eq!(code, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn bad_encodings_are_errors() {
        for text in ["%", "a", "/w==", "a-/b"] {
            assert!(base64_decode(text).is_err(), "{text}");
        }
        for text in ["6", "zz", "ff"] {
            assert!(hex_decode(text).is_err(), "{text}");
        }
    }
}
