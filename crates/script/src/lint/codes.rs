//! What every code of a finding means: its title, why it matters, a script that has it and one that has not.
//!
//! Data only. The codes of a provider stand next to its hooks ([`crate::lint::advice`]). Pages, `--explain` and SARIF
//! are made from these rows, and a test runs every example.

mod calls;
mod flow;
mod names;
mod parameters;
mod running;
pub mod testing;
mod unused;
mod values;

/// One code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// As findings carry it, and as `allow` comments name it: `script/unknown-function`.
    pub code: &'static str,
    /// One line.
    pub title: &'static str,
    /// Why it matters, in two or three sentences.
    pub why: &'static str,
    /// A whole script that has this finding. The entry function of `good` says for which hook both are; without one they are
    /// tests of [`testing::TESTED`]. Empty where no script can show it.
    pub bad: &'static str,
    /// The same with nothing to complain about.
    pub good: &'static str,
    pub stage: Stage,
}

/// When something is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// By reading the script: `check` and every reload. An `allow` comment can make an exception.
    Read,
    /// By loading the bundle: without it there is nothing that could be checked further, so there are no exceptions.
    Load,
    /// While a call is answered; the caller hears `on_failure`.
    Run,
    /// By running tests.
    Test,
}

impl Stage {
    /// For the pages.
    pub fn about(self) -> &'static str {
        match self {
            Self::Read => "Found when the script is read: by `check`, and at every reload.",
            Self::Load => "Found when the bundle is loaded: by `check`, and at every reload. No comment can allow it.",
            Self::Run => "Found while a call is answered: the caller hears `on_failure`. No comment can allow it.",
            Self::Test => {
                "Found when tests run: by `hookgate test`, and before a release goes live. No comment can allow it."
            }
        }
    }
}

impl Code {
    /// Where the page `lint.md` explains it: headings in Markdown become anchors without their slash.
    pub fn anchor(&self) -> String {
        self.code.replace('/', "")
    }

    /// Whether it is about tests of scripts.
    pub fn is_of_tests(&self) -> bool {
        self.code.starts_with("test/")
    }
}

/// The codes that scripts of every hook can have, in the order of the reference.
pub fn general() -> impl Iterator<Item = &'static Code> {
    let groups = [
        names::CODES,
        calls::CODES,
        flow::CODES,
        values::CODES,
        unused::CODES,
        parameters::CODES,
        running::CODES,
        testing::CODES,
    ];
    groups.into_iter().flatten()
}
