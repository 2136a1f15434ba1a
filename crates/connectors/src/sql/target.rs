//! Which database: read from its address, and from the password beside it.

use std::path::PathBuf;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::egress::Egress;
use hookgate_model::files::fence::Fence;
use hookgate_model::secret::Secret;

/// A database, and who we are there.
#[derive(Clone)]
pub(super) enum Target {
    Server(Server),
    /// A file of SQLite.
    File(PathBuf),
}

/// A database behind a network.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) engine: Engine,
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) password: Arc<Secret>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Postgres,
    /// MySQL or MariaDB.
    MySql,
}

impl Target {
    /// Reads an address: `postgres://`, `mysql://`, `mariadb://` or `sqlite:`. A file must lie within the fence.
    ///
    /// # Errors
    /// What is wrong with it, for the one who wrote it, and without the address itself: it may hold a password.
    pub(super) fn parse(written: &str, fence: &Fence, egress: &Egress) -> Result<Self, String> {
        let written = written.trim();
        if let Some(path) = written.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err("names no file: `sqlite:legacy.db`".to_owned()),
                path if path.contains('?') => Err("must not have a `?`".to_owned()),
                path => match fence.locate_database(path) {
                    Ok(real) => Ok(Self::File(real)),
                    Err(error) => Err(format!("names a file that cannot be used: {error}")),
                },
            };
        }
        let url = Url::parse(written).map_err(|error| format!("is not an address: {error}"))?;
        let (engine, port) = match url.scheme() {
            "postgres" | "postgresql" => (Engine::Postgres, 5432),
            "mysql" | "mariadb" => (Engine::MySql, 3306),
            _ => return Err("must begin with `postgres://`, `mysql://`, `mariadb://` or `sqlite:`".to_owned()),
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err(
                "must not have a `?` or `#`: the settings say the rest; write `%3F` and `%23` in a password".into()
            );
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| "is not UTF-8");
        let database = decoded(url.path().trim_start_matches('/'))?;
        if url.username().is_empty() || database.is_empty() || database.contains('/') {
            return Err("must name a user and a database: `postgres://USER@HOST/DATABASE`".to_owned());
        }
        let host =
            egress.host(url.host_str().unwrap_or_default()).map_err(|text| format!("names a host that {text}"))?;
        let password: Vec<u8> = percent_decode_str(url.password().unwrap_or_default()).collect();
        Ok(Self::Server(Server {
            engine,
            host,
            port: url.port().unwrap_or(port),
            user: decoded(url.username())?,
            database,
            password: Arc::new(Secret::new(password)),
        }))
    }
}

impl Server {
    /// Whether a connection to the one is as good as one to the other.
    pub(super) fn is(&self, other: &Self) -> bool {
        (self.engine, &self.host, self.port) == (other.engine, &other.host, other.port)
            && (&self.user, &self.database) == (&other.user, &other.database)
            && self.password.matches(other.password.expose())
    }

    pub(super) fn has_password(&self) -> bool {
        !self.password.expose().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(written: &str) -> Result<Server, String> {
        match Target::parse(written, &Fence::default(), &Egress::new(false))? {
            Target::Server(server) => Ok(server),
            Target::File(path) => panic!("{}", path.display()),
        }
    }

    #[test]
    fn an_address_has_its_parts() {
        let server = parsed("postgresql://re%40der:p%2Fw%3F@db.example/people").expect("an address");
        assert_eq!((server.engine, server.port), (Engine::Postgres, 5432));
        assert_eq!((server.user.as_str(), server.database.as_str()), ("re@der", "people"));
        assert_eq!(server.password.expose(), b"p/w?");
        assert_eq!(server.host, Host::Domain("db.example".to_owned()));
        for scheme in ["mysql", "mariadb"] {
            let server = parsed(&format!("{scheme}://reader@db.example:3307/people")).expect("an address");
            assert_eq!((server.engine, server.port, server.has_password()), (Engine::MySql, 3307, false));
        }
    }

    #[test]
    fn a_file_is_one_of_the_bundle() {
        let folder = tempfile::tempdir().expect("a folder");
        let bundle = folder.path().canonicalize().expect("a path").join("bundle");
        std::fs::create_dir_all(bundle.join("data")).expect("a folder");
        std::fs::create_dir_all(bundle.join("secrets")).expect("a folder");
        for file in ["bundle/legacy.db", "bundle/data/legacy.db", "bundle/secrets/x.db", "other.db"] {
            std::fs::write(folder.path().join(file), "").expect("a file");
        }
        std::os::unix::fs::symlink("../other.db", bundle.join("link.db")).expect("a link");
        let fence = Fence::new(&bundle);
        let parse = |written: &str| Target::parse(written, &fence, &Egress::new(false));
        for (written, path) in [
            ("sqlite:legacy.db", "legacy.db"),
            ("sqlite://data/legacy.db", "data/legacy.db"),
            ("sqlite:comes-later.db", "comes-later.db"),
            (&format!("sqlite:{}/legacy.db", bundle.display()), "legacy.db"),
        ] {
            match parse(written) {
                Ok(Target::File(found)) => assert_eq!(found, bundle.join(path), "{written}"),
                Ok(Target::Server(_)) => panic!("{written}"),
                Err(text) => panic!("{written}: {text}"),
            }
        }
        for (written, said) in [
            ("sqlite:../other.db", "outside"),
            ("sqlite:../gone.db", "outside"),
            ("sqlite:///etc/passwd", "outside"),
            ("sqlite:///etc/no-such/legacy.db", "outside"),
            ("sqlite:link.db", "link"),
            ("sqlite:secrets/x.db", "secrets"),
            ("sqlite:data", "folder"),
        ] {
            let problem = parse(written).map(drop).expect_err(written);
            assert!(problem.contains(said), "{written}: {problem}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_address() {
        for (written, said) in [
            ("people", "is not an address"),
            ("oracle://canary:canary@db.example/people", "must begin with"),
            ("postgres://canary:canary@db.example/", "a user and a database"),
            ("postgres://db.example/people", "a user and a database"),
            ("postgres://canary:canary@db.example/people?sslmode=disable", "must not have a `?`"),
            ("postgres://canary:canary@10.1.2.3/people", "private"),
            ("mysql://canary:canary@0x7f.1/people", "private"),
            ("mysql://canary:canary@[::1]/people", "private"),
            ("sqlite:", "names no file"),
            ("sqlite:legacy.db?mode=rwc", "must not have a `?`"),
        ] {
            let problem = Target::parse(written, &Fence::default(), &Egress::new(false)).map(drop);
            let problem = problem.expect_err(written);
            assert!(problem.contains(said) && !problem.contains("canary"), "{written}: {problem}");
        }
    }

    #[test]
    fn another_password_is_another_connection() {
        let one = parsed("postgres://reader:one@db.example/people").expect("an address");
        let two = parsed("postgres://reader:two@db.example/people").expect("an address");
        assert!(one.is(&one.clone()) && !one.is(&two));
    }
}
