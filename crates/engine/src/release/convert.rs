//! From the words of the configuration to those of hooks, scripts and tables.

use std::sync::LazyLock;
use std::time::Duration;

use crate::config;
use crate::config::Config;
use crate::release::outside;
use hookgate_connectors::Retry;
use hookgate_connectors::log;
use hookgate_hooks::{Declared, Hook};
use hookgate_script::budget::Limits;
use hookgate_script::table::Kind;

/// What a configuration may name in this build.
pub(super) fn known() -> &'static config::Known {
    static KNOWN: LazyLock<config::Known> = LazyLock::new(|| {
        let forms = |hook: &Hook| -> &'static [config::FailureForm] {
            let form = |form: &hookgate_hooks::FailureForm| match form.takes_text {
                true => config::FailureForm::Text(form.word),
                false => config::FailureForm::Word(form.word),
            };
            hook.on_failure().iter().map(form).collect::<Vec<_>>().leak()
        };
        let facts = |hook: &Hook| config::HookFacts {
            name: hook.name,
            on_failure: forms(hook),
            silence: hook.silence,
            is_event: hook.is_for_events(),
            provider: hook.caller.provider,
            patience_ms: hook.caller.patience_ms,
            log: hook.caller.log.and_then(log::kind),
            latest_ms: hook.caller.latest_ms,
            needs_secret: hook.caller.needs_secret,
            has_tokens: hook.caller.has_tokens,
            proof: hook.proof,
            token_place: hook.token.place,
            event_types: hook.catalogue().types().map(|kind| (kind.name, kind.eligible)).collect::<Vec<_>>().leak(),
            event_types_of: hook.catalogue().source(),
        };
        config::Known::new(hookgate_hooks::HOOKS.iter().map(facts).collect(), &outside::facts())
    });
    &KNOWN
}

pub(super) fn declared(hook: &Hook, written: &config::routes::OnFailure) -> Option<Declared> {
    match written {
        config::routes::OnFailure::Word(word) => hook.declared(word, None),
        config::routes::OnFailure::WithText(words) => match words.iter().next() {
            Some((word, text)) if words.len() == 1 => hook.declared(word, Some(text)),
            _ => None,
        },
    }
}

/// The limits of a route, and what its rules start from. A hook whose provider waits less than most has its own deadline, unless
/// the route states one.
pub(super) fn limits_of(config: &Config, hook: &Hook, route: &config::routes::Route) -> config::limits::Limits {
    let mut limits = config.limits.with(&route.limits);
    if let (Some(most), None) = (hook.as_inline().and_then(|row| row.deadline_ms), route.limits.deadline_ms) {
        limits.deadline_ms = limits.deadline_ms.min(most);
    }
    limits
}

pub(super) fn own_limits(limits: &config::limits::Limits) -> Limits {
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Limits {
        deadline_ms: limits.deadline_ms,
        operations: limits.operations,
        max_string_bytes: size(limits.max_string_bytes),
        max_array_items: size(limits.max_array_items),
        max_map_items: size(limits.max_map_items),
        memory_bytes: size(limits.memory_bytes),
        call_depth: limits.call_depth as usize,
        concurrent: limits.concurrent as usize,
        password_ms: limits.password_ms,
        password_memory_bytes: limits.password_memory_bytes,
    }
}

pub(super) fn table_kind(kind: config::tables::TableKind) -> Kind {
    match kind {
        config::tables::TableKind::Domains => Kind::Domains,
        config::tables::TableKind::Lines => Kind::Lines,
        config::tables::TableKind::Csv => Kind::Csv,
        config::tables::TableKind::Json => Kind::Json,
        config::tables::TableKind::Toml => Kind::Toml,
    }
}

pub(super) fn retry_of(retry: &config::retry::Retry) -> Retry {
    Retry {
        attempts: retry.attempts,
        first: Duration::from_millis(retry.first_ms),
        most: Duration::from_millis(retry.most_ms),
        give_up: Duration::from_secs(retry.give_up_s),
    }
}
