//! Every way of saving a bundle, while calls come in: the new version is live within a second or the last good one stays,
//! no call fails, and no call sees a mix of versions.

use std::fs;
use std::fs::{File, OpenOptions};
use std::io::{Seek, Write};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use hookgate_engine::gateway::Gateway;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::live::status::State;
use hookgate_engine::release::live::{Live, Reloaded};
use hookgate_engine::release::watch;
use hookgate_engine::telemetry::metrics::Metrics;
use http::Request;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::block_in_place;

mod whole;

use crate::harness::{SECRET, answered, started};
use crate::process::sample;

/// The promise, and what a busy machine with a debug build may add.
const PROMISED: Duration = Duration::from_millis(1250);
/// Beyond this the poll may have found what no event told.
const LATEST: Duration = Duration::from_secs(3);
/// Where only polling works.
const POLLED: Duration = Duration::from_secs(7);

/// A folder with a bundle of which each part carries a version.
#[derive(Clone)]
struct Files(PathBuf);

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs a program in the folder.
    fn run(&self, program: &str, args: &[&str]) {
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.0);
        let ran = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(ran.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    fn shell(&self, script: &str) {
        self.run("sh", &["-ec", script]);
    }

    /// All files of a version, one after the other.
    fn write_all(&self, version: u64) {
        for (name, text) in all(version) {
            self.put(name, &text);
        }
    }
}

const MAIN: &str = "scripts/main.rhai";
const LIB: &str = "scripts/lib/version.rhai";
const TABLE: &str = "tables/version.json";
const TOML: &str = "gateway.toml";

