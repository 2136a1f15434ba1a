//! Variables of the environment. Nothing else reads them.

/// A variable of the environment; nothing if it is not set, empty or not UTF-8.
#[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
