//! The value `Secret`: a password or one-time code in a script. It prints `***`, cannot become text and compares in constant time.
//!
//! Hooks make it, scripts only compare it; verifying it against hashes is in [`crate::prelude::verify`].

use std::sync::Arc;

use rhai::ImmutableString;
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::library::{Doc, Library};
use crate::prelude::{Fallible, compared, printed};

/// What a secret shows instead of itself.
pub(crate) const MASK: &str = "***";

/// A secret text; `Secret` in scripts. Wiped from memory when the last clone goes.
#[derive(Clone)]
pub struct Hidden(Arc<Zeroizing<String>>);

impl Hidden {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(text.into())))
    }

    /// The secret itself, for the code that sends or verifies it. Never registered for scripts.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The same in a normal form of Unicode: `NFC`, `NFKC`, or as it is with `none`. One letter can be written in several ways
    /// (`é`, or `e` and an accent), and which one comes depends on the keyboard and the browser.
    ///
    /// # Errors
    /// There is no such form.
    pub(super) fn normalise(&self, form: &str) -> Fallible<Self> {
        let mut text = Zeroizing::new(String::with_capacity(2 * self.0.len()));
        match form {
            "NFC" => text.extend(self.0.nfc()),
            "NFKC" => text.extend(self.0.nfkc()),
            "none" => return Ok(self.clone()),
            _ => return Err(format!("there is no form `{form}`; there are: NFC, NFKC, none").into()),
        }
        Ok(Self(Arc::new(text)))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the secret is `text`; takes the same time wherever they differ (their lengths may be told apart).
    pub(crate) fn is(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(MASK)
    }
}

fn no_text<T>() -> Fallible<T> {
    let text = "a secret cannot become text: compare it with `==`, or ask with it (`verifies`, `http(…).verify`, `ldap(…).bind`)";
    Err(text.into())
}

pub(super) fn register(library: &mut Library) {
    library.value::<Hidden>(
        "Secret",
        "A password or one-time code. Prints `***`, cannot become text or JSON, compares with `==` in constant time. It leaves only \
         where it is meant to go: `http(…).verify` and `ldap(…).bind`.",
    );
    library.property(
        Doc::new("Secret.is_empty: bool", "Whether there is nothing in it.", "!example_secret.is_empty"),
        |secret: &mut Hidden| secret.is_empty(),
    );
    library.function(
        Doc::new(
            "Secret.normalise(form: string) -> Secret",
            "The same in a normal form of Unicode, `\"NFC\"` or `\"NFKC\"`; as it is with `\"none\"`. For systems that normalise a \
             password before they hash it, or got it from a keyboard that writes `é` as one letter where another writes two.",
            r#"example_secret.normalise("NFC") == example_secret"#,
        ),
        |secret: &mut Hidden, form: &str| secret.normalise(form),
    );
    printed::<Hidden>(library, |_| MASK.into());
    compared::<Hidden>(library, |left, right| left.is(right.reveal()), Hidden::is);
    // Rhai joins text and anything else by printing it: a script would go on with `***` as if it were the code.
    library.overload("+", |_: Hidden, _: ImmutableString| no_text::<ImmutableString>());
    library.overload("+", |_: ImmutableString, _: Hidden| no_text::<ImmutableString>());
    library.overload("+=", |_: &mut ImmutableString, _: Hidden| no_text::<()>());
}
