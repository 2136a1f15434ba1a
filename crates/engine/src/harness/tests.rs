//! Calls every function that a script or a test can name with arguments near the limits: none may use more memory than
//! its run, go on after the deadline, hold an async worker, or hold up a script that runs beside it.
//!
//! A value of a type that is not Rhai's is found by calling the functions that make one.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rhai::{Caches, Dynamic, Engine, EvalContext, FnPtr, FuncMetadata, Map, Scope};
use serde_json::json;

use hookgate_hooks::{HOOKS, Hook};
use hookgate_script::allocator;
use hookgate_script::budget::{self, Budget, Limits};
use hookgate_script::context::{self, Context, Mocked, Surroundings, World};
use hookgate_script::engine::{self, Dialect};
use hookgate_script::library::{Finished, registered};
use hookgate_script::modules::Modules;
use hookgate_script::natives::samples;
use hookgate_script::prelude;
use hookgate_script::table::{Kind, Table};

const MEMORY: usize = 8 << 20;
const DEADLINE: Duration = Duration::from_millis(40);
const PATIENCE: Duration = Duration::from_millis(2);

/// What the code of this crate and of Rhai takes longer without optimisation.
const SLOWER: u32 = if cfg!(debug_assertions) { 10 } else { 1 };

/// A run may go on for so long after its deadline, and an async worker may be held for so long.
const LATE: Duration = Duration::from_millis(50);
const HELD: Duration = Duration::from_millis(20);

/// A run of another script takes no longer meanwhile, in 99 of a hundred cases: no function holds a lock for long.
const BESIDE: Duration = Duration::from_millis(20);

/// Computing hashes that are slow on purpose has its own gate, see [`hookgate_script::password::gate`].
const GATED: [&str; 2] = ["verifies", "verify_nothing"];

/// Functions whose arguments only a lookup, the run of a test or a whole request makes. They read one member of what is there, or
/// hand over to a function that is called here.
const OUT_OF_REACH: [&str; 49] = [
    "add_claim",
    "all",
    "assert_fails",
    "contains",
    "get",
    "get$actions",
    "get$refused",
    "get$client_id",
    "get$commands",
    "get$dn",
    "get$effect",
    "get$failure",
    "get$grant_type",
    "get$json",
    "get$logs",
    "get$lookups",
    "get$notes",
    "get$ok",
    "get$operations",
    "get$reason",
    "get$redirect_uri",
    "get$refresh_token_id",
    "get$reply",
    "get$response_mode",
    "get$response_type",
    "get$scopes",
    "get$stale",
    "get$state",
    "get$status",
    "get$text",
    "get$took_ms",
    "get$wanted",
    "incr",
    "index$get$",
    "json",
    "keys",
    "merged",
    "once",
    "range",
    "remove_claim",
    "replace_claim",
    "run",
    "set",
    "set_lifetime",
    "to_debug",
    "to_map",
    "to_string",
    "within_rate",
    "without",
];

/// Combinations of arguments that a function is called with.
const COMBINATIONS: usize = 8;

/// Values by their type, the large ones among them.
struct Pool(HashMap<TypeId, Vec<Dynamic>>);

