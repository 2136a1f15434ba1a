//! The store of a bundle: where `gateway.toml` says it is, and opened for an operator beside a running gateway.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::cli::Global;
use crate::cli::bundle;
use crate::config;
use crate::config::Config;
use crate::config::store::StoreUrl;
use crate::release::bundle::Place;
use crate::store::sqlite::{OpenError, Sqlite};

/// The file that was named on the command line, else the one of `gateway.toml`.
///
/// # Errors
/// The configuration cannot be read, or names no file.
pub fn file(global: &Global, named: Option<&Path>) -> Result<PathBuf> {
    if let Some(file) = named {
        return Ok(file.to_owned());
    }
    let place = bundle::place(global)?;
    let reading =
        bundle::read(&place).context("the configuration names the store; --store FILE does it without one")?;
    path(&place, &reading.document.config)
}

/// The file of `store.url`; a relative path starts at the folder of the bundle.
///
/// # Errors
/// It is not a file: another kind of store, none, or a variable that is not set.
pub fn path(place: &Place, config: &Config) -> Result<PathBuf> {
    let url = match &config.store.url {
        StoreUrl::Text(text) => text.clone(),
        StoreUrl::Env { env } => config::environment(env)
            .ok_or_else(|| anyhow!("`store.url` is in the variable `{env}`, which is not set"))?,
    };
    // The address may hold a password: no message repeats it.
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        bail!(
            "`store.url` names a PostgreSQL database, and this version keeps events in SQLite only: write `sqlite:FILE`"
        );
    }
    let Some(file) = url.strip_prefix("sqlite:") else {
        bail!("`store.url` is not the address of a store: write `sqlite:FILE`");
    };
    // `sqlite:///var/lib/hookgate.db` is written, too.
    let file = file.strip_prefix("//").unwrap_or(file);
    if file.is_empty() || file.starts_with(":memory:") || file.contains('?') {
        bail!("`store.url` must name a file, without options: `sqlite:data/hookgate.db`");
    }
    // Without the dot of the working directory, which would only be in the way when it is shown.
    Ok(if place.root == Path::new(".") { file.into() } else { place.root.join(file) })
}

/// The store in that file, beside the gateway that may run on it.
///
/// # Errors
/// There is none yet, or it cannot be used.
pub fn attach(file: &Path) -> Result<Sqlite> {
    Sqlite::attach(file).map_err(|error| match error {
        OpenError::Missing(file) => anyhow!(
            "there is no store at `{}` yet: the gateway has not run here (`hookgate serve` makes it)",
            file.display()
        ),
        other => other.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: StoreUrl) -> Result<PathBuf> {
        let mut config = Config::default();
        config.store.url = url;
        path(&Place::of(Path::new("/srv/bundle/gateway.toml")), &config)
    }

    fn text(url: &str) -> Result<PathBuf> {
        of(StoreUrl::Text(url.to_owned()))
    }

    #[test]
    fn a_path_starts_at_the_bundle_unless_it_is_absolute() {
        for (url, file) in [
            ("sqlite:data/hookgate.db", "/srv/bundle/data/hookgate.db"),
            ("sqlite:/var/lib/hookgate.db", "/var/lib/hookgate.db"),
            ("sqlite:///var/lib/hookgate.db", "/var/lib/hookgate.db"),
        ] {
            assert_eq!(text(url).expect("a file"), Path::new(file), "{url}");
        }
    }

    #[test]
    fn what_is_no_file_is_refused_without_repeating_it() {
        for (url, says) in [
            ("postgres://u:secret@h/d", "PostgreSQL"),
            ("postgresql://u:secret@h/d", "PostgreSQL"),
            ("mysql://u:secret@h/d", "not the address"),
            ("sqlite:", "must name a file"),
            ("sqlite::memory:", "must name a file"),
            ("sqlite:a.db?mode=ro&key=secret", "must name a file"),
        ] {
            let problem = text(url).expect_err(url).to_string();
            assert!(problem.contains(says) && !problem.contains("secret"), "{url}: {problem}");
        }
        let problem = of(StoreUrl::Env { env: "HOOKGATE_NO_SUCH_VARIABLE".into() }).expect_err("it is not set");
        assert!(problem.to_string().contains("HOOKGATE_NO_SUCH_VARIABLE"), "{problem}");
    }
}