fn all(version: u64) -> [(&'static str, String); 4] {
    [(TOML, toml(version)), (MAIN, main(version, version)), (LIB, lib(version)), (TABLE, table(version))]
}

fn toml(version: u64) -> String {
    format!(
        "[auth.test]\nscheme = \"header\"\nsecrets = [{{ file = \"secrets/test\" }}]\n\n\
         [tables.version]\nfile = \"{TABLE}\"\nkind = \"json\"\n\n\
         [routes.hook]\npath = \"/hook\"\nhook = \"okta.registration\"\nscript = \"main.rhai\"\nauth = \"test\"\n\
         on_failure = {{ deny = \"failed\" }}\nparams = {{ version = {version} }}\n"
    )
}

/// Replies the edit of this file alone, and the version that every file carries.
fn main(version: u64, edit: u64) -> String {
    format!(
        "import \"lib/version\" as lib;\n\nconst VERSION = {version};\nconst EDIT = {edit};\n\n\
         fn on_registration(request) {{\n    let rows = table(\"version\").get(\"version\");\n    \
         deny(`${{EDIT}} ${{VERSION}} ${{lib::version()}} ${{rows}} ${{params.version}}`)\n}}\n"
    )
}

fn lib(version: u64) -> String {
    format!("fn version() {{\n    {version}\n}}\n")
}

fn table(version: u64) -> String {
    let rows: Vec<String> = (0..20).map(|row| format!("\"row{row}\": {row}")).collect();
    format!("{{\"version\": {version}, {}}}\n", rows.join(", "))
}

/// A gateway that watches a folder, and a caller that never stops.
struct Rig {
    files: Files,
    live: Arc<Live>,
    gateway: Arc<Gateway>,
    metrics: Arc<Metrics>,
    calls: Arc<Calls>,
    _watch: watch::Watch,
    _folder: TempDir,
}

#[derive(Default)]
struct Calls {
    edit: AtomicU64,
    made: AtomicU64,
    stop: AtomicBool,
    wrong: Mutex<Vec<String>>,
}

impl Rig {
    fn start(make: impl FnOnce(&Files)) -> Self {
        Self::start_at("bundle", |files| {
            files.put("secrets/test", SECRET);
            make(files);
        })
    }

    /// The same in a folder of this name, which may become a link.
    fn start_at(name: &str, make: impl FnOnce(&Files)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = Files(folder.path().join(name));
        make(&files);
        let metrics = Metrics::new();
        let live = Arc::new(Live::new(metrics.clone()));
        let place = Place::of(&files.path(TOML));
        assert_eq!(live.reload(&place), Reloaded::Activated, "{:#?}", live.status().error);
        let gateway = Arc::new(started(&place, &live, &metrics).0);
        let watch = watch::start(place, live.clone()).unwrap();
        let calls = Arc::new(Calls::default());
        tokio::spawn(keep_calling(gateway.clone(), calls.clone()));
        Self { files, live, gateway, metrics, calls, _watch: watch, _folder: folder }
    }

    /// Waits until calls are answered with this edit; how long that took.
    async fn answered_by(&self, edit: u64, name: &str, latest: Duration) -> Duration {
        let saved = Instant::now();
        while self.calls.edit.load(Ordering::Relaxed) != edit {
            let status = self.live.status();
            assert!(saved.elapsed() < latest, "{name}: not live after {latest:?}: {status:#?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        saved.elapsed()
    }

    /// Waits until what is on disk is refused for something in `file`.
    async fn refused(&self, file: &str, name: &str) -> Duration {
        let saved = Instant::now();
        loop {
            let status = self.live.status();
            if status.state == State::Refused && status.error.iter().any(|finding| finding.file.contains(file)) {
                return saved.elapsed();
            }
            assert!(saved.elapsed() < LATEST, "{name}: not refused for {file}: {status:#?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn refusals(&self) -> u64 {
        self.metrics.reloads.read().iter().find(|(result, _)| *result == "refused").map_or(0, |(_, count)| *count)
    }

    fn end(&self) {
        // A test may be over before a busy machine made calls.
        let began = Instant::now();
        while self.calls.made.load(Ordering::Relaxed) <= 50 && began.elapsed() < LATEST {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.calls.stop.store(true, Ordering::Relaxed);
        let wrong = self.calls.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "{} of {} calls: {:#?}", wrong.len(), self.calls.made.load(Ordering::Relaxed), wrong);
        assert!(self.calls.made.load(Ordering::Relaxed) > 50, "hardly any call was made");
    }
}

async fn call(gateway: &Gateway, id: u64) -> (u16, Bytes) {
    static BODY: std::sync::LazyLock<Value> =
        std::sync::LazyLock::new(|| serde_json::from_str(sample("okta.registration")).unwrap());
    let mut body = BODY.clone();
    body["eventId"] = id.into();
    let call = Request::post("/hook").header("authorization", SECRET).body(Bytes::from(body.to_string())).unwrap();
    let response = answered(gateway, call, Instant::now()).await;
    (response.status().as_u16(), response.into_body())
}

async fn keep_calling(gateway: Arc<Gateway>, calls: Arc<Calls>) {
    while !calls.stop.load(Ordering::Relaxed) {
        let number = calls.made.fetch_add(1, Ordering::Relaxed);
        let (status, body) = call(&gateway, number).await;
        match whole_version(status, &body) {
            Ok(edit) => calls.edit.store(edit, Ordering::Relaxed),
            Err(wrong) => calls.wrong.lock().unwrap().push(wrong),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The edit of a reply all of whose versions agree.
fn whole_version(status: u16, body: &[u8]) -> Result<u64, String> {
    let wrong = || format!("{status} {}", String::from_utf8_lossy(body));
    let reply: Value = serde_json::from_slice(body).map_err(|_| wrong())?;
    let text = reply["error"]["errorSummary"].as_str().ok_or_else(wrong)?;
    let numbers: Vec<u64> = text.split(' ').map(|word| word.parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
    match numbers.as_slice() {
        [edit, version, rest @ ..] if status == 200 && rest.len() == 3 && rest.iter().all(|one| one == version) => {
            Ok(*edit)
        }
        _ => Err(wrong()),
    }
}

/// A way of saving: its name, and what it does to make `edit` the number that the script replies.
type Way = (&'static str, fn(&Files, u64));

/// The version that files carry where only the script is edited.
const FIRST: u64 = 1;

fn script(edit: u64) -> String {
    main(FIRST, edit)
}

const SCRIPT_WAYS: &[Way] = &[
    ("written in place", |files, edit| files.put(MAIN, &script(edit))),
    ("vim: renamed to a backup, written anew", |files, edit| {
        files.put("scripts/4913", "");
        fs::remove_file(files.path("scripts/4913")).unwrap();
        files.put("scripts/.main.rhai.swp", "swap");
        fs::rename(files.path(MAIN), files.path("scripts/main.rhai~")).unwrap();
        files.put(MAIN, &script(edit));
        fs::remove_file(files.path("scripts/main.rhai~")).unwrap();
        fs::remove_file(files.path("scripts/.main.rhai.swp")).unwrap();
    }),
    ("emacs: lock, autosave, backup, rename", |files, edit| {
        symlink("me@host.1234", files.path("scripts/.#main.rhai")).unwrap();
        files.put("scripts/#main.rhai#", "half of it {");
        fs::rename(files.path(MAIN), files.path("scripts/main.rhai~")).unwrap();
        files.put(MAIN, &script(edit));
        fs::remove_file(files.path("scripts/#main.rhai#")).unwrap();
        fs::remove_file(files.path("scripts/.#main.rhai")).unwrap();
    }),
    ("an IDE's safe write", |files, edit| {
        files.put("scripts/main.rhai___jb_tmp___", &script(edit));
        fs::rename(files.path(MAIN), files.path("scripts/main.rhai___jb_old___")).unwrap();
        fs::rename(files.path("scripts/main.rhai___jb_tmp___"), files.path(MAIN)).unwrap();
        fs::remove_file(files.path("scripts/main.rhai___jb_old___")).unwrap();
    }),
    ("sed -i", |files, edit| files.run("sed", &["-i", &format!("s/^const EDIT = .*/const EDIT = {edit};/"), MAIN])),
    ("truncated, and written 30 ms later", |files, edit| {
        let mut file = File::create(files.path(MAIN)).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        file.write_all(script(edit).as_bytes()).unwrap();
    }),
    ("in two halves, 50 ms apart", |files, edit| halves(files, &script(edit), 50)),
    ("in two halves, 300 ms apart", |files, edit| halves(files, &script(edit), 300)),
    ("byte by byte", |files, edit| {
        let mut file = File::create(files.path(MAIN)).unwrap();
        for byte in script(edit).bytes() {
            file.write_all(&[byte]).unwrap();
        }
    }),
    ("renamed over", |files, edit| {
        files.put("scripts/main.tmp", &script(edit));
        fs::rename(files.path("scripts/main.tmp"), files.path(MAIN)).unwrap();
    }),
    ("renamed over from another folder", |files, edit| {
        files.put("../main.new", &script(edit));
        fs::rename(files.path("../main.new"), files.path(MAIN)).unwrap();
    }),
    ("overwritten without truncation, times kept", |files, edit| {
        let before = fs::metadata(files.path(MAIN)).unwrap().modified().unwrap();
        let mut file = OpenOptions::new().write(true).open(files.path(MAIN)).unwrap();
        file.rewind().unwrap();
        file.write_all(script(edit).as_bytes()).unwrap();
        file.set_len(script(edit).len() as u64).unwrap();
        file.set_modified(before).unwrap();
    }),
    ("deleted and made again at once", |files, edit| {
        fs::remove_file(files.path(MAIN)).unwrap();
        files.put(MAIN, &script(edit));
    }),
    ("deleted and made again 300 ms later", |files, edit| {
        fs::remove_file(files.path(MAIN)).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        files.put(MAIN, &script(edit));
    }),
    ("a hard link in place of the file", |files, edit| {
        files.put("../linked.rhai", &script(edit));
        files.run("ln", &["-f", "../linked.rhai", MAIN]);
    }),
    ("a symbolic link in place of the file", |files, edit| {
        files.put("versions/a.rhai", &script(edit));
        files.run("ln", &["-sf", "../versions/a.rhai", MAIN]);
    }),
    ("the symbolic link shows elsewhere", |files, edit| {
        files.put("versions/b.rhai", &script(edit));
        files.run("ln", &["-sfn", "../versions/b.rhai", MAIN]);
    }),
    ("a file in place of the symbolic link", |files, edit| {
        fs::remove_file(files.path(MAIN)).unwrap();
        files.put(MAIN, &script(edit));
    }),
    ("line ends of Windows", |files, edit| files.put(MAIN, &script(edit).replace('\n', "\r\n"))),
    ("a byte order mark", |files, edit| files.put(MAIN, &format!("\u{feff}{}", script(edit)))),
    ("no line end at the end", |files, edit| files.put(MAIN, script(edit).trim_end())),
    ("the scripts folder is replaced by a rename", |files, edit| {
        files.shell("cp -a scripts scripts.new");
        files.put("scripts.new/main.rhai", &script(edit));
        files.shell("mv scripts scripts.old; mv scripts.new scripts; rm -r scripts.old");
    }),
    ("after the folder was replaced", |files, edit| files.put(MAIN, &script(edit))),
    ("200 more files at once", |files, edit| {
        for number in 0..200 {
            files.put(&format!("scripts/more/f{number}.rhai"), &format!("fn f{number}() {{ {number} }}\n"));
        }
        files.put(MAIN, &script(edit));
    }),
    ("200 files fewer", |files, edit| {
        fs::remove_dir_all(files.path("scripts/more")).unwrap();
        files.put(MAIN, &script(edit));
    }),
    ("a new folder below", |files, edit| {
        let imported = "import \"new/deep/edit\" as edit;\n";
        files.put("scripts/new/deep/edit.rhai", &format!("fn number() {{ {edit} }}\n"));
        files.put(MAIN, &format!("{imported}{}", script(edit).replace("${EDIT}", "${edit::number()}")));
    }),
    ("a file in the new folder", |files, edit| {
        files.put("scripts/new/deep/edit.rhai", &format!("fn number() {{ {edit} }}\n"));
    }),
    ("an archive is unpacked", |files, edit| {
        files.put("../unpack/scripts/main.rhai", &script(edit));
        files.shell("tar -C ../unpack -cf ../a.tar scripts; tar -xf ../a.tar");
    }),
    ("cp -a", |files, edit| {
        files.put("../copy/scripts/main.rhai", &script(edit));
        files.shell("cp -a ../copy/. .");
    }),
    ("ed", |files, edit| {
        files.shell(&format!("awk '/^const EDIT/ {{ print \"const EDIT = {edit};\"; next }} {{ print }}' {MAIN} > x.tmp; cat x.tmp > {MAIN}; rm x.tmp"));
    }),
    ("touched, chmodded, surrounded by what editors leave", |files, edit| {
        files.put("scripts/.main.rhai.swp", "fn (");
        files.put("scripts/main.rhai~", "fn (");
        files.put("scripts/main.rhai.bak", "fn (");
        files.put("scripts/#main.rhai#", "fn (");
        files.put("scripts/.hidden/main.rhai", "fn (");
        files.put("scripts/README.md", "fn (");
        files.shell(&format!("touch {MAIN}; chmod 600 {MAIN}; chmod 644 {MAIN}"));
        std::thread::sleep(Duration::from_millis(200));
        files.put(MAIN, &script(edit));
    }),
    ("SIGHUP for what no event tells", |files, edit| {
        link_from_outside(files, edit);
        files.shell(&format!("kill -HUP {}", std::process::id()));
    }),
];

/// Ways that change every file, and so the version.
const VERSION_WAYS: &[Way] = &[
    ("a byte order mark in each", |files, version| {
        for (name, text) in all(version) {
            files.put(name, &format!("\u{feff}{text}"));
        }
    }),
    ("written one after the other", |files, version| files.write_all(version)),
    ("git checkout", |files, version| {
        let git =
            |args: &[&str]| files.run("git", &[&["-c", "user.name=x", "-c", "user.email=x@y.example"], args].concat());
        if !files.path(".git").exists() {
            git(&["init", "-q"]);
        }
        git(&["add", TOML, "scripts", "tables"]);
        git(&["commit", "-qm", "before", "--allow-empty"]);
        // The new version is made beside, so that the checkout alone changes the files.
        let tree = format!("../tree{version}");
        git(&["worktree", "add", "-q", "--detach", &tree]);
        Files(files.path(&tree)).write_all(version);
        Files(files.path(&tree))
            .run("git", &["-c", "user.name=x", "-c", "user.email=x@y.example", "commit", "-qam", "after"]);
        let head = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(files.path(&tree)).output().unwrap();
        git(&["checkout", "-q", String::from_utf8(head.stdout).unwrap().trim()]);
    }),
    ("rsync", |files, version| {
        let from = Files(files.path("../from"));
        from.write_all(version);
        if Command::new("rsync").arg("--version").output().is_ok_and(|ran| ran.status.success()) {
            files.run("rsync", &["-a", "--checksum", "../from/", "."]);
        } else {
            files.run("cp", &["-a", "../from/.", "."]);
        }
    }),
    ("renamed over, one by one", |files, version| {
        for (name, text) in all(version) {
            files.put("../one.tmp", &text);
            fs::rename(files.path("../one.tmp"), files.path(name)).unwrap();
        }
    }),
    ("cp -a of everything", |files, version| {
        Files(files.path("../from2")).write_all(version);
        files.shell("cp -a ../from2/. .");
    }),
];

fn halves(files: &Files, text: &str, pause: u64) {
    let (first, second) = text.split_at(text.len() / 2);
    let mut file = File::create(files.path(MAIN)).unwrap();
    file.write_all(first.as_bytes()).unwrap();
    file.sync_all().unwrap();
    std::thread::sleep(Duration::from_millis(pause));
    file.write_all(second.as_bytes()).unwrap();
}

/// Changes the script by another name of the same file in a folder that nobody watches.
fn link_from_outside(files: &Files, edit: u64) {
    files.run("ln", &["-f", MAIN, "../outside.rhai"]);
    std::thread::sleep(Duration::from_millis(300));
    files.put("../outside.rhai", &script(edit));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn every_way_of_saving_goes_live_and_no_call_fails() {
    let rig = Rig::start(|files| files.write_all(FIRST));
    let mut late = Vec::new();
    let mut edit = FIRST;
    for (name, save) in SCRIPT_WAYS.iter().chain(VERSION_WAYS) {
        edit += 1;
        block_in_place(|| save(&rig.files, edit));
        let took = rig.answered_by(edit, name, LATEST).await;
        if took > PROMISED {
            late.push(format!("{name}: {took:?}"));
        }
    }
    rig.end();
    assert!(late.len() <= 2, "{late:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_no_event_tells_is_found_by_polling() {
    let rig = Rig::start(|files| files.write_all(FIRST));
    block_in_place(|| link_from_outside(&rig.files, 2));
    rig.answered_by(2, "hard link from outside", POLLED).await;
    rig.end();
}

/// What is done to a good bundle, and the file that the refusal must name.
type Break = (&'static str, fn(&Files), &'static str);

const BREAKS: &[Break] = &[
    ("syntax error", |files| files.put(MAIN, &script(9999).replace("deny(", "deny((")), "main.rhai"),
    ("syntax error in a shared file", |files| files.put(LIB, "fn version( { 1 }"), "version.rhai"),
    ("unknown function", |files| files.put(MAIN, &script(9999).replace("deny(", "dney(")), "main.rhai"),
    ("empty script", |files| files.put(MAIN, ""), "main.rhai"),
    ("empty shared file", |files| files.put(LIB, ""), "main.rhai"),
    ("half a script", |files| files.put(MAIN, &script(9999)[..150]), "main.rhai"),
    ("nul bytes, as after a crash", |files| fs::write(files.path(MAIN), [0; 300]).unwrap(), "main.rhai"),
    ("deleted script", |files| fs::remove_file(files.path(MAIN)).unwrap(), "gateway.toml"),
    ("deleted shared file", |files| fs::remove_file(files.path(LIB)).unwrap(), "main.rhai"),
    (
        "a folder in place of a script",
        |files| {
            fs::remove_file(files.path(MAIN)).unwrap();
            fs::create_dir(files.path(MAIN)).unwrap();
        },
        "gateway.toml",
    ),
    ("a dangling link", |files| files.run("ln", &["-sf", "gone.rhai", MAIN]), "main.rhai"),
    ("a script that is not UTF-8", |files| fs::write(files.path(MAIN), b"// \xff\xfe").unwrap(), "main.rhai"),
    ("the scripts folder is away", |files| files.shell("mv scripts ../away"), "scripts"),
    ("the scripts folder is empty", |files| files.shell("rm -r scripts; mkdir scripts"), "gateway.toml"),
    ("unknown key", |files| files.put(TOML, &toml(FIRST).replace("script =", "scirpt =")), "gateway.toml"),
    (
        "toml that is none",
        |files| files.put(TOML, &toml(FIRST).replace("[routes.hook]", "[routes.hook")),
        "gateway.toml",
    ),
    ("empty configuration", |files| files.put(TOML, ""), "gateway.toml"),
    ("half a configuration", |files| files.put(TOML, &toml(FIRST)[..180]), "gateway.toml"),
    (
        "a configuration cut off between sections",
        |files| {
            let text = toml(FIRST);
            files.put(TOML, &text[..text.find("[routes").unwrap()]);
        },
        "gateway.toml",
    ),
    ("deleted configuration", |files| fs::remove_file(files.path(TOML)).unwrap(), "gateway.toml"),
    (
        "unset secret",
        |files| {
            files.put(TOML, &toml(FIRST).replace("{ file = \"secrets/test\" }", "{ env = \"NO_SUCH_SECRET\" }"));
        },
        "gateway.toml",
    ),
    ("empty table", |files| files.put(TABLE, ""), "version.json"),
    ("half a table", |files| files.put(TABLE, &table(9999)[..60]), "version.json"),
    ("table shrunk", |files| files.put(TABLE, "{\"version\": 9999, \"row0\": 0}"), "version.json"),
    ("deleted table", |files| fs::remove_file(files.path(TABLE)).unwrap(), "gateway.toml"),
    ("the tables folder is away", |files| files.shell("mv tables ../tables-away"), "gateway.toml"),
    ("rm -r of everything", |files| files.shell("rm -r scripts tables gateway.toml"), "gateway.toml"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_is_broken_is_refused_and_the_last_good_stays() {
    let rig = Rig::start(|files| files.write_all(FIRST));
    let mut late = Vec::new();
    let mut edit = FIRST;
    for (name, damage, file) in BREAKS {
        block_in_place(|| damage(&rig.files));
        let told = rig.refused(file, name).await;
        assert_eq!(rig.live.current().unwrap().hash, rig.live.status().running.unwrap(), "{name}");
        // A call made after the refusal is answered by what ran before.
        let (status, body) = call(&rig.gateway, u64::MAX - edit).await;
        assert_eq!(whole_version(status, &body), Ok(edit), "{name}");

        edit += 1;
        block_in_place(|| {
            if rig.files.path(MAIN).is_dir() {
                fs::remove_dir(rig.files.path(MAIN)).unwrap();
            }
            if rig.files.path(MAIN).is_symlink() {
                fs::remove_file(rig.files.path(MAIN)).unwrap();
            }
            // Everything that is missing comes back; the version is that of the edit.
            rig.files.write_all(FIRST);
            rig.files.put(MAIN, &script(edit));
        });
        let mended = rig.answered_by(edit, name, LATEST).await;
        assert_eq!(rig.live.status().error, [], "{name}");
        if told.max(mended) > PROMISED {
            late.push(format!("{name}: refused after {told:?}, mended after {mended:?}"));
        }
    }
    rig.end();
    assert!(late.len() <= 2, "{late:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_editors_leave_behind_changes_nothing() {
    let rig = Rig::start(|files| files.write_all(FIRST));
    let (hash, refusals) = (rig.live.current().unwrap().hash.clone(), rig.refusals());
    for name in
        [".main.rhai.swp", "main.rhai~", "main.rhai.bak", "#main.rhai#", ".#main.rhai", "4913", "main.rhai.orig"]
    {
        rig.files.put(&format!("scripts/{name}"), "fn (");
        rig.files.put(&format!("tables/{name}"), "fn (");
    }
    rig.files.shell("touch scripts/main.rhai; chmod 600 gateway.toml tables/version.json");
    // Looked at: a table that is saved afterwards is live.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(rig.live.current().unwrap().hash, hash);
    rig.files.put(MAIN, &script(2));
    rig.answered_by(2, "save", LATEST).await;
    assert_eq!(rig.refusals(), refusals);
    rig.end();
}

/// The files of a ConfigMap volume: links to `..data`, which is a link to a folder that is replaced as a whole.
fn publish(mount: &Files, version: u64, files: &[(&str, String)]) {
    let folder = format!("..2026_05_{version}");
    for (name, text) in files {
        mount.put(&format!("{folder}/{name}"), text);
    }
    symlink(&folder, mount.path("..data_tmp")).unwrap();
    fs::rename(mount.path("..data_tmp"), mount.path("..data")).unwrap();
    for (name, _) in files {
        if !mount.path(name).is_symlink() {
            symlink(format!("..data/{name}"), mount.path(name)).unwrap();
        }
    }
    if version > 1 {
        fs::remove_dir_all(mount.path(&format!("..2026_05_{}", version - 1))).unwrap();
    }
}

fn flat(version: u64) -> [(&'static str, String); 4] {
    let config = toml(version).replace(TABLE, "version.json").replace("secrets/test", "../secret");
    [
        ("gateway.toml", format!("[scripts]\ndir = \".\"\n\n{config}")),
        ("main.rhai", main(version, version).replace("lib/version", "version")),
        ("version.rhai", lib(version)),
        ("version.json", table(version)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_config_map_swap_is_seen_whole() {
    let rig = Rig::start(|files| {
        files.put("../secret", SECRET);
        publish(files, 1, &flat(1));
    });
    for version in 2..6 {
        block_in_place(|| publish(&rig.files, version, &flat(version)));
        rig.answered_by(version, "..data swap", LATEST).await;
    }
    rig.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_config_map_of_scripts_beside_a_configuration_is_seen() {
    let scripts = |edit| [("main.rhai", script(edit).replace("lib/version", "version")), ("version.rhai", lib(FIRST))];
    let rig = Rig::start(|files| {
        files.put(TOML, &toml(FIRST));
        files.put(TABLE, &table(FIRST));
        publish(&Files(files.path("scripts")), 1, &scripts(1));
    });
    for edit in 2..5 {
        block_in_place(|| publish(&Files(rig.files.path("scripts")), edit, &scripts(edit)));
        rig.answered_by(edit, "..data swap", LATEST).await;
    }
    rig.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn secrets_rotate_while_the_scripts_are_broken() {
    const NEXT: &str = "Basic bmV4dDpuZXh0";
    let rig = Rig::start(|files| files.write_all(FIRST));
    rig.calls.stop.store(true, Ordering::Relaxed);
    rig.files.put(MAIN, "fn (");
    rig.refused("main.rhai", "broken").await;
    rig.files.put("secrets/test", &format!("{NEXT}\n"));
    let saved = Instant::now();
    let mut number = 1_000_000;
    let mut status_with = async |secret: &str| {
        number += 1;
        let mut body: Value = serde_json::from_str(sample("okta.registration")).unwrap();
        body["eventId"] = number.into();
        let call = Request::post("/hook").header("authorization", secret).body(Bytes::from(body.to_string())).unwrap();
        answered(&rig.gateway, call, Instant::now()).await.status().as_u16()
    };
    while status_with(NEXT).await != 200 {
        assert!(saved.elapsed() < LATEST, "the new secret is not taken");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(status_with(SECRET).await, 401);
    assert_eq!(rig.live.status().state, State::Refused);
    rig.files.put("secrets/test", "");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(status_with(NEXT).await, 200, "an empty file is somebody who is still writing");
}

/// A reading that happens to fall into the middle of a save must not go live.
#[test]
fn a_save_that_is_read_in_the_middle_is_not_put_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files(folder.path().to_owned());
    files.put("secrets/test", SECRET);
    let write = |version: u64| {
        files.put("scripts/lib/version.rhai", &lib(version));
        for number in 0..40 {
            files.put(&format!("scripts/more/f{number}.rhai"), &format!("fn f() {{ {version} }}\n"));
        }
        files.put(MAIN, &main(version, version));
        files.put(TABLE, &table(version));
        files.put(TOML, &toml(version));
    };
    write(1);
    let live = Live::new(Metrics::new());
    let place = Place::of(&files.path(TOML));
    assert_eq!(live.reload(&place), Reloaded::Activated);
    let done = AtomicBool::new(false);
    let mixed = std::thread::scope(|scope| {
        scope.spawn(|| {
            for version in 2..32 {
                write(version);
                std::thread::sleep(Duration::from_millis(60));
            }
            done.store(true, Ordering::Relaxed);
        });
        let mut mixed = Vec::new();
        while !done.load(Ordering::Relaxed) {
            live.reload(&place);
            let release = live.current().unwrap();
            let param = release.config.routes["hook"].params["version"].as_u64().unwrap();
            let row = release.tables["version"].clone();
            let row = format!("{:?}", row.get("version"));
            if !row.contains(&param.to_string()) {
                mixed.push(format!("{param} beside {row}"));
            }
        }
        mixed
    });
    assert!(mixed.is_empty(), "{mixed:?}");
}

/// #13: a log beside `gateway.toml` is written at every call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_the_bundle_is_no_change_of_it() {
    let rig = Rig::start(|files| files.write_all(1));
    rig.answered_by(1, "the first version", LATEST).await;
    let files = rig.files.clone();
    let log = move |line: u64| {
        let open = |name: &str| OpenOptions::new().create(true).append(true).open(files.path(name)).unwrap();
        for name in ["hookgate.log", "scripts/script.log", "tables/table.log"] {
            writeln!(open(name), "line {line}").unwrap();
        }
    };
    log(0);
    // The files appear, which counts. From then on only the poll looks, every five seconds.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let before = rig.live.looks();
    for line in 1..100 {
        log(line);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let looks = rig.live.looks() - before;
    assert!(looks <= 1, "{looks} looks at the files because of the log");
    // And a save is still seen while the log is written.
    rig.files.put(MAIN, &main(1, 2));
    rig.answered_by(2, "a save beside a log", PROMISED).await;
    rig.end();
}