impl Pool {
    fn new() -> Self {
        let long = "a".repeat(1_000_000);
        let mut pool = Self(HashMap::new());
        pool.extend([
            long.clone().into(),
            "[],".repeat(300_000).into(),
            format!("[{}[]]", "[],".repeat(300_000)).into(),
        ]);
        let texts = [
            "ann.lee+x@example.com",
            "^(?:(a|aa|aaa)*){1,40}(a*)(a*)(a*)(a*)b?$",
            "https://example.com/x?y=1",
            "192.0.2.1",
            "+4930123456",
            "2026-11-29T12:00:00Z",
            "t",
            "",
        ];
        pool.extend(texts.map(|text| Dynamic::from(text.to_owned())));
        pool.extend([1_i64, 0, -1, 9_999, 1_000_000, i64::MAX, i64::MIN].map(Dynamic::from));
        pool.extend([1.5, f64::MAX, f64::NAN].map(Dynamic::from));
        pool.extend(['a', '\u{1f600}'].map(Dynamic::from));
        let numbers = Dynamic::from_array((0..10_000_i64).rev().map(Dynamic::from).collect());
        let text = Dynamic::from(long);
        let shared = Dynamic::from_array(vec![text.clone(); 10_000]);
        let nested = (0..60).fold(Dynamic::UNIT, |inner, _| Dynamic::from_array(vec![inner]));
        let names = Dynamic::from_array(vec!["example.com".into(), "a".into()]);
        pool.extend([numbers.clone(), shared.clone(), nested.clone(), names]);
        let many: Map = (0..10_000).map(|number| (format!("k{number}").into(), Dynamic::from(1_i64))).collect();
        let heavy: Map = (0..10_000).map(|number| (format!("k{number}").into(), text.clone())).collect();
        pool.extend([Dynamic::from_map(many), Dynamic::from_map(heavy), Dynamic::from_map(Map::new())]);
        pool.extend([Dynamic::from_blob(vec![1; 10_000]), Dynamic::from_blob(Vec::new())]);
        pool.extend(["to_string", "len", "to_upper"].map(|name| FnPtr::new(name).expect("a name").into()));
        pool.extend([Dynamic::from(0_i64..i64::MAX), Dynamic::from(0_i64..5)]);
        pool.extend([Dynamic::from(0_i64..=i64::MAX - 1), Dynamic::from(-5_i64..=5)]);
        // What stands for anything.
        pool.0.insert(TypeId::of::<Dynamic>(), vec![shared, text, numbers, nested, Dynamic::UNIT]);
        pool
    }

    fn extend(&mut self, values: impl IntoIterator<Item = Dynamic>) {
        for value in values {
            self.0.entry(value.type_id()).or_default().push(value);
        }
    }

    /// Keeps what a function gave, if there is little of its type yet.
    fn learn(&mut self, value: Dynamic) {
        let kept = self.0.entry(value.type_id()).or_default();
        if kept.len() < 2 {
            kept.push(value);
        }
    }

    /// Values for a parameter.
    fn of(&self, shape: TypeId) -> Vec<Dynamic> {
        let known = self.0.get(&shape).cloned().unwrap_or_default();
        if known.is_empty() { samples::smallest(shape).into_iter().collect() } else { known }
    }
}

/// What a call used: bytes at its peak, and time of this thread's processor.
struct Used {
    bytes: i64,
    time: Duration,
    stopped: Option<budget::Stopped>,
}

/// Time that this thread has run, whatever else the machine does.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

/// Time that this thread was ready to run and another one had its processor: what a busy machine takes, and no lock.
fn waiting_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

/// Another script, on a thread of its own, run again and again until `done`: how long each run took without what the machine
/// took for others.
fn beside(done: &AtomicBool) -> Vec<Duration> {
    let modules = Modules::new(BTreeMap::default());
    let engine = engine::sandbox(&[prelude::library()], &Limits::default(), modules, Dialect::Script);
    let script = "let found = []; for i in 0..20 { found += `ann${i}@example.com`.to_upper(); } \
        found.filter(|text| text.len() > 15 && matches(text, \"[A-Z]+[0-9]+@.*\")).len() == 20";
    let ast = engine.compile(script).expect("a script");
    let mut took = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let budget = Budget { operations: 1_000_000, deadline, memory_bytes: MEMORY, patience: None };
        let (waited, began) = (waiting_time(), Instant::now());
        let (result, stopped, _) =
            budget::spend(&budget, || engine.eval_ast_with_scope::<bool>(&mut Scope::new(), &ast).expect("it runs"));
        took.push(began.elapsed().saturating_sub(waiting_time() - waited));
        assert!(result && stopped.is_none(), "{stopped:?}");
        // Most of the processor is for the functions.
        std::thread::sleep(Duration::from_millis(1));
    }
    took.sort_unstable();
    took
}

