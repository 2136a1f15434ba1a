//! The sandbox: a Rhai engine with every limit set by name, no file, network or environment access, and no `eval`.

use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicBlobPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, BitFieldPackage, LanguageCorePackage, LogicPackage, MoreStringPackage,
    Package,
};
use rhai::{
    AST, Caches, Dynamic, Engine, EvalAltResult, EvalContext, GlobalRuntimeState, LexError, NativeCallContext,
    OptimizationLevel, ParseError, ParseErrorType, Position, Scope, Shared, Token,
};

use crate::budget;
use crate::budget::Limits;
use crate::cells;
use crate::context;
use crate::library::Finished;
use crate::modules::Modules;
use crate::natives;
use crate::prelude::run::write_log;

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

/// Those of [`STANDARD`] whose cost depends on their arguments, with a check of it: they hide the originals.
static GUARDED: LazyLock<Shared<rhai::Module>> = LazyLock::new(|| natives::standard(&standard()).into());

/// Nesting of expressions that the parser accepts, at the top level and inside functions.
const EXPRESSION_DEPTH: usize = 64;
const MAX_FUNCTIONS: usize = 1_000;
const MAX_MODULES: usize = 64;
/// Variables in scope at once.
pub(super) const MAX_VARIABLES: usize = 512;

/// Words of Rhai that a hook's script may not use.
pub(crate) const FORBIDDEN: [&str; 1] = ["eval"];

/// Names that begin with this belong to hookgate: a script that uses one is refused.
pub(crate) const RESERVED_PREFIX: &str = "__hookgate";
/// The function by which the state of an imported file is taken at the end of its top level. No script can name it.
pub(super) const CAPTURE: &str = "__hookgate_capture";
/// The most tokens of one file. A legible file of 1 MB has fewer than 200,000.
pub(crate) const MAX_TOKENS: u32 = 200_000;
/// Rhai's optimiser takes time that grows with the square of the statements in a block: 60,000 took 6 s. Files with more
/// tokens than this run as they were parsed.
const MAX_OPTIMIZED_TOKENS: u32 = 20_000;

/// For every name that is no local variable, the parser looks through all such names before it. The sum of these looks is limited.
const MAX_NAME_LOOKS: usize = 100_000_000;

/// What the parser says of a file with more than [`MAX_TOKENS`].
pub(super) const TOO_LARGE: &str = "too many tokens";
/// What it says of a file with more than [`MAX_NAME_LOOKS`].
pub(super) const TOO_MANY_NAMES: &str = "too many names";
/// What it says of a name that begins with [`RESERVED_PREFIX`].
pub(super) const RESERVED: &str = "reserved name";

