//! Passwords that are stored as they are: Spring's `{noop}`, and `{PLAIN}`. Read only where somebody allowed weak hashes.

use zeroize::Zeroizing;

use crate::password::same;

#[derive(Clone)]
pub(super) struct Plain(Zeroizing<String>);

impl std::fmt::Debug for Plain {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("***")
    }
}

impl Plain {
    pub(super) fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// An empty text is no password.
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        !self.0.is_empty() && same(password, self.0.as_bytes())
    }
}
