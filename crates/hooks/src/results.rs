//! What tests find in `outcome` after each kind of result of a hook: one table for the reference pages, `hookgate docs`, editors
//! and the test that runs every row.

/// A kind of result, and what is true of `outcome` then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultShape {
    pub result: &'static str,
    /// What a test does before it runs the script; often nothing.
    pub before: &'static str,
    /// The body of the entry function.
    pub script: &'static str,
    /// Conditions about `outcome`.
    pub holds: &'static [&'static str],
}

impl ResultShape {
    pub const fn of(result: &'static str, script: &'static str, holds: &'static [&'static str]) -> Self {
        Self { result, before: "", script, holds }
    }

    /// The same after a test did something first.
    #[must_use]
    pub const fn after(self, before: &'static str) -> Self {
        Self { before, ..self }
    }

    /// The conditions about one member of `outcome`.
    pub fn of_member(&self, member: &str) -> impl Iterator<Item = &'static str> {
        let name = |condition: &str| -> Option<String> {
            let after = condition.split_once("outcome.")?.1;
            Some(after.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect())
        };
        self.holds.iter().copied().filter(move |condition| name(condition).is_some_and(|name| name == member))
    }
}
