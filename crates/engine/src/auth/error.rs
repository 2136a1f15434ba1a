//! Why a caller was not let in, and why a scheme cannot be set up.
//!
//! Never holds what a caller sent. Names in the messages are those of the configuration.

/// Which part of the caller's proof was wrong. `Display` is for the operator; the caller hears only that it was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("header `{header}` is absent")]
    HeaderAbsent { header: String },
    #[error("header `{header}` is there but empty")]
    HeaderEmpty { header: String },
    #[error("header `{header}` is there more than once")]
    HeaderRepeated { header: String },
    /// Nothing else is wrong: the usual first mistake in Okta's console.
    #[error("the value is right but for the scheme word, write `{word} ` before it where the caller is configured")]
    SchemeWordMissing { word: &'static str },
    #[error("the value is right but for the scheme word `{word}` before it, write the word into our secret too")]
    SchemeWordExtra { word: &'static str },
    #[error("the value of `authorization` does not begin with `{word} `")]
    OtherSchemeWord { word: &'static str },
    #[error("the value is none of our secrets")]
    UnknownSecret,
    #[error("what follows `Basic ` is not base64")]
    NotBase64,
    #[error("what follows `Basic ` decodes to something without a `:` between user and password")]
    NotUserPassword,
    #[error("the token is malformed: {part}")]
    TokenMalformed { part: &'static str },
    #[error("the token's algorithm is not one that we allow")]
    AlgorithmNotAllowed,
    #[error("the token's key is not among the keys of {keys}")]
    UnknownKey { keys: String },
    #[error("the keys of {keys} are not available")]
    KeysUnavailable { keys: String },
    #[error("the token's signature is wrong")]
    BadSignature,
    #[error("the token expired {seconds} s ago")]
    Expired { seconds: u64 },
    #[error("the token is not valid before {seconds} s from now")]
    NotYetValid { seconds: u64 },
    #[error("the token has no `exp`, and its `iat` is {seconds} s ago, longer than such tokens are good")]
    TooOld { seconds: u64 },
    #[error("the token has neither `exp` nor `iat`, so nothing says how old it is")]
    Undated,
    #[error("the token was issued {seconds} s from now, as its `iat` says")]
    IssuedInTheFuture { seconds: u64 },
    #[error("the token's `typ` is not `{expected}`")]
    WrongType { expected: String },
    #[error("the call has no token in its body")]
    NoToken,
    #[error("the token's issuer is not `{expected}`")]
    WrongIssuer { expected: String },
    #[error("the token is for another audience than `{expected}`")]
    WrongAudience { expected: String },
    /// The audience is the address of the route, because the configuration names none.
    #[error("the token is for another audience than `{public_url}` followed by the path of this route")]
    OtherAddress { public_url: String },
    #[error("the token is of another client than `{expected}`")]
    WrongClient { expected: String },
    #[error("the token lacks the scope `{scope}`")]
    MissingScope { scope: String },
    #[error("there is no client certificate")]
    NoClientCertificate,
    #[error("the client certificate is none of those listed")]
    CertificateNotListed,
    #[error("the header `{header}` is not a number of seconds since 1970")]
    TimestampMalformed { header: String },
    #[error("the call was sent {seconds} s ago, longer than `tolerance_s` allows")]
    SentTooLongAgo { seconds: u64 },
    #[error("the call was sent {seconds} s from now, more than `tolerance_s` allows")]
    SentInTheFuture { seconds: u64 },
    #[error("the header `{header}` has a dot, which ends the id in what is signed")]
    DotInId { header: String },
    #[error("the header `{header}` has no signature of version `v1`")]
    NoSignature { header: String },
    #[error("the `v1` signature is not base64 of 32 bytes")]
    SignatureMalformed,
    #[error("no signature is that of one of our secrets over this id, time and body")]
    WrongSignature,
    /// Not a refusal of what the caller sent.
    #[error("the proof is in the body, and the body was not read")]
    BodyNotRead,
}

impl AuthError {
    /// A short word that never changes, for metrics.
    pub(crate) fn reason(&self) -> &'static str {
        self.row().0
    }

    /// How far the proof came; of several schemes, the one with the most is reported.
    pub(super) fn progress(&self) -> u8 {
        self.row().1
    }

    fn row(&self) -> (&'static str, u8) {
        match self {
            Self::HeaderAbsent { .. } => ("header_absent", 0),
            Self::NoClientCertificate => ("no_client_certificate", 0),
            Self::HeaderEmpty { .. } => ("header_empty", 1),
            Self::HeaderRepeated { .. } => ("header_repeated", 2),
            Self::OtherSchemeWord { .. } => ("other_scheme_word", 3),
            Self::UnknownSecret => ("unknown_secret", 4),
            Self::NotBase64 => ("not_base64", 5),
            Self::NotUserPassword => ("not_user_password", 6),
            Self::CertificateNotListed => ("certificate_not_listed", 6),
            Self::TokenMalformed { .. } => ("token_malformed", 6),
            Self::TimestampMalformed { .. } => ("timestamp_malformed", 6),
            Self::DotInId { .. } => ("dot_in_id", 6),
            Self::NoSignature { .. } => ("no_signature", 6),
            Self::SignatureMalformed => ("signature_malformed", 6),
            Self::SentTooLongAgo { .. } => ("sent_too_long_ago", 8),
            Self::SentInTheFuture { .. } => ("sent_in_future", 8),
            Self::WrongSignature => ("wrong_signature", 9),
            Self::BodyNotRead => ("body_not_read", 16),
            Self::AlgorithmNotAllowed => ("algorithm_not_allowed", 7),
            Self::KeysUnavailable { .. } => ("keys_unavailable", 8),
            Self::UnknownKey { .. } => ("unknown_key", 8),
            Self::BadSignature => ("bad_signature", 9),
            Self::Expired { .. } => ("expired", 10),
            Self::NotYetValid { .. } => ("not_yet_valid", 10),
            Self::WrongIssuer { .. } => ("wrong_issuer", 7),
            Self::TooOld { .. } => ("too_old", 10),
            Self::Undated => ("undated", 10),
            Self::IssuedInTheFuture { .. } => ("issued_in_future", 10),
            Self::WrongType { .. } => ("wrong_type", 7),
            Self::NoToken => ("no_token", 1),
            Self::OtherAddress { .. } => ("wrong_audience", 12),
            Self::WrongAudience { .. } => ("wrong_audience", 12),
            Self::WrongClient { .. } => ("wrong_client", 13),
            Self::MissingScope { .. } => ("missing_scope", 14),
            Self::SchemeWordMissing { .. } => ("scheme_word_missing", 15),
            Self::SchemeWordExtra { .. } => ("scheme_word_extra", 15),
        }
    }
}

/// Why a scheme cannot be set up as configured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error("`{name}` is not a header name")]
    HeaderName { name: String },
    #[error("secret `{label}` {why}")]
    Secret { label: String, why: String },
    #[error("a token must have an issuer to come from, name it")]
    NoIssuer,
    #[error("a token must be meant for us, name at least one audience")]
    NoAudience,
    #[error("algorithm `{name}` is not allowed, allowed are {}", super::jwt::algorithm_names())]
    Algorithm { name: String },
    #[error("`{url}` is no place to fetch keys from, give an `https://` address")]
    KeysUrl { url: String },
    #[error("the keys of {keys} cannot be used: {why}")]
    Keys { keys: String, why: String },
    #[error("no certificate is listed, name at least one")]
    NoPin,
    #[error("`{text}` is not a SHA-256 fingerprint of 64 hexadecimal digits")]
    Fingerprint { text: String },
}
