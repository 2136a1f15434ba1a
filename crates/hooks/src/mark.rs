//! How a reply points back at what made it.

/// How a reply points back at what made it.
#[derive(Clone, Copy, Debug)]
pub struct Mark<'a> {
    pub decision: &'a str,
    pub release: &'a str,
    pub script: &'a str,
    /// What the script gave with `note(…)`.
    pub note: Option<&'a str>,
    /// Why this is the declared answer and not the script's: a word such as `deadline`.
    pub fallback: Option<&'a str>,
}

impl<'a> Mark<'a> {
    /// The mark of a script's own reply.
    pub const fn new(decision: &'a str, release: &'a str, script: &'a str) -> Self {
        Self { decision, release, script, note: None, fallback: None }
    }

    /// Whether it says more than where the reply comes from.
    pub(crate) fn has_words(&self) -> bool {
        self.note.is_some() || self.fallback.is_some()
    }
}
