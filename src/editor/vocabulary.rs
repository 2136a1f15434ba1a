//! What a file may name, from the registration table: the prelude, and what its hook brings.

use std::collections::BTreeSet;

use crate::editor::outline::Outline;
use hookgate_engine::harness;
use hookgate_hooks::Hook;
use hookgate_script::compile::is_test;
use hookgate_script::library::{Effect, Entry, Finished, Kind};
use hookgate_script::prelude;
use hookgate_script::shape::Shape;
use hookgate_script::standard::{Builtin, builtins};

/// The rows of the table that a file may use.
pub(super) struct Vocabulary {
    entries: Vec<&'static Entry>,
    /// The hooks of the file; all of them for a file that hooks share.
    pub(super) hooks: Vec<&'static Hook>,
}

/// The libraries of a file; tests have one more.
fn libraries(hooks: &[&'static Hook], test: bool) -> Vec<&'static Finished> {
    let testing = test.then(harness::library);
    std::iter::once(prelude::library()).chain(testing).chain(hooks.iter().map(|hook| hook.library())).collect()
}

impl Vocabulary {
    /// Of a file for these hooks; without any, what its entry function tells, else of all hooks.
    pub(super) fn of(name: &str, routed: &[&'static Hook], outline: &Outline) -> Self {
        let has_entry = |hook: &&'static Hook| outline.function(hook.entry).is_some();
        let mut hooks = routed.to_vec();
        if hooks.is_empty() {
            hooks = hookgate_hooks::HOOKS.iter().filter(has_entry).collect();
        }
        if hooks.is_empty() {
            hooks = hookgate_hooks::HOOKS.iter().collect();
        }
        let mut seen = BTreeSet::new();
        let all = libraries(&hooks, is_test(name)).into_iter().flat_map(|library| &library.entries);
        let entries = all.filter(|entry| seen.insert((entry.signature.to_string(), entry.doc.about))).collect();
        Self { entries, hooks }
    }

    /// Properties and methods of a type.
    pub(super) fn members(&self, receiver: &str) -> impl Iterator<Item = &'static Entry> {
        self.entries
            .iter()
            .copied()
            .filter(move |entry| entry.receiver() == Some(receiver) && entry.kind != Kind::Value)
    }

    /// Properties and methods of every type.
    pub(super) fn all_members(&self) -> impl Iterator<Item = &'static Entry> {
        self.entries.iter().copied().filter(|entry| entry.receiver().is_some())
    }

    /// Functions, commands and constants: what stands without a dot.
    pub(super) fn words(&self) -> impl Iterator<Item = &'static Entry> {
        let plain = |entry: &&'static Entry| matches!(entry.kind, Kind::Function | Kind::Constant);
        self.entries.iter().copied().filter(plain)
    }

    /// The constant of that name.
    pub(super) fn constant(&self, name: &str) -> Option<&'static Entry> {
        self.words().find(|entry| entry.kind == Kind::Constant && entry.name() == name)
    }

    /// The type of that name.
    pub(super) fn value(&self, name: &str) -> Option<&'static Entry> {
        self.entries.iter().copied().find(|entry| entry.kind == Kind::Value && entry.name() == name)
    }

    /// The type of the parameter of an entry function.
    pub(super) fn request_type(&self, function: &str) -> Option<&'static str> {
        self.hooks.iter().find(|hook| hook.entry == function).map(|hook| hook.request)
    }
}

/// The word of our signatures for a plain value that has methods of Rhai's own.
pub(super) fn plain_word(shape: Shape) -> Option<&'static str> {
    match shape {
        Shape::Text => Some("string"),
        Shape::Array(_) => Some("array"),
        Shape::Map => Some("map"),
        _ => None,
    }
}

/// Rhai's own methods of a plain value.
pub(super) fn methods_of(word: &str) -> impl Iterator<Item = &'static Builtin> {
    builtins().iter().filter(move |row| row.receiver == Some(word))
}

/// Whether an entry makes a command.
pub(super) fn is_command(entry: &Entry) -> bool {
    entry.effect == Effect::Command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_function_tells_the_hook() {
        let outline = Outline::of("fn on_token(request) { }");
        let vocabulary = Vocabulary::of("a.rhai", &[], &outline);
        assert_eq!(vocabulary.hooks.len(), 1);
        assert!(vocabulary.constant("id_token").is_some());
        assert!(!vocabulary.words().any(|entry| entry.name() == "deny_field"));
        let shared = Vocabulary::of("lib/a.rhai", &[], &Outline::of("fn help() {}"));
        assert!(shared.words().any(|entry| entry.name() == "deny_field"));
    }
}
