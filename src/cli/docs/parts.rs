//! What the pages for terminals and the pages of `docs/` share: which registrations belong where, and how they are spelled.

use hookgate_hooks::{FailureForm, Hook};
use hookgate_script::library::{Effect, Entry, Kind};

/// What a hook registers, in the order of registration.
pub(super) struct Parts {
    pub(super) commands: Vec<&'static Entry>,
    pub(super) constants: Vec<&'static Entry>,
    /// Properties and methods of the request.
    pub(super) request: Vec<&'static Entry>,
    /// Every other type, with its properties and methods.
    pub(super) types: Vec<(&'static Entry, Vec<&'static Entry>)>,
}

/// Sorts what a hook registers.
pub(super) fn of(hook: &'static Hook) -> Parts {
    let entries = &hook.library().entries;
    let members = |owner: &str| -> Vec<&'static Entry> {
        entries.iter().filter(|entry| entry.receiver() == Some(owner) && entry.effect != Effect::Command).collect()
    };
    let types = entries.iter().filter(|entry| entry.kind == Kind::Value && entry.name() != hook.request);
    Parts {
        commands: entries.iter().filter(|entry| entry.effect == Effect::Command).collect(),
        constants: entries.iter().filter(|entry| entry.kind == Kind::Constant).collect(),
        request: members(hook.request),
        types: types.map(|entry| (entry, members(entry.name()))).collect(),
    }
}

/// `on_registration(request: RegistrationRequest)`
pub(super) fn entry(hook: &Hook) -> String {
    let parameter = hook.parameter();
    format!("{}({parameter}: {})", hook.entry, hook.request)
}

/// How a test runs a script of the hook.
pub(super) fn run(hook: &Hook) -> &'static str {
    if hook.is_for_events() { "run_event()" } else { "run()" }
}

/// A form of `on_failure` as `gateway.toml` has it.
pub(super) fn failure(form: &FailureForm) -> String {
    if form.takes_text { format!("{{ {} = \"…\" }}", form.word) } else { format!("\"{}\"", form.word) }
}
