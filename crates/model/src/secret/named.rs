//! Names that secrets have: what an operator's own attributes are called is in no contract.

const PARTS: &[&str] =
    &["password", "passwd", "secret", "token", "passcode", "authorization", "cookie", "apikey", "privatekey"];
const WHOLE: &[&str] = &["pin", "otp", "otpcode"];

/// Whether a member of this name may hold a secret. `accessToken`, `access_token` and `ACCESS-TOKEN` are one name.
pub fn looks_secret(name: &str) -> bool {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    WHOLE.contains(&plain.as_str()) || PARTS.iter().any(|part| plain.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_however_they_are_spelled() {
        for name in
            ["accessToken", "ACCESS-TOKEN", "vault_password", "pin", "OTP", "otp_code", "clientSecret", "Api-Key"]
        {
            assert!(looks_secret(name), "{name}");
        }
        for name in ["email", "pinned", "option", "shopping", "credential", "authentication", "key", ""] {
            assert!(!looks_secret(name), "{name}");
        }
    }
}
