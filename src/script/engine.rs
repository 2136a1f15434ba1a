//! The sandbox: a Rhai engine with every limit set by name, no file, network or environment access, and no `eval`.

use std::cell::RefCell;
use std::sync::LazyLock;

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicBlobPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, BitFieldPackage, LanguageCorePackage, LogicPackage, MoreStringPackage,
    Package,
};
use rhai::{
    Dynamic, Engine, EvalAltResult, EvalContext, GlobalRuntimeState, NativeCallContext, OptimizationLevel, Shared,
};

use crate::script::budget;
use crate::script::budget::Limits;
use crate::script::context;
use crate::script::library::Finished;
use crate::script::modules::Modules;
use crate::script::prelude::run::write_log;

/// Rhai's own packages without the clock one: `timestamp()` would make a run depend on more than its input.
static STANDARD: LazyLock<Vec<Shared<rhai::Module>>> = LazyLock::new(|| {
    vec![
        LanguageCorePackage::new().as_shared_module(),
        ArithmeticPackage::new().as_shared_module(),
        BasicStringPackage::new().as_shared_module(),
        BasicIteratorPackage::new().as_shared_module(),
        BasicFnPackage::new().as_shared_module(),
        BitFieldPackage::new().as_shared_module(),
        LogicPackage::new().as_shared_module(),
        BasicMathPackage::new().as_shared_module(),
        BasicArrayPackage::new().as_shared_module(),
        BasicBlobPackage::new().as_shared_module(),
        BasicMapPackage::new().as_shared_module(),
        MoreStringPackage::new().as_shared_module(),
    ]
});

/// Nesting of expressions that the parser accepts, at the top level and inside functions.
const EXPRESSION_DEPTH: usize = 64;
const MAX_FUNCTIONS: usize = 1_000;
const MAX_MODULES: usize = 64;
const MAX_VARIABLES: usize = 512;

/// Words of Rhai that a hook's script may not use.
pub const FORBIDDEN: [&str; 1] = ["eval"];

/// The function by which a script's state after its top level has run (constants, imports) is taken at load.
pub(super) const CAPTURE: &str = "__hookgate_capture";

thread_local! {
    static CAPTURED: RefCell<Option<GlobalRuntimeState>> = const { RefCell::new(None) };
}

/// What the last call of [`CAPTURE`] on this thread took.
pub(super) fn captured() -> Option<GlobalRuntimeState> {
    let mut state = CAPTURED.take()?;
    // As at the start of a call, not in the middle of the one that took it.
    state.level = 0;
    state.scope_level = 0;
    Some(state)
}

/// Whose words a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    Script,
    /// Tests may call `case(…)`, which Rhai reserves.
    Test,
}

/// An engine that parses only: unoptimised, so that the lint sees the script as it was written.
pub fn parser(dialect: Dialect) -> Engine {
    let mut engine = Engine::new_raw();
    engine.set_optimization_level(OptimizationLevel::None);
    restrict(&mut engine, &Limits::default(), dialect);
    engine
}

/// An engine with Rhai's own packages and nothing of ours: what the lint takes as known.
pub fn standard() -> Engine {
    let mut engine = Engine::new_raw();
    for module in STANDARD.iter() {
        engine.register_global_module(module.clone());
    }
    engine
}

/// An engine that runs scripts with `libraries` (later ones hide earlier ones) under `limits`.
pub fn sandbox(libraries: &[&'static Finished], limits: &Limits, modules: Modules, dialect: Dialect) -> Engine {
    let mut engine = standard();
    for library in libraries {
        engine.register_global_module(library.module.clone());
    }
    restrict(&mut engine, limits, dialect);
    engine.set_optimization_level(OptimizationLevel::Simple);
    engine.set_module_resolver(modules);
    engine.register_fn(CAPTURE, |context: NativeCallContext| {
        CAPTURED.with_borrow_mut(|captured| *captured = Some(context.global_runtime_state().clone()));
    });
    engine.on_progress(|_| budget::on_operation());
    engine.on_print(log);
    engine.on_debug(|text, _, _| log(text));
    let host: Vec<(&'static str, Dynamic)> = libraries.iter().flat_map(|library| library.constants.clone()).collect();
    #[allow(deprecated)] // "volatile API" in rhai's words; the version is pinned
    engine.on_var(move |name, index, context| constant(&host, name, index, &context));
    engine
}

fn restrict(engine: &mut Engine, limits: &Limits, dialect: Dialect) {
    for word in FORBIDDEN {
        engine.disable_symbol(word);
    }
    #[allow(deprecated)] // "volatile API" in rhai's words; the version is pinned
    engine.on_parse_token(move |token, _, _| match token {
        rhai::Token::Reserved(word) if *word == "debug" => rhai::Token::Identifier(word),
        rhai::Token::Reserved(word) if dialect == Dialect::Test && *word == "case" => rhai::Token::Identifier(word),
        other => other,
    });
    engine.set_max_expr_depths(EXPRESSION_DEPTH, EXPRESSION_DEPTH);
    engine.set_max_functions(MAX_FUNCTIONS);
    engine.set_max_modules(MAX_MODULES);
    engine.set_max_variables(MAX_VARIABLES);
    engine.set_max_call_levels(limits.call_depth);
    engine.set_max_string_size(limits.max_string_bytes);
    engine.set_max_array_size(limits.max_array_items);
    engine.set_max_map_size(limits.max_map_items);
    // Counted by `budget`: Rhai's own count starts again inside callbacks.
    engine.set_max_operations(0);
    // The interner is shared behind a lock that sleeps 10 ms when two threads meet there.
    engine.set_max_strings_interned(0);
}

/// Resolves what is no local variable: a constant at the top of the same file, or one of the host's.
///
/// Rhai alone would want `global::NAME` inside functions.
fn constant(
    host: &[(&'static str, Dynamic)],
    name: &str,
    index: usize,
    context: &EvalContext,
) -> Result<Option<Dynamic>, Box<EvalAltResult>> {
    if index > 0 {
        return Ok(None);
    }
    if context.scope().contains(name) {
        return Ok(None);
    }
    if let Some(constants) = &context.global_runtime_state().constants {
        let constants = constants.read().map_err(|_| "the constants of this script are damaged")?;
        if let Some(value) = constants.get(name) {
            return Ok(Some(value.clone()));
        }
    }
    Ok(host.iter().find(|(constant, _)| *constant == name).map(|(_, value)| value.clone()))
}

fn log(text: &str) {
    // Outside a run (at load) there is no log to write to, and nothing to tell the script.
    let _ = context::with("print", |run| write_log(run, text, None));
}
