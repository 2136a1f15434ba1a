//! `release`, on a store that a gateway in this process uses meanwhile, or used.

use std::sync::Arc;

use hookgate_engine::history::{Beginning, History};
use hookgate_engine::release::build;
use hookgate_engine::release::build::Secrets;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::gate::Pace;
use hookgate_engine::release::live::{Live, Reloaded};
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_store::Store;
use hookgate_store::sqlite::{Options, Sqlite};
use rusqlite::Connection;
use tokio::runtime::Runtime;

use super::{Bundle, Ran};

/// A bundle whose gateway runs here.
struct Running {
    bundle: Bundle,
    place: Place,
    live: Arc<Live>,
    history: Arc<History>,
    store: Arc<Sqlite>,
    runtime: Runtime,
}

impl Running {
    fn new() -> Self {
        let bundle = Bundle::new();
        let runtime = Runtime::new().unwrap();
        let place = Place::of(&bundle.path().join("gateway.toml"));
        let store = Arc::new(Sqlite::open(&bundle.path().join("data/hookgate.db"), Options::default()).unwrap());
        let (live, history) = runtime.block_on(async {
            let metrics = Metrics::new();
            let live = Arc::new(Live::new(metrics.clone()));
            let history = History::start(store.clone(), live.clone(), place.clone());
            let Beginning { reading, pinned } = history.begin(build::read(&place).unwrap()).await.unwrap();
            let mut release = build::assemble(&place, reading, None, Secrets::Load, &metrics).unwrap();
            let tests = pinned.is_none().then(|| live.examine(&mut release, Pace::Start).unwrap());
            live.start(release, tests, pinned);
            assert!(history.settle().await);
            (live, history)
        });
        Self { bundle, place, live, history, store, runtime }
    }

    fn label(&self) -> String {
        self.live.current().unwrap().label().to_owned()
    }

    fn save(&self, old: &str, new: &str) {
        self.bundle.replace("scripts/registration.rhai", old, new);
        let (live, place) = (self.live.clone(), self.place.clone());
        let reloaded = self
            .runtime
            .block_on(async move { tokio::task::spawn_blocking(move || live.reload(&place)).await.unwrap() });
        assert_eq!(reloaded, Reloaded::Activated, "{:?}", self.live.status().error);
        assert!(self.runtime.block_on(self.history.settle()));
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.bundle.run(&[&["release"], args].concat())
    }

    /// The bundle, when its gateway has stopped.
    fn stopped(self) -> Bundle {
        let Self { bundle, live, history, store, runtime, .. } = self;
        runtime.block_on(history.stop());
        drop((live, history, store));
        bundle
    }
}

#[test]
fn releases_are_listed_shown_and_compared() {
    let running = Running::new();
    let first = running.label();
    running.save("fn on_registration", "// a remark\nfn on_registration");
    let ran = running.run(&["list"]);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!((ran.status, lines.len()), (0, 3), "{}{}", ran.out, ran.err);
    assert!(
        lines[1].contains(&running.label()) && lines[1].contains("newest") && lines[1].ends_with("files"),
        "{}",
        ran.out
    );
    assert!(lines[2].starts_with(&first) && lines[2].contains("past") && lines[2].ends_with("start"), "{}", ran.out);
    assert_eq!(running.run(&["list", "--json"]).json()["releases"][1]["label"], first);

    let ran = running.run(&["show", &first[..6]]);
    assert!(
        ran.status == 0 && ran.out.contains("script registration.rhai") && ran.out.contains("tests: "),
        "{}{}",
        ran.out,
        ran.err
    );
    let ran = running.run(&["diff", &first, &running.label()]);
    assert!(
        ran.out.contains("changed script registration.rhai +1 -0") && ran.out.contains("\n+// a remark\n"),
        "{}",
        ran.out
    );
    let ran = running.run(&["diff", &running.label()]);
    assert_eq!((ran.status, ran.out.as_str()), (0, "they are the same\n"), "on disk is what is in force");
    for name in ["0000", "zz", "ffffffffffff"] {
        let ran = running.run(&["show", name]);
        assert!(ran.status == 2 && ran.err.contains("release list"), "{name}: {}", ran.err);
    }
}

#[test]
fn the_log_of_changes_is_verified_against_itself_and_against_a_hash() {
    let running = Running::new();
    running.save("fn on_registration", "// a remark\nfn on_registration");
    let ran = running.run(&["verify"]);
    assert!(ran.status == 0 && ran.out.starts_with("good: 2 rows"), "{}{}", ran.out, ran.err);
    let hash = ran.out.trim().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(running.run(&["verify", "--holds", &hash]).status, 0);
    let ran = running.run(&["verify", "--holds", &"0".repeat(64)]);
    assert!(ran.status == 1 && ran.out.contains("written anew"), "{}", ran.out);
    let db = Connection::open(running.bundle.path().join("data/hookgate.db")).unwrap();
    db.execute_batch("DROP TRIGGER change_is_not_edited; UPDATE change SET who = 'nobody' WHERE number = 1").unwrap();
    let ran = running.run(&["verify"]);
    assert!(ran.status == 1 && ran.out.contains("row 1 was edited"), "{}", ran.out);
    assert_eq!(running.run(&["verify", "--json"]).json()["wrong"]["number"], 1);
}

#[test]
fn a_pinned_release_that_cannot_be_built_stops_the_start_until_it_is_unpinned() {
    let running = Running::new();
    let first = running.label();
    let ran = running.run(&["unpin"]);
    assert!(ran.status == 1 && ran.err.contains("nothing is pinned"), "{}", ran.err);
    running.bundle.write("other", "another-secret");
    running.bundle.replace("gateway.toml", "{ file = \"secrets/okta\", create = true }", "{ file = \"other\" }");
    running.save("fn on_registration", "// a remark\nfn on_registration");
    running.runtime.block_on(running.history.roll_back(&first, "ann")).unwrap();
    let ran = running.run(&["list"]);
    assert!(ran.out.contains(&format!("{first} is pinned by ann")), "{}", ran.out);

    let bundle = running.stopped();
    // A secret that is made where it is missing cannot be made here.
    std::fs::remove_dir_all(bundle.path().join("secrets")).unwrap();
    bundle.write("secrets", "not a folder");
    let ran = bundle.run(&["serve"]);
    assert!(ran.status == 2 && ran.err.contains("hookgate release unpin"), "{}{}", ran.out, ran.err);
    let ran = bundle.run(&["release", "unpin"]);
    assert!(ran.status == 0 && ran.err.contains("the next start takes what is on disk"), "{}", ran.err);
    let store = Sqlite::attach(&bundle.path().join("data/hookgate.db")).unwrap();
    let runtime = Runtime::new().unwrap();
    assert_eq!(runtime.block_on(store.archive().pin()), Ok(None));
    let page = runtime.block_on(store.archive().changes(Default::default())).unwrap();
    assert_eq!((page.changes[0].what.as_str(), page.changes[0].who.as_str()), ("pin ended", "command line"));
}
