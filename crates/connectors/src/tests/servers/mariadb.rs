//! MariaDB.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use mysql_async::prelude::Queryable;
use rustix::process::Signal;
use tempfile::TempDir;

use super::{Running, Shared, User, certificate, folder_of, free_port, own, program, run, run_as};

/// A server with TLS, a database `people`, and an `admin` that may do everything.
pub(crate) struct MariaDb {
    folder: TempDir,
    program: PathBuf,
    pub(crate) port: u16,
    running: Mutex<Option<Running>>,
}

impl MariaDb {
    /// One that others use, too: do not stop it.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static SHARED: Shared<MariaDb> = Shared::new();
        SHARED.get(Self::new)
    }

    pub(crate) fn new() -> Option<Self> {
        let program = program(&["/usr/sbin/mariadbd", "/usr/bin/mariadbd"])?;
        let install = super::program(&["/usr/bin/mariadb-install-db"])?;
        let user = User::named("mysql");
        let folder = folder_of(user);
        let mut made = run_as(user, &install);
        made.args([
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        ]);
        made.arg(format!("--datadir={}", folder.path().join("data").display())).current_dir(folder.path());
        // Two at once would take each other's files away.
        made.arg(format!("--tmpdir={}", folder.path().display()));
        run(&mut made);
        certificate(folder.path(), user);
        let first = folder.path().join("first.sql");
        let statements = "CREATE OR REPLACE USER admin@'%' IDENTIFIED BY 'admin';\n\
            GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION;\nCREATE DATABASE IF NOT EXISTS people;\n";
        fs::write(&first, statements).expect("statements");
        own(user, &first);
        let server = Self { folder, program, port: free_port(), running: Mutex::new(None) };
        server.start();
        Some(server)
    }

    pub(crate) fn start(&self) {
        let folder = self.folder.path();
        let mut command = run_as(User::named("mysql"), &self.program);
        command.current_dir(folder).args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"]);
        command.args(["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M"]);
        command.arg(format!("--port={}", self.port));
        for (setting, file) in [
            ("datadir", "data"),
            ("tmpdir", ""),
            ("socket", "socket"),
            ("pid-file", "pid"),
            ("init-file", "first.sql"),
            ("ssl-cert", "cert.pem"),
            ("ssl-key", "key.pem"),
        ] {
            command.arg(format!("--{setting}={}", folder.join(file).display()));
        }
        let running = Running::start(&mut command, &folder.join("log"), self.port, Signal::TERM);
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    }

    pub(crate) fn stop(&self) {
        drop(self.running.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Its certificate.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// Runs statements as `admin`, each of them alone.
    pub(crate) async fn run(&self, statements: &[&str]) {
        let options = mysql_async::OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port)
            .user(Some("admin"))
            .pass(Some("admin"))
            .db_name(Some("people"))
            .prefer_socket(false);
        let mut connection = mysql_async::Conn::new(options).await.expect("let in");
        for statement in statements {
            connection.query_drop(*statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        connection.disconnect().await.expect("an end");
    }
}
