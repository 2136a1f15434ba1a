//! Runs of a script with one lookup that takes five milliseconds, beside the same script without it: calls per second and how
//! many threads there are. `cargo bench --bench lookups [-- SECONDS]`. Ends with 1 when a goal is missed.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a bench")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hookgate_engine::lookup::Lookups;
use hookgate_engine::release::build::Secrets;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::{InlineScript, Plan, Release, build};
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_hooks::Decoded;
use hookgate_script::context::World;
use hookgate_script::lanes::Lanes;
use hookgate_script::run::Call;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// How long the API takes.
const TAKES: Duration = Duration::from_millis(5);

const PURE: &str = "fn on_registration(request) { set_profile(\"team\", request.email.domain) }";
const ASKING: &str = "fn on_registration(request) {
    let found = http(\"hr\").get(\"/people\", #{ email: request.email.text });
    set_profile(\"team\", found.json.team)
}";

/// Everything that a run needs.
struct Bench {
    release: Release,
    lanes: Lanes,
    lookups: Lookups,
    request: Decoded,
}

fn main() {
    let seconds = std::env::args().filter_map(|text| text.parse().ok()).next().unwrap_or(3.0);
    let time = Duration::from_secs_f64(seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let missed = runtime.block_on(async {
        let port = api().await;
        let pure = measure(Arc::new(Bench::new(PURE, port)), 2, time).await;
        println!("without a lookup, 2 callers: {pure:.0}/s");
        let asking = measure(Arc::new(Bench::new(ASKING, port)), 64, time).await;
        println!("with one of {TAKES:?}, 64 callers: {asking:.0}/s, {} threads in all", threads());
        asking < 2_000.0
    });
    if missed {
        println!("MISSED 2,000 calls a second with a lookup of 5 ms");
        std::process::exit(1);
    }
}

impl Bench {
    fn new(script: &str, port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "[auth.open]\nscheme = \"none\"\n[connectors.hr]\nkind = \"http\"\nbase_url = \"http://127.0.0.1:{port}\"\n\
             allow_private = true\n[routes.hook]\npath = \"/hook\"\nhook = \"okta.registration\"\nscript = \"hook.rhai\"\n\
             auth = \"open\"\non_failure = \"allow\"\n"
        );
        std::fs::create_dir(folder.path().join("scripts")).unwrap();
        std::fs::write(folder.path().join("gateway.toml"), config).unwrap();
        std::fs::write(folder.path().join("scripts/hook.rhai"), script).unwrap();
        let place = Place::of(&folder.path().join("gateway.toml"));
        let release = build::check(&place, Secrets::Check, &Metrics::new()).unwrap();
        let hook = release.routes[0].hook;
        let request = (hook.decode)(&hook.samples[0].request.into()).unwrap();
        let lookups = Lookups::on_trial(Metrics::new());
        Self { release, lanes: Lanes::start().unwrap(), lookups, request }
    }

    async fn run(&self) {
        let Plan::Inline(InlineScript { script, surroundings, .. }) = &self.release.routes[0].plan else {
            unreachable!()
        };
        let call = Call {
            request: self.request.request.clone(),
            surroundings: surroundings.clone(),
            world: World::Real,
            deadline: Instant::now() + Duration::from_secs(2),
        };
        let outside = self.lookups.of(&self.release.connectors, None, false);
        drop(self.lanes.run(script, call, &outside).await.result.unwrap());
    }
}

/// Calls per second of so many callers.
async fn measure(bench: Arc<Bench>, callers: usize, time: Duration) -> f64 {
    let (done, started) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let calling: Vec<_> = (0..callers)
        .map(|_| {
            let (bench, done) = (bench.clone(), done.clone());
            tokio::spawn(async move {
                while started.elapsed() < time {
                    bench.run().await;
                    done.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for one in calling {
        one.await.unwrap();
    }
    #[allow(clippy::cast_precision_loss, reason = "calls of seconds")]
    let calls = done.load(Ordering::Relaxed) as f64;
    calls / started.elapsed().as_secs_f64()
}

/// An API that takes its time; its port.
async fn api() -> u16 {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{\"team\":\"payroll\"}";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                    tokio::time::sleep(TAKES).await;
                    if stream.write_all(ANSWER).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// Threads of this process, those of scripts included.
fn threads() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    line.map_or_else(|| "an unknown number of".to_owned(), |count| count.trim().to_owned())
}
