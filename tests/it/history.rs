//! Past releases: what is kept of them, going back to one, the pin, and the log of changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookgate_engine::history::diff::Fate;
use hookgate_engine::history::shown::{Named, Standing};
use hookgate_engine::history::{Beginning, Failure, History};
use hookgate_engine::release::build;
use hookgate_engine::release::build::Secrets;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::gate::Pace;
use hookgate_engine::release::live::status::State;
use hookgate_engine::release::live::{Live, Reloaded};
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_store::Store;
use hookgate_store::archive::{Change, ChangeQuery};
use hookgate_store::open::OpenError;
use hookgate_store::sqlite::{Options, Sqlite};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{SECRET, write};

const SCRIPT: &str = "scripts/hook.rhai";

/// A gateway as `serve` begins it, without listeners.
struct Rig {
    folder: TempDir,
    place: Place,
    live: Arc<Live>,
    history: Arc<History>,
    store: Arc<Sqlite>,
}

impl Rig {
    /// With version 1 in force.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "secret", SECRET);
        write(folder.path(), "tables/few.txt", &rows(10));
        write(folder.path(), "gateway.toml", &toml("secret"));
        write(folder.path(), SCRIPT, &script(1));
        Self::start(folder).await.unwrap()
    }

    async fn start(folder: TempDir) -> Result<Self, Failure> {
        let place = Place::of(&folder.path().join("gateway.toml"));
        let (metrics, store) = (Metrics::new(), Arc::new(opened(&store(&folder))));
        let live = Arc::new(Live::new(metrics.clone()));
        let history = History::start(store.clone(), live.clone(), place.clone());
        let Beginning { reading, pinned } = history.begin(build::read(&place).unwrap()).await?;
        let mut release = build::assemble(&place, reading, None, Secrets::Load, &metrics).unwrap();
        let tests = pinned.is_none().then(|| live.examine(&mut release, Pace::Start).unwrap());
        live.start(release, tests, pinned);
        assert!(history.settle().await);
        Ok(Self { folder, place, live, history, store })
    }

    async fn restarted(self) -> Self {
        Self::start(self.stopped().await).await.unwrap()
    }

    async fn stopped(self) -> TempDir {
        self.history.stop().await;
        self.folder
    }

    /// Writes a version of the script; what a look at the files did.
    async fn save(&self, version: u64) -> Reloaded {
        write(self.folder.path(), SCRIPT, &script(version));
        self.look().await
    }

    async fn look(&self) -> Reloaded {
        let reloaded = self.live.reload(&self.place);
        assert!(self.history.settle().await);
        reloaded
    }

    fn running(&self) -> String {
        self.live.current().unwrap().hash.clone()
    }

    /// Which version of the script is in force.
    fn version(&self) -> u64 {
        let release = self.live.current().unwrap();
        let route = release.routes.first().unwrap();
        let hookgate_engine::release::Plan::Inline(inline) = &route.plan else { panic!("a route with a script") };
        let source = release.compiler.source(&format!("scripts/{}", inline.script.file())).unwrap().to_string();
        source.split_once("version ").unwrap().1.split('"').next().unwrap().parse().unwrap()
    }

    async fn changes(&self) -> Vec<Change> {
        self.history.changes(ChangeQuery::default()).await.unwrap().changes
    }

    /// `what who` of each change, newest first.
    async fn told(&self) -> Vec<String> {
        self.changes().await.iter().map(|change| format!("{} {}", change.what, change.who)).collect()
    }

    /// The state, the versions that are told as pinned.
    fn standing(&self) -> (State, Option<String>) {
        let status = self.live.status();
        (status.state, status.pinned.map(|pinned| pinned.who))
    }
}

/// The store, whose lock another test may hold for a moment still: a process that it is just starting has all our files
/// open until it is itself.
fn opened(file: &Path) -> Sqlite {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match Sqlite::open(file, Options::default()) {
            Err(OpenError::Locked { .. }) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            opened => return opened.unwrap(),
        }
    }
}

