//! Names of places in log lines and in `HOOKGATE_LOG`: `hookgate::gateway`, whichever crate holds `gateway`.
//!
//! Rust names the place of an event after its crate (`hookgate_engine::gateway`). Filters and alerts of users outlive the way
//! in which the code is cut, so they never see that name.

use tracing_subscriber::filter::{ParseError, Targets};

/// Crates whose modules users know without the name of the crate: `hookgate_engine::gateway` is `hookgate::gateway`.
const UNNAMED: [&str; 2] = ["hookgate_engine", "hookgate_model"];

/// Crates whose name is that of a module: `hookgate_store::sqlite` is `hookgate::store::sqlite`.
const NAMED: [&str; 4] = ["hookgate_connectors", "hookgate_hooks", "hookgate_script", "hookgate_store"];

/// The public name of a target, as two pieces, so that nothing is allocated for a log line.
pub(super) fn public_name(target: &str) -> (&'static str, &str) {
    let (root, rest) = target.find("::").map_or((target, ""), |end| target.split_at(end));
    if UNNAMED.contains(&root) {
        ("hookgate", rest)
    } else if NAMED.contains(&root) {
        ("hookgate::", &target["hookgate_".len()..])
    } else {
        ("", target)
    }
}

/// Reads `info,hookgate::gateway=debug`.
///
/// # Errors
/// It is not `level` or `target=level`, comma separated.
pub(super) fn filter(text: &str) -> Result<Targets, ParseError> {
    let directives: Vec<String> = text.split(',').flat_map(directives).collect();
    directives.join(",").parse()
}

/// A directive as written, and the same for each crate that may hold the module it names.
fn directives(written: &str) -> Vec<String> {
    let written = written.trim();
    let mut all = vec![written.to_owned()];
    if let Some(module) = written.strip_prefix("hookgate::") {
        all.extend(UNNAMED.iter().map(|name| format!("{name}::{module}")));
        all.extend(NAMED.iter().filter_map(|name| {
            let rest = module.strip_prefix(name.strip_prefix("hookgate_")?)?;
            rest.starts_with(['=', ':']).then(|| format!("{name}{rest}"))
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::{filter, public_name};

    #[test]
    fn users_see_no_crates() {
        for (target, public) in [
            ("hookgate_engine::gateway::record", "hookgate::gateway::record"),
            ("hookgate_model::secret", "hookgate::secret"),
            ("hookgate_store::sqlite", "hookgate::store::sqlite"),
            ("hookgate_script", "hookgate::script"),
            ("hookgate::cli", "hookgate::cli"),
            ("hyper::proto", "hyper::proto"),
            ("hookgate_enginery::x", "hookgate_enginery::x"),
        ] {
            let (head, tail) = public_name(target);
            assert_eq!(format!("{head}{tail}"), public);
        }
    }

    #[test]
    fn a_filter_names_modules_as_log_lines_do() {
        let targets = filter("warn, hookgate::gateway=debug,hookgate::store=trace,hookgate::cli=info").unwrap();
        for (target, level, passes) in [
            ("hookgate_engine::gateway::record", Level::DEBUG, true),
            ("hookgate_engine::delivery", Level::INFO, false),
            ("hookgate_store::sqlite", Level::TRACE, true),
            ("hookgate::cli::serve", Level::INFO, true),
            ("hyper", Level::WARN, true),
            ("hyper", Level::INFO, false),
        ] {
            assert_eq!(targets.would_enable(target, &level), passes, "{target} at {level}");
        }
        assert!(filter("hookgate=debug").unwrap().would_enable("hookgate_engine::gateway", &Level::DEBUG));
        assert!(filter("hookgate::gateway=loud").is_err());
    }
}