#[test]
fn every_signature_says_what_its_function_takes_and_gives() {
    let wrong = registered::disagreements(crate::harness::library(), &[prelude::library()]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn surroundings() -> Arc<Surroundings> {
    let rows = json!({ "7": { "name": "Ann" } });
    let table = Table::of("t", Kind::Json, None, &rows).expect("a table");
    let tables = [("t".to_owned(), Arc::new(table))].into_iter().collect();
    Arc::new(Surroundings { tables: Arc::new(tables), ..Surroundings::default() })
}

fn call(engine: &Engine, row: &FuncMetadata, arguments: &[Dynamic], patience: bool) -> (Option<Dynamic>, Used) {
    let mut values = arguments.to_vec();
    let mut arguments: Vec<&mut Dynamic> = values.iter_mut().collect();
    let (mut global, mut caches, mut scope) = (engine.new_global_runtime_state(), Caches::new(), Scope::new());
    let now = Instant::now();
    let patience = patience.then(|| (20_000, now + PATIENCE));
    let budget = Budget { operations: 10_000_000, deadline: now + DEADLINE, memory_bytes: MEMORY, patience };
    let world = World::Mocked(Arc::new(Mocked::at(jiff::Timestamp::UNIX_EPOCH, 100)));
    let context = Context::new(surroundings(), world, now + DEADLINE);
    let started = processor_time();
    let before = allocator::take_thread_peak().min(allocator::thread_bytes());
    let ((result, _), stopped, _) = budget::spend(&budget, || {
        context::enter(context, || {
            std::panic::catch_unwind(AssertUnwindSafe(|| {
                EvalContext::new(engine, &mut global, &mut caches, &mut scope, None).call_native_fn_raw(
                    &row.name,
                    true,
                    &mut arguments,
                )
            }))
        })
    });
    let used = Used { bytes: allocator::take_thread_peak() - before, time: processor_time() - started, stopped };
    let signature = row.gen_signature(|shape| shape.to_owned().into());
    let result = result.unwrap_or_else(|_| panic!("`{signature}` panicked"));
    (result.ok(), used)
}

/// Some of the ways to choose one value for each parameter: the first has the first of each.
fn combinations(choices: &[Vec<Dynamic>]) -> Vec<Vec<Dynamic>> {
    let all: usize = choices.iter().map(Vec::len).product();
    let step = all.div_ceil(COMBINATIONS).max(1);
    // Odd steps do not meet the same choice of one parameter again and again.
    let step = if step > 1 { step | 1 } else { 1 };
    // The first values of each type are the largest.
    let numbers: BTreeSet<usize> = (0..all).step_by(step).chain(0..all.min(3)).collect();
    numbers
        .into_iter()
        .map(|mut number| {
            let choose = |values: &Vec<Dynamic>| {
                let value = values[number % values.len()].clone();
                number /= values.len();
                value
            };
            choices.iter().map(choose).collect()
        })
        .collect()
}

struct Walk {
    engine: Engine,
    pool: Pool,
    bad: BTreeSet<String>,
}

impl Walk {
    fn new(libraries: &[&'static Finished], pool: Pool) -> Self {
        let modules = Modules::new(BTreeMap::default());
        let engine = engine::sandbox(libraries, &Limits::default(), modules, Dialect::Test);
        Self { engine, pool, bad: BTreeSet::new() }
    }

    /// Calls each of `rows`, and those whose arguments are only found on the way once these are there. Gives what was never
    /// called.
    fn walk(&mut self, rows: Vec<FuncMetadata>) -> Vec<FuncMetadata> {
        let mut left = rows;
        loop {
            let before = left.len();
            left.retain(|row| !self.visit(row));
            if left.len() == before {
                return left;
            }
        }
    }

    fn visit(&mut self, row: &FuncMetadata) -> bool {
        let choices: Vec<_> = row.param_types.iter().map(|shape| self.pool.of(*shape)).collect();
        if choices.iter().any(Vec::is_empty) {
            return false;
        }
        if GATED.contains(&row.name.as_str()) {
            return true;
        }
        for arguments in combinations(&choices) {
            for patience in [true, false] {
                let (value, used) = call(&self.engine, row, &arguments, patience);
                self.judge(row, &arguments, patience, &used);
                if let Some(value) = value.filter(|value| value.is_variant()) {
                    self.pool.learn(value);
                }
            }
        }
        true
    }

    fn judge(&mut self, row: &FuncMetadata, arguments: &[Dynamic], patience: bool, used: &Used) {
        let most = if patience { HELD } else { DEADLINE + LATE };
        let (too_long, too_much) = (used.time > most * SLOWER, used.bytes > (MEMORY + MEMORY / 10) as i64);
        if too_long || too_much {
            let signature = row.gen_signature(|shape| shape.to_owned().into());
            let shapes: Vec<String> = arguments.iter().map(shape).collect();
            let (time, mib, stopped) = (used.time, used.bytes >> 20, used.stopped);
            self.bad.insert(format!("{signature} of ({}): {time:?}, {mib} MiB, {stopped:?}", shapes.join(", ")));
        }
    }
}

/// An argument in short.
fn shape(value: &Dynamic) -> String {
    if let Ok(text) = value.as_immutable_string_ref() {
        return format!("{:?}… {} bytes", text.chars().take(12).collect::<String>(), text.len());
    }
    if let Ok(items) = value.as_array_ref() {
        return format!("{} items", items.len());
    }
    value.as_map_ref().map_or_else(|_| value.type_name().to_owned(), |map| format!("{} members", map.len()))
}

fn rows_of(engine: &Engine) -> Vec<FuncMetadata> {
    engine.collect_fn_metadata(None, |info| Some(info.metadata.clone()), true)
}

/// A request with much in it.
fn requests(hook: &Hook) -> Vec<Dynamic> {
    let sample = hook.samples[0].request;
    let large =
        sample.replacen("\"userProfile\":{", &format!("\"userProfile\":{{\"note\":\"{}\",", "a".repeat(900_000)), 1);
    let bodies = [sample.to_owned(), large];
    bodies.into_iter().filter_map(|body| (hook.decode)(&body.into()).ok()).map(|decoded| decoded.request).collect()
}

#[test]
fn no_function_uses_more_than_its_run_may() {
    let done = AtomicBool::new(false);
    let took = std::thread::scope(|scope| {
        let beside = scope.spawn(|| beside(&done));
        let walked = std::panic::catch_unwind(walk_all);
        done.store(true, Ordering::Relaxed);
        let took = beside.join().expect("the other script runs");
        walked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        took
    });
    assert!(took.len() >= 100, "only {} runs beside", took.len());
    let p99 = took[took.len() * 99 / 100];
    assert!(p99 < BESIDE, "another script took {p99:?} meanwhile, {:?} at most", took.last());
}

fn walk_all() {
    let mut pool = Pool::new();
    pool.extend(prelude::library().constants.iter().map(|(_, value)| value.clone()));
    let plain = Walk::new(&[prelude::library()], pool);
    let mut known: BTreeSet<u64> = BTreeSet::new();
    let mut bad = BTreeSet::new();
    let mut never = BTreeMap::new();
    let mut visit = |mut walk: Walk| {
        let rows: Vec<FuncMetadata> = rows_of(&walk.engine).into_iter().filter(|row| known.insert(row.hash)).collect();
        for row in walk.walk(rows) {
            never.insert(row.hash, row);
        }
        never.retain(|_, row| !walk.visit(row));
        bad.extend(walk.bad);
        walk.pool
    };
    let mut pool = visit(plain);
    for hook in HOOKS.iter() {
        pool.extend(requests(hook));
        pool.extend(hook.library().constants.iter().map(|(_, value)| value.clone()));
        pool = visit(Walk::new(&[prelude::library(), hook.library()], pool));
    }
    visit(Walk::new(&[prelude::library(), crate::harness::library()], pool));
    assert!(bad.is_empty(), "{bad:#?}");
    let never = never.values().filter(|row| !OUT_OF_REACH.contains(&row.name.as_str()));
    let never: Vec<String> = never.map(|row| row.gen_signature(|shape| shape.to_owned().into())).collect();
    assert!(never.is_empty(), "nothing makes the arguments of these {}: {never:#?}", never.len());
}