fn store(folder: &TempDir) -> PathBuf {
    folder.path().join("data/hookgate.db")
}

fn toml(secret: &str) -> String {
    format!(
        "[auth.test]\nscheme = \"header\"\nsecrets = [{{ file = \"{secret}\" }}]\n\n\
         [tables.few]\nfile = \"tables/few.txt\"\nkind = \"lines\"\n\n\
         [routes.hook]\npath = \"/hook\"\nhook = \"okta.registration\"\nscript = \"hook.rhai\"\nauth = \"test\"\n\
         on_failure = {{ deny = \"failed\" }}\n"
    )
}

fn rows(count: usize) -> String {
    (0..count).map(|row| format!("row{row}\n")).collect()
}

fn script(version: u64) -> String {
    format!(
        "fn on_registration(request) {{\n    if table(\"few\").has(\"x\") {{ return allow(); }}\n    deny(\"version {version}\")\n}}\n"
    )
}

fn detail(change: &Change) -> Value {
    serde_json::from_str(&change.detail).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_release_is_in_force_within_five_seconds_and_stays() {
    let rig = Rig::new().await;
    let first = rig.running();
    assert_eq!(rig.save(2).await, Reloaded::Activated);
    let second = rig.running();
    let began = Instant::now();
    let back = rig.history.roll_back(&first[..12], "ann").await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!((&back.to, back.before.as_ref(), back.kept, rig.version()), (&first, Some(&second), true, 1));
    let pinned = rig.live.status().pinned.unwrap();
    assert_eq!((&pinned.to, &pinned.from, pinned.who.as_str()), (&first, &second, "ann"));
    assert_eq!(back.pinned, Some(pinned));

    assert_eq!(rig.look().await, Reloaded::Unchanged, "the files are still what was not wanted");
    assert_eq!((rig.version(), rig.standing()), (1, (State::Pinned, Some("ann".to_owned()))));
    assert_eq!(rig.live.status().on_disk, Some(second.clone()));
    assert_eq!(rig.told().await, ["rolled back ann", "release activated files", "release activated start"]);
    let change = &rig.changes().await[0];
    assert_eq!((change.before.as_ref(), change.after.as_ref()), (Some(&second), Some(&first)));
    let told = detail(change);
    assert_eq!((&told["pinned"]["from"], &told["files"][0]["name"]), (&json!(second), &json!("hook.rhai")));

    let standing: Vec<_> = rig
        .history
        .releases()
        .await
        .unwrap()
        .iter()
        .map(|release| (release.hash.clone(), release.state, release.pinned))
        .collect();
    assert_eq!(standing, [(first.clone(), Standing::Running, true), (second, Standing::Held, false)]);
    let again = rig.history.roll_back(&first, "ann").await;
    assert!(matches!(again, Err(Failure::InForce(_))), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_outlives_a_restart_and_ends_when_the_files_change() {
    let rig = Rig::new().await;
    let first = rig.running();
    rig.save(2).await;
    rig.history.roll_back(&first, "ann").await.unwrap();
    let pinned = rig.live.status().pinned;

    let rig = rig.restarted().await;
    assert_eq!((rig.version(), rig.live.status().pinned), (1, pinned.clone()));
    assert_eq!((rig.look().await, rig.version()), (Reloaded::Unchanged, 1));
    let rig = rig.restarted().await;
    assert_eq!((rig.version(), rig.live.status().pinned), (1, pinned), "and another one");
    assert_eq!(rig.told().await[0], "release activated start");

    assert_eq!((rig.save(3).await, rig.version()), (Reloaded::Activated, 3));
    assert_eq!(rig.standing(), (State::Current, None));
    assert_eq!(detail(&rig.changes().await[0])["pin_ended"]["who"], "ann");
    let rig = rig.restarted().await;
    assert_eq!((rig.version(), rig.standing()), (3, (State::Current, None)));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_changed_while_nothing_ran_end_the_pin() {
    let rig = Rig::new().await;
    let first = rig.running();
    rig.save(2).await;
    rig.history.roll_back(&first, "ann").await.unwrap();
    let folder = rig.stopped().await;
    write(folder.path(), SCRIPT, &script(3));
    let rig = Rig::start(folder).await.unwrap();
    assert_eq!((rig.version(), rig.standing()), (3, (State::Current, None)));
    assert_eq!(rig.store.archive().pin().await, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_reloads_ends_the_pin() {
    let rig = Rig::new().await;
    let first = rig.running();
    rig.save(2).await;
    rig.history.roll_back(&first, "ann").await.unwrap();
    assert_eq!(rig.history.reload("bob").await, Reloaded::Activated);
    assert_eq!((rig.version(), rig.standing()), (2, (State::Current, None)));
    assert_eq!(rig.told().await[0], "release activated bob");
    assert_eq!(rig.history.reload("bob").await, Reloaded::Unchanged);
    let rig = rig.restarted().await;
    assert_eq!((rig.version(), rig.standing()), (2, (State::Current, None)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_held_back_stays_out_after_a_broken_save() {
    let rig = Rig::new().await;
    let first = rig.running();
    rig.save(2).await;
    rig.history.roll_back(&first, "ann").await.unwrap();
    write(rig.folder.path(), SCRIPT, "fn on_registration(request) { broken");
    assert_eq!(rig.look().await, Reloaded::Refused);
    assert_eq!(rig.standing(), (State::Refused, Some("ann".to_owned())));
    assert_eq!((rig.save(2).await, rig.version()), (Reloaded::Unchanged, 1));
    assert_eq!((rig.standing(), rig.live.status().error), ((State::Pinned, Some("ann".to_owned())), Vec::new()));
    assert_eq!((rig.save(1).await, rig.version()), (Reloaded::Activated, 1), "the files became what is in force");
    assert_eq!(rig.standing(), (State::Current, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_to_what_is_on_disk_pins_nothing() {
    let rig = Rig::new().await;
    let first = rig.running();
    rig.save(2).await;
    let second = rig.running();
    rig.history.roll_back(&first, "ann").await.unwrap();
    let back = rig.history.roll_back(&second, "ann").await.unwrap();
    assert_eq!((back.pinned, rig.version(), rig.standing()), (None, 2, (State::Current, None)));
    assert_eq!(rig.store.archive().pin().await, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_rollback_holds_the_same_files_back() {
    let rig = Rig::new().await;
    let first = rig.running();
    rig.save(2).await;
    let second = rig.running();
    rig.save(3).await;
    let third = rig.running();
    rig.history.roll_back(&second, "ann").await.unwrap();
    rig.history.roll_back(&first, "bob").await.unwrap();
    let pinned = rig.live.status().pinned.unwrap();
    assert_eq!((pinned.to, pinned.from, pinned.who.as_str()), (first, third, "bob"));
    assert_eq!((rig.look().await, rig.version()), (Reloaded::Unchanged, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_whose_secret_is_gone_is_refused_and_nothing_changes() {
    let rig = Rig::new().await;
    let first = rig.running();
    write(rig.folder.path(), "other", SECRET);
    write(rig.folder.path(), "gateway.toml", &toml("other"));
    assert_eq!(rig.save(2).await, Reloaded::Activated);
    let before = (rig.running(), rig.live.status().activated_at, rig.told().await);
    std::fs::remove_file(rig.folder.path().join("secret")).unwrap();
    match rig.history.roll_back(&first, "ann").await {
        Err(Failure::Refused { findings, .. }) => assert_eq!(findings[0].code, "config/secret", "{findings:#?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!((rig.running(), rig.live.status().activated_at, rig.told().await), before);
    assert_eq!(rig.standing(), (State::Current, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_may_become_as_short_as_it_was() {
    let rig = Rig::new().await;
    let first = rig.running();
    write(rig.folder.path(), "tables/few.txt", &rows(1_000));
    assert_eq!(rig.look().await, Reloaded::Activated);
    write(rig.folder.path(), "tables/few.txt", &rows(10));
    assert_eq!(rig.look().await, Reloaded::Refused, "a save of so few rows is a mistake");
    rig.history.roll_back(&first, "ann").await.unwrap();
    assert_eq!(rig.running(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_no_release_are_told_apart() {
    let rig = Rig::new().await;
    for name in ["", "abc", "0000", "zzzz", &"0".repeat(64)] {
        let back = rig.history.roll_back(name, "ann").await;
        assert!(matches!(back, Err(Failure::Unknown(_))), "{name}: {back:?}");
    }
    let damaged = Connection::open(store(&rig.folder)).unwrap();
    let first = rig.running();
    rig.save(2).await;
    damaged.execute("UPDATE release_piece SET bytes = x'00'", []).unwrap();
    let back = rig.history.roll_back(&first, "ann").await;
    assert!(matches!(&back, Err(failure) if failure.to_string().contains("is not what it was")), "{back:?}");
    assert_eq!(rig.version(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_release_is_in_the_log_once_and_can_be_looked_at() {
    let rig = Rig::new().await;
    write(rig.folder.path(), SCRIPT, &script(2).replace("allow()", "alow()"));
    for _ in 0..3 {
        assert_eq!(rig.look().await, Reloaded::Refused);
    }
    assert_eq!(rig.told().await, ["release refused files", "release activated start"]);
    let change = &rig.changes().await[0];
    let told = detail(change);
    assert_eq!(change.before, Some(rig.running()));
    assert!(told["findings"].to_string().contains("unknown function `alow`"), "{told}");
    assert!(told["files"][0]["text"].as_str().unwrap().contains("{ return alow(); }\n"), "{told}");

    let refused = rig.live.status().on_disk.unwrap();
    let listed = rig.history.releases().await.unwrap();
    assert_eq!((&listed[0].hash, listed[0].state, listed.len()), (&refused, Standing::Refused, 2));
    let shown = rig.history.release(&refused).await.unwrap();
    assert!(shown.files.iter().any(|file| file.text.as_ref().is_some_and(|text| text.contains("alow"))));
    let differs = rig.history.diff(&Named::Running, &Named::Hash(refused[..12].to_owned())).await.unwrap();
    assert_eq!((differs.len(), differs[0].change, differs[0].added), (1, Fate::Changed, 2));
    assert_eq!(rig.history.diff(&Named::Running, &Named::OnDisk).await.unwrap(), differs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_shown_with_its_files_and_what_came_before_it() {
    let rig = Rig::new().await;
    let first = rig.running();
    write(rig.folder.path(), "scripts/more.rhai", "fn more() { 1 }\n");
    write(rig.folder.path(), "tables/few.txt", &rows(11));
    rig.save(2).await;
    let shown = rig.history.release(&first[..8]).await.unwrap();
    let names: Vec<_> =
        shown.files.iter().map(|file| (file.part.name(), file.name.as_str(), file.text.is_some())).collect();
    assert_eq!(names, [("config", "gateway.toml", true), ("script", "hook.rhai", true), ("table", "few", true)]);
    assert_eq!(shown.release.tests.as_ref().map(|tests| tests["failed"].clone()), Some(json!(0)));
    let differs = rig.history.diff(&Named::Hash(first), &Named::Running).await.unwrap();
    let told: Vec<_> = differs.iter().map(|file| (file.name.as_str(), file.change, file.added, file.removed)).collect();
    assert_eq!(
        told,
        [("hook.rhai", Fate::Changed, 1, 1), ("more.rhai", Fate::Added, 1, 0), ("few", Fate::Changed, 1, 0)]
    );
    assert!(differs[0].text.as_ref().unwrap().contains("-    deny(\"version 1\")\n+    deny(\"version 2\")\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_row_and_a_removed_row_are_found() {
    for (crime, number, why) in [
        ("UPDATE change SET who = 'nobody' WHERE number = 2", 2, "was edited"),
        ("UPDATE change SET detail = '{}' WHERE number = 4", 4, "was edited"),
        ("DELETE FROM change WHERE number = 3", 3, "is missing"),
        ("DELETE FROM change WHERE number = 1", 1, "is missing"),
        ("DELETE FROM change WHERE number = 4", 4, "is missing"),
        (
            "INSERT INTO change SELECT 5, at, who, what, subject, detail, was, became, hash, hash FROM change WHERE number = 4",
            5,
            "was edited",
        ),
    ] {
        let rig = Rig::new().await;
        rig.save(2).await;
        rig.history.note("ann", "events purged", "all", &json!({ "events": 3 })).await.unwrap();
        rig.save(3).await;
        let verified = rig.history.verify().await.unwrap();
        assert_eq!((verified.rows, verified.wrong), (4, None));
        let db = Connection::open(store(&rig.folder)).unwrap();
        if !crime.starts_with("INSERT") {
            let error = db.execute(crime, []).unwrap_err().to_string();
            assert!(error.contains("only appended to"), "{crime}: {error}");
        }
        db.execute_batch("DROP TRIGGER change_is_not_edited; DROP TRIGGER change_is_not_removed;").unwrap();
        db.execute(crime, []).unwrap();
        let wrong = rig.history.verify().await.unwrap().wrong.unwrap_or_else(|| panic!("{crime}: nothing was found"));
        assert_eq!((wrong.number, wrong.why.as_str()), (number, why), "{crime}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_takes_nothing_holds_up_no_release() {
    let rig = Rig::new().await;
    let first = rig.running();
    rig.save(2).await;
    let db = Connection::open(store(&rig.folder)).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    for version in 3..30 {
        write(rig.folder.path(), SCRIPT, &script(version));
        let began = Instant::now();
        assert_eq!(rig.live.reload(&rig.place), Reloaded::Activated);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
    let back = rig.history.roll_back(&first, "ann").await.unwrap();
    assert_eq!((back.kept, rig.version()), (false, 1), "it is in force although the store does not know yet");
    assert_eq!(rig.look_now(), Reloaded::Unchanged);
    db.execute_batch("ROLLBACK").unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while rig.store.archive().releases().await.unwrap().len() < 10 {
        assert!(Instant::now() < deadline, "what waited is kept");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_does_not_wait_for_tests_and_what_they_admit_stays_out() {
    let rig = Rig::new().await;
    let first = build::read(&rig.place).unwrap().content();
    // Slow all together, and none of them so slow that a busy machine ends it.
    let slow =
        |number| format!("fn test_{number}() {{ let x = 0; while x < 10000 {{ x += 1; }} assert_eq(x, 10000); }}\n");
    write(rig.folder.path(), "gateway.toml", &format!("{}[scripts]\ngate_timeout_ms = 600000\n", toml("secret")));
    assert_eq!(rig.save(2).await, Reloaded::Activated);
    write(rig.folder.path(), "scripts/hook_test.rhai", &(0..100).map(slow).collect::<String>());
    write(rig.folder.path(), SCRIPT, &script(3));
    let (live, place) = (rig.live.clone(), rig.place.clone());
    let reload = tokio::task::spawn_blocking(move || live.reload(&place));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (live, place) = (rig.live.clone(), rig.place.clone());
    tokio::task::spawn_blocking(move || live.roll_back(&place, first, "ann")).await.unwrap().unwrap();
    assert!(!reload.is_finished(), "it waited, or the tests did not take long enough to show that");
    assert_eq!(rig.version(), 1);
    assert_eq!((reload.await.unwrap(), rig.version()), (Reloaded::Unchanged, 1));
    assert_eq!(rig.standing(), (State::Pinned, Some("ann".to_owned())));
}

impl Rig {
    fn look_now(&self) -> Reloaded {
        self.live.reload(&self.place)
    }
}
