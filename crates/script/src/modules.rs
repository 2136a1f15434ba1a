//! `import "lib/domains" as domains;`: modules come from the release's own snapshot of the scripts folder, never from disk.
//!
//! Paths are relative to the scripts folder, whichever file imports. Missing files and circles are found before
//! anything runs (`compile`), so resolving cannot meet them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{AST, Dynamic, Engine, EvalAltResult, GlobalRuntimeState, Module, ModuleResolver, Position, Scope, Shared};

use crate::depth::Constants;
use crate::engine;

/// The parsed files of a release by path (`lib/domains.rhai`), and the modules made of them so far.
#[derive(Clone)]
pub struct Modules(Arc<Inner>);

struct Inner {
    files: BTreeMap<String, AST>,
    made: Mutex<BTreeMap<String, Shared<Module>>>,
}

impl Modules {
    pub fn new(files: BTreeMap<String, AST>) -> Self {
        Self(Arc::new(Inner { files, made: Mutex::default() }))
    }

    /// The file that `import "path"` means.
    pub fn file_of(path: &str) -> String {
        format!("{}.rhai", path.strip_suffix(".rhai").unwrap_or(path))
    }
}

impl ModuleResolver for Modules {
    fn resolve(
        &self,
        engine: &Engine,
        _importer: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let file = Self::file_of(path);
        let made = |modules: &Inner| modules.made.lock().unwrap_or_else(PoisonError::into_inner).get(&file).cloned();
        if let Some(module) = made(&self.0) {
            return Ok(module);
        }
        let missing = || EvalAltResult::ErrorModuleNotFound(path.into(), position);
        let ast = self.0.files.get(&file).ok_or_else(missing)?;
        // The lock is not held here: making a module may import others.
        let module = make(engine, ast).map_err(|error| EvalAltResult::ErrorInModule(file.clone(), error, position))?;
        let module = Shared::new(module);
        self.0.made.lock().unwrap_or_else(PoisonError::into_inner).insert(file, module.clone());
        Ok(module)
    }
}

/// Runs the file's top level; what it leaves is kept for all runs.
fn make(engine: &Engine, ast: &AST) -> Result<Module, Box<EvalAltResult>> {
    // Appended to the file: its constants are where only functions can see them.
    let capture = engine.compile(format!("{}();", engine::CAPTURE))?;
    let source = ast.source().map(str::to_owned);
    let mut ast = ast.merge(&capture);
    if let Some(source) = source {
        ast.set_source(source);
    }
    let mut module = Module::eval_ast_as_new(Scope::new(), &ast, engine)?;
    if let Some(state) = engine::captured() {
        fix_constants(&state)?;
    }
    let mut constants = Constants::of_a_file();
    let mut exported: Vec<(String, Dynamic)> =
        module.iter_var().map(|(name, value)| (name.to_owned(), value.clone())).collect();
    for (name, value) in &mut exported {
        constants.fix(name, value)?;
    }
    for (name, value) in exported {
        module.set_var(name, value);
    }
    module.build_index();
    Ok(module)
}

/// Makes the constants of a file fit to be kept, where its functions find them.
///
/// # Errors
/// One of them does not fit.
pub(super) fn fix_constants(state: &GlobalRuntimeState) -> Result<(), Box<EvalAltResult>> {
    let Some(constants) = &state.constants else { return Ok(()) };
    let mut constants = constants.write().map_err(|_| "the constants of this script are damaged")?;
    let mut fixed = Constants::of_a_file();
    constants.iter_mut().try_for_each(|(name, value)| fixed.fix(name, value))
}
