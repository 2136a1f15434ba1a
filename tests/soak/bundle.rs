//! The bundle, each file of which carries a version, and what is done to it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::Fallible;

pub const SECRET: &str = "soak-secret-0123456789-0123456789";

pub struct Bundle {
    _folder: TempDir,
    root: PathBuf,
    pub port: u16,
    pub admin: u16,
    store: PathBuf,
    slow: u16,
}

/// What is done to a bundle: its name, and how.
pub type Damage = (&'static str, fn(&Bundle, u64));

/// What a person does by mistake.
pub const BROKEN: &[Damage] = &[
    ("a syntax error", |bundle, version| bundle.put("scripts/main.rhai", &main(version).replace("deny(", "deny(("))),
    ("an unknown function", |bundle, version| {
        bundle.put("scripts/main.rhai", &main(version).replace("deny(", "dney("))
    }),
    ("half a script", |bundle, version| bundle.put("scripts/main.rhai", &main(version)[..60])),
    ("an empty file", |bundle, _| bundle.put("scripts/lib/version.rhai", "")),
    ("half a table", |bundle, version| bundle.put("tables/version.json", &table(version)[..12])),
    ("no table", |bundle, _| fs::remove_file(bundle.path("tables/version.json")).expect("it is there")),
    ("no configuration", |bundle, _| fs::remove_file(bundle.path("gateway.toml")).expect("it is there")),
    ("an unknown key", |bundle, version| {
        bundle.put("gateway.toml", &bundle.toml(version).replace("on_failure", "on_failur"));
    }),
    ("an unset secret", |bundle, version| {
        let text = bundle.toml(version);
        bundle.put(
            "gateway.toml",
            &format!("{text}[auth.more]\nscheme = \"header\"\nsecrets = [{{ env = \"NOT_SET\" }}]\n"),
        );
    }),
    ("a failing test", |bundle, _| bundle.put("scripts/main_test.rhai", "fn test_wrong() { assert_eq(1, 2); }\n")),
];

/// What somebody does who means harm.
pub const HOSTILE: &[Damage] = &[
    ("brackets without end", |bundle, _| {
        bundle.put(
            "scripts/main.rhai",
            &format!("fn on_registration(request) {{ {}1{} }}", "(".repeat(50_000), ")".repeat(50_000)),
        );
    }),
    ("a file of two megabytes", |bundle, _| bundle.put("scripts/large.rhai", &"// x\n".repeat(400_000))),
    ("no text", |bundle, _| fs::write(bundle.path("scripts/main.rhai"), [0xff_u8; 3_000]).expect("it can be written")),
    ("imports in a circle", |bundle, version| {
        bundle.put(
            "scripts/lib/version.rhai",
            &format!("import \"lib/other\" as other;\nfn version() {{ {version} }}\n"),
        );
        bundle.put("scripts/lib/other.rhai", "import \"lib/version\" as version;\nfn other() { version::version() }\n");
    }),
    ("a link out of the bundle", |bundle, _| bundle.link("scripts/main.rhai", "/etc/passwd")),
    ("a link to itself", |bundle, _| bundle.link("scripts/main.rhai", "main.rhai")),
    ("a pipe", |bundle, _| {
        fs::remove_file(bundle.path("scripts/main.rhai")).expect("it is there");
        let made = Command::new("mkfifo").arg(bundle.path("scripts/main.rhai")).status();
        assert!(made.is_ok_and(|status| status.success()), "a pipe can be made");
    }),
    ("a table of many rows that is none", |bundle, _| bundle.put("tables/version.json", &"[".repeat(200_000))),
    ("a secret as a table", |bundle, version| {
        bundle.put("gateway.toml", &bundle.toml(version).replace("tables/version.json", "secrets/okta"));
    }),
];

fn main(version: u64) -> String {
    format!(
        "import \"lib/version\" as lib;\nconst VERSION = {version};\n\nfn on_registration(request) {{\n    \
         let row = table(\"version\").get(\"version\");\n    deny(`${{VERSION}} ${{lib::version()}} ${{row}} ${{params.version}}`)\n}}\n"
    )
}

fn slow(version: u64) -> String {
    format!(
        "import \"lib/version\" as lib;\nconst VERSION = {version};\n\nfn on_registration(request) {{\n    \
         let found = http(\"slow\").get(\"/\").status;\n    let row = table(\"version\").get(\"version\");\n    \
         deny(`${{VERSION}} ${{lib::version()}} ${{row}} ${{params.version}}`)\n}}\n"
    )
}

fn rule(version: u64) -> String {
    format!(
        "import \"lib/version\" as lib;\nconst VERSION = {version};\n\nfn on_event(event) {{\n    \
         let row = table(\"version\").get(\"version\");\n    \
         post(\"slow\", \"/take\", #{{ id: event.id, versions: [VERSION, lib::version(), row] }})\n}}\n"
    )
}

fn table(version: u64) -> String {
    format!("{{\"version\": {version}, \"other\": 0}}\n")
}

impl Bundle {
    /// Whose scripts ask, and act on, a system at the port `slow`.
    pub fn new(store: Option<PathBuf>, slow: u16) -> Fallible<Self> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let root = folder.path().join("bundle");
        let store = store.unwrap_or_else(|| folder.path().join("store/hookgate.db"));
        let (port, admin) = (free_port(), free_port());
        let bundle = Self { _folder: folder, root, port, admin, store, slow };
        bundle.put("secrets/okta", SECRET);
        fs::create_dir_all(bundle.path(".git")).map_err(|error| error.to_string())?;
        bundle.check_out(1, Duration::ZERO);
        Ok(bundle)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn store(&self) -> PathBuf {
        self.store.clone()
    }

    /// All files of a version.
    fn files(&self, version: u64) -> [(&'static str, String); 7] {
        [
            ("gateway.toml", self.toml(version)),
            ("scripts/main.rhai", main(version)),
            ("scripts/slow.rhai", slow(version)),
            ("scripts/rule.rhai", rule(version)),
            ("scripts/lib/version.rhai", format!("fn version() {{ {version} }}\n")),
            ("tables/version.json", table(version)),
            ("scripts/main_test.rhai", "fn test_nothing() { assert_eq(1, 1); }\n".to_owned()),
        ]
    }

    fn toml(&self, version: u64) -> String {
        let Self { port, admin, slow, .. } = self;
        let route = |name: &str| {
            format!(
                "[routes.{name}]\npath = \"/{name}\"\nhook = \"okta.registration\"\nscript = \"{name}.rhai\"\nauth = \"okta\"\n\
                 on_failure = {{ deny = \"DECLARED\" }}\nparams = {{ version = {version} }}\nlimits = {{ deadline_ms = 10000 }}\n"
            )
        };
        format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n\
             [store]\nurl = \"sqlite:{store}\"\nkeep_decisions = 1000\n[scripts]\nsettle_ms = 20\n\
             [auth.okta]\nscheme = \"header\"\nsecrets = [{{ file = \"secrets/okta\" }}]\n\
             [connectors.slow]\nkind = \"http\"\nbase_url = \"http://127.0.0.1:{slow}\"\nallow_private = true\ntimeout_ms = 5000\n\
             retry = {{ attempts = 1000, first_ms = 100, most_ms = 1000 }}\n\
             [routes.events]\npath = \"/events\"\nhook = \"okta.event\"\nauth = \"okta\"\n\
             [routes.events.rules.all]\nevents = [\"*\"]\nscript = \"rule.rhai\"\n\
             [tables.version]\nfile = \"tables/version.json\"\nkind = \"json\"\n{main}{slow_route}",
            store = self.store.display(),
            main = route("main"),
            slow_route = route("slow"),
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Renames a new file into place: none is ever half there, and a link or a pipe is replaced, not written to.
    fn put(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder can be made");
        fs::write(self.path(".new"), text).expect("a file can be written");
        fs::rename(self.path(".new"), path).expect("a file can be renamed");
    }

    fn link(&self, name: &str, to: &str) {
        fs::remove_file(self.path(name)).expect("it is there");
        symlink(to, self.path(name)).expect("a link can be made");
    }

    /// Checks a version out as git does: under its lock, with a pause in the middle.
    pub fn check_out(&self, version: u64, pause: Duration) {
        let lock = self.path(".git/index.lock");
        fs::write(&lock, "").expect("a lock can be made");
        let files = self.files(version);
        let (first, second) = files.split_at(3);
        first.iter().for_each(|(name, text)| self.put(name, text));
        std::thread::sleep(pause);
        second.iter().for_each(|(name, text)| self.put(name, text));
        fs::remove_file(lock).expect("it is there");
    }

    /// Undoes whatever damage was done.
    pub fn mend(&self, version: u64) {
        for extra in ["scripts/large.rhai", "scripts/lib/other.rhai"] {
            let _ = fs::remove_file(self.path(extra));
        }
        self.check_out(version, Duration::ZERO);
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}
