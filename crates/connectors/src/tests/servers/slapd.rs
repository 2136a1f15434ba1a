//! OpenLDAP.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{Running, Shared, certificate, free_port, program, run};

/// A directory below `dc=example,dc=com` with StartTLS on one port and TLS on the other. It takes a bind without a password
/// for an anonymous one, as many do.
pub(crate) struct Slapd {
    folder: TempDir,
    program: PathBuf,
    pub(crate) port: u16,
    pub(crate) tls_port: u16,
    running: Mutex<Option<Running>>,
}

const ENTRIES: &str = "dn: dc=example,dc=com\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n\
    dn: ou=people,dc=example,dc=com\nobjectClass: organizationalUnit\nou: people\n\n\
    dn: uid=reader,dc=example,dc=com\nobjectClass: account\nobjectClass: simpleSecurityObject\nuid: reader\n\
    userPassword: reader-word\n\n\
    dn: uid=rotating,dc=example,dc=com\nobjectClass: account\nobjectClass: simpleSecurityObject\nuid: rotating\n\
    userPassword: first-word\n\n\
    dn: uid=ann,ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: ann\ncn:: QW5uIE3DvGxsZXI=\nsn: M\u{fc}ller\n\
    mail: ann@example.com\nmail: a.mueller@example.com\njpegPhoto:: /9j/4A==\nuserPassword: ann-word\n\n\
    dn: uid=*)(uid\\3D\\2A,ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: *)(uid=*\ncn: star\nsn: star\n\
    userPassword: star-word\n\n\
    dn: uid=lee\\2C ann\\2Bx,ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: lee, ann+x\ncn: comma\nsn: comma\n\
    userPassword: comma-word\n\n\
    dn: uid=\\23hash,ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: #hash\ncn: hash\nsn: hash\n\
    userPassword: hash-word\n\n\
    dn: uid=bytes,dc=example,dc=com\nobjectClass: account\nobjectClass: simpleSecurityObject\nuid: bytes\n\
    userPassword:: /2NhbmFyef8=\n\n";

impl Slapd {
    /// One that others use, too: do not stop it.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static SHARED: Shared<Slapd> = Shared::new();
        SHARED.get(Self::new)
    }

    pub(crate) fn new() -> Option<Self> {
        let program = program(&["/usr/sbin/slapd", "/usr/lib/openldap/slapd"])?;
        super::program(&["/usr/bin/ldappasswd"])?;
        let folder = tempfile::tempdir().expect("a folder");
        certificate(folder.path(), None);
        let (settings, entries, data) =
            (folder.path().join("slapd.conf"), folder.path().join("entries.ldif"), folder.path().join("data"));
        fs::create_dir(&data).expect("a folder");
        let at = folder.path().display();
        let written = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
            include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
            allow bind_anon_cred\npidfile {at}/pid\nTLSCACertificateFile {at}/cert.pem\n\
            TLSCertificateFile {at}/cert.pem\nTLSCertificateKeyFile {at}/key.pem\n\
            database mdb\nsuffix \"dc=example,dc=com\"\nrootdn \"cn=admin,dc=example,dc=com\"\nrootpw admin-word\n\
            directory {}\nmaxsize 104857600\n",
            data.display()
        );
        fs::write(&settings, written).expect("settings");
        let mut all = ENTRIES.replace("sn: M\u{fc}ller", "sn:: TcO8bGxlcg==");
        for number in 0..300 {
            let _ = write!(
                all,
                "dn: uid=many{number},dc=example,dc=com\nobjectClass: account\nuid: many{number}\n\
                description: {}\n\n",
                "x".repeat(500)
            );
        }
        fs::write(&entries, all).expect("entries");
        // The same program under another name adds entries.
        run(Command::new(&program).args(["-T", "add", "-q", "-f"]).arg(&settings).arg("-l").arg(&entries));
        let server = Self { folder, program, port: free_port(), tls_port: free_port(), running: Mutex::new(None) };
        server.start();
        Some(server)
    }

    pub(crate) fn start(&self) {
        let folder = self.folder.path();
        let mut command = Command::new(&self.program);
        command.arg("-f").arg(folder.join("slapd.conf")).args(["-d", "0", "-h"]);
        command.arg(format!("ldap://127.0.0.1:{}/ ldaps://127.0.0.1:{}/", self.port, self.tls_port));
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

    /// Gives an entry another password.
    pub(crate) fn set_password(&self, dn: &str, password: &str) {
        let mut command = Command::new("/usr/bin/ldappasswd");
        command.args(["-x", "-H", &format!("ldap://127.0.0.1:{}", self.port), "-D", "cn=admin,dc=example,dc=com"]);
        run(command.args(["-w", "admin-word", "-s", password, dn]));
    }
}
