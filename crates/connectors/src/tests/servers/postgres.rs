//! PostgreSQL.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Signal;
use tempfile::TempDir;
use tokio_postgres::NoTls;

use super::{Running, Shared, User, certificate, folder_of, free_port, missing, own, run, run_as};

/// A cluster with TLS, passwords, and an `admin` that may do everything.
pub(crate) struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    pub(crate) port: u16,
    running: Mutex<Option<Running>>,
}

impl Postgres {
    /// One that others use, too: do not stop it.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static SHARED: Shared<Postgres> = Shared::new();
        SHARED.get(Self::new)
    }

    pub(crate) fn new() -> Option<Self> {
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let Some(programs) = versions.map(|version| version.path().join("bin")).find(|bin| bin.join("initdb").exists())
        else {
            missing("postgresql");
            return None;
        };
        let user = User::named("postgres");
        let folder = folder_of(user);
        let word = folder.path().join("password");
        fs::write(&word, "admin").expect("a password");
        own(user, &word);
        let mut initdb = run_as(user, &programs.join("initdb"));
        let data = folder.path().join("data");
        initdb.args([
            "-U",
            "admin",
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ]);
        initdb.arg("--pwfile").arg(&word).arg("-D").arg(&data).current_dir(folder.path());
        run(&mut initdb);
        certificate(folder.path(), user);
        let server = Self { folder, programs, port: free_port(), running: Mutex::new(None) };
        server.start();
        Some(server)
    }

    pub(crate) fn start(&self) {
        let folder = self.folder.path();
        let mut command = run_as(User::named("postgres"), &self.programs.join("postgres"));
        command.current_dir(folder).arg("-D").arg(folder.join("data"));
        for setting in [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", folder.display()),
            "fsync=off".to_owned(),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", folder.join("cert.pem").display()),
            format!("ssl_key_file={}", folder.join("key.pem").display()),
            "max_connections=50".to_owned(),
        ] {
            command.arg("-c").arg(setting);
        }
        let running = Running::start(&mut command, &folder.join("log"), self.port, Signal::INT);
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    }

    pub(crate) fn stop(&self) {
        drop(self.running.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Its certificate.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs statements as `admin`.
    pub(crate) async fn run(&self, statements: &str) {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user("admin").password("admin").dbname("postgres");
        for _ in 0..200 {
            let Ok((client, connection)) = config.connect(NoTls).await else {
                // It listens before it lets anybody in.
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                continue;
            };
            let driver = tokio::spawn(connection);
            let done = client.batch_execute(statements).await;
            driver.abort();
            return done.unwrap_or_else(|error| panic!("{statements}: {error:?}"));
        }
        panic!("nobody is let in: {}", fs::read_to_string(self.folder.path().join("log")).unwrap_or_default());
    }
}
