//! Everything that has a name in scripts or in their tests, and where it may be used.

use hookgate_engine::harness;
use hookgate_script::library::Entry;
use hookgate_script::prelude;

/// A registration, and where it may be used.
pub(super) struct Named {
    pub(super) entry: &'static Entry,
    pub(super) place: Place,
}

/// Where something may be used.
pub(super) enum Place {
    Everywhere,
    /// In the scripts of these hooks.
    Hooks(Vec<&'static str>),
    /// In tests of scripts.
    Tests,
}

impl Named {
    /// `domain`, `Email.domain`, or `Email` with everything it has.
    pub(super) fn is_meant(&self, name: &str) -> bool {
        match (name.split_once('.'), self.entry.receiver()) {
            (Some((receiver, name)), Some(owner)) => owner.eq_ignore_ascii_case(receiver) && self.entry.name() == name,
            (Some(_), None) => false,
            (None, owner) => self.entry.name() == name || owner == Some(name),
        }
    }

    /// The hooks that have it; none means that no hook is special in this.
    pub(super) fn hooks(&self) -> &[&'static str] {
        match &self.place {
            Place::Hooks(hooks) => hooks,
            Place::Everywhere | Place::Tests => &[],
        }
    }
}

/// Everything, once.
pub(super) fn all() -> Vec<Named> {
    let everywhere = prelude::library().entries.iter().map(|entry| Named { entry, place: Place::Everywhere });
    let tests = harness::library().entries.iter().map(|entry| Named { entry, place: Place::Tests });
    everywhere.chain(of_hooks()).chain(tests).collect()
}

fn of_hooks() -> Vec<Named> {
    let mut all: Vec<(&'static Entry, Vec<&'static str>)> = Vec::new();
    for hook in hookgate_hooks::HOOKS.iter() {
        for entry in &hook.library().entries {
            let same = |known: &Entry| known.signature == entry.signature && known.doc.about == entry.doc.about;
            match all.iter_mut().find(|(known, _)| same(known)) {
                Some((_, hooks)) => hooks.push(hook.name),
                None => all.push((entry, vec![hook.name])),
            }
        }
    }
    all.into_iter().map(|(entry, hooks)| Named { entry, place: Place::Hooks(hooks) }).collect()
}