/// What is counted while a text is parsed.
#[derive(Default)]
struct Parsing {
    tokens: u32,
    /// Hashes of the names so far.
    names: HashSet<u64>,
    name_looks: usize,
    /// What the text was refused for first, and where. The parser itself may say something else of that place.
    refused: Option<(&'static str, Position)>,
}

thread_local! {
    /// Of the text that this thread parses by [`parse`]; nothing is counted of others, which are our own.
    static PARSING: RefCell<Option<Parsing>> = const { RefCell::new(None) };
}

/// Parses `source`, and counts its tokens. Constants in `scope` may be used by name.
///
/// # Errors
/// It is no script, it is too large, or it uses a name that is reserved.
pub(super) fn parse(engine: &Engine, scope: &Scope, source: &str) -> Result<(AST, u32), ParseError> {
    PARSING.set(Some(Parsing::default()));
    let parsed = engine.compile_with_scope(scope, source);
    let Parsing { tokens, refused, .. } = PARSING.take().unwrap_or_default();
    if let Some((why, at)) = refused {
        let error = ParseErrorType::BadInput(LexError::Runtime(why.to_owned()));
        return Err(ParseError(Box::new(error), at));
    }
    parsed.map(|ast| (ast, tokens))
}

/// Parses `source` for running it, with the constants of `scope` put in where they are used.
///
/// # Errors
/// As [`parse`].
pub(super) fn compile(engine: &Engine, scope: &Scope, source: &str) -> Result<AST, ParseError> {
    let (ast, tokens) = parse(engine, scope, source)?;
    if tokens > MAX_OPTIMIZED_TOKENS {
        return Ok(ast);
    }
    Ok(engine.optimize_ast(scope, ast, OptimizationLevel::Simple))
}

/// Runs the top level of a script, and gives the state that it leaves: its constants, its imports and its functions.
///
/// # Errors
/// Something at the top level failed.
pub(super) fn run_top_level(engine: &Engine, ast: &AST) -> Result<GlobalRuntimeState, Box<EvalAltResult>> {
    let mut state = engine.new_global_runtime_state();
    state.source = ast.source().map(Into::into);
    state.lib.push(ast.shared_lib().clone());
    let (mut caches, mut scope) = (Caches::new(), Scope::new());
    #[allow(deprecated)] // no other function of rhai gives the state back; the version is pinned
    let result = engine.eval_statements_raw(&mut state, &mut caches, &mut scope, ast.statements());
    result.map(|_| state)
}

thread_local! {
    static CAPTURED: RefCell<Option<GlobalRuntimeState>> = const { RefCell::new(None) };
}

/// What the last call of [`CAPTURE`] on this thread took.
pub(super) fn captured() -> Option<GlobalRuntimeState> {
    CAPTURED.take()
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
    restrict(&mut engine, &Limits::default(), dialect);
    // The parser looks through all variables in scope at every name, so their number is limited here as it is in a run.
    #[allow(deprecated)] // "volatile API" in rhai's words; the version is pinned
    engine.on_def_var(|_, _, context| Ok(context.scope().len() < MAX_VARIABLES));
    engine
}

/// An engine with Rhai's own packages and nothing of ours: what the lint takes as known.
pub(crate) fn standard() -> Engine {
    let mut engine = Engine::new_raw();
    for module in STANDARD.iter() {
        engine.register_global_module(module.clone());
    }
    engine
}

/// An engine that runs scripts with `libraries` (later ones hide earlier ones) under `limits`.
pub fn sandbox(libraries: &[&'static Finished], limits: &Limits, modules: Modules, dialect: Dialect) -> Engine {
    let mut engine = standard();
    engine.register_global_module(GUARDED.clone());
    for library in libraries {
        engine.register_global_module(library.module.clone());
    }
    restrict(&mut engine, limits, dialect);
    engine.set_module_resolver(modules);
    engine.register_fn(CAPTURE, |context: NativeCallContext| {
        CAPTURED.with_borrow_mut(|captured| *captured = Some(context.global_runtime_state().clone()));
    });
    engine.on_progress(|_| budget::on_operation());
    engine.on_print(log);
    engine.on_debug(|text, _, _| log(text));
    let host: Vec<(&'static str, Dynamic)> = libraries.iter().flat_map(|library| library.constants.clone()).collect();
    #[allow(deprecated)] // "volatile API" in rhai's words; the version is pinned
    engine.on_var(move |name, index, mut context| {
        if cells::watching() {
            cells::note(name, &mut context);
        }
        constant(&host, name, index, &context)
    });
    engine
}

fn restrict(engine: &mut Engine, limits: &Limits, dialect: Dialect) {
    for word in FORBIDDEN {
        engine.disable_symbol(word);
    }
    #[allow(deprecated)] // "volatile API" in rhai's words; the version is pinned
    engine.on_parse_token(move |token, position, _| {
        if let Some(why) = PARSING.with_borrow_mut(|parsing| parsing.as_mut()?.refuse(&token, position)) {
            return Token::LexError(Box::new(LexError::Runtime(why.to_owned())));
        }
        match token {
            Token::Reserved(word) if *word == "debug" => Token::Identifier(word),
            Token::Reserved(word) if dialect == Dialect::Test && *word == "case" => Token::Identifier(word),
            other => other,
        }
    });
    // Only `compile` optimises, because it knows which files are too large for that.
    engine.set_optimization_level(OptimizationLevel::None);
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

impl Parsing {
    /// Counts a token. Why the text is refused with it, if it is.
    fn refuse(&mut self, token: &Token, position: Position) -> Option<&'static str> {
        self.tokens = self.tokens.saturating_add(1);
        let mut why = (self.tokens > MAX_TOKENS).then_some(TOO_LARGE);
        if let Token::Identifier(name) = token {
            let mut hasher = DefaultHasher::new();
            name.hash(&mut hasher);
            self.names.insert(hasher.finish());
            self.name_looks = self.name_looks.saturating_add(self.names.len());
            if self.name_looks > MAX_NAME_LOOKS {
                why = Some(TOO_MANY_NAMES);
            }
            if name.starts_with(RESERVED_PREFIX) {
                why = Some(RESERVED);
            }
        }
        if let (Some(why), None) = (why, self.refused) {
            self.refused = Some((why, position));
        }
        why
    }
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
