//! `import "lib/domains" as domains;`: modules come from the release's own snapshot of the scripts folder, never from disk.
//!
//! Paths are relative to the scripts folder, whichever file imports. Missing files and circles are found before
//! anything runs (`compile`), so resolving cannot meet them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{AST, Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};

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
        let module = Module::eval_ast_as_new(Scope::new(), ast, engine)
            .map_err(|error| EvalAltResult::ErrorInModule(file.clone(), error, position))?;
        let module = Shared::new(module);
        self.0.made.lock().unwrap_or_else(PoisonError::into_inner).insert(file, module.clone());
        Ok(module)
    }
}
