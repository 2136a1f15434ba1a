//! One script as the editor shows it, with everything that is known around it: what all answers are made from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::editor::outline::{Import, Outline};
use crate::editor::text::Text;
use crate::editor::types::ParameterMap;
use crate::editor::vocabulary::Vocabulary;
use hookgate_engine::release::build::survey::Survey;
use hookgate_hooks::Hook;
use hookgate_script::compile::TEST_SUFFIX;
use hookgate_script::modules::Modules;
use hookgate_script::parameters;
use hookgate_script::parameters::Parameter;

/// A script and its surroundings.
pub(super) struct View<'a> {
    pub(super) text: Text,
    pub(super) outline: Outline,
    pub(super) vocabulary: Vocabulary,
    /// The parameters of each route and rule that uses the script, and those that it declares.
    pub(super) params: ParameterMap<'a>,
    /// Names of the tables of the bundle.
    pub(super) tables: Vec<&'a str>,
    /// Path below the scripts folder.
    pub(super) name: String,
    /// All scripts of the bundle, those that are open as they are shown.
    pub(super) scripts: &'a BTreeMap<String, Arc<str>>,
    /// The scripts folder.
    pub(super) folder: PathBuf,
}

/// A file that this one imports.
pub(super) struct Module {
    pub(super) path: PathBuf,
    pub(super) text: Text,
    pub(super) outline: Outline,
}

impl<'a> View<'a> {
    pub(super) fn new(name: String, text: Text, folder: PathBuf, survey: &'a Survey) -> Self {
        let outline = Outline::of(&text.text);
        let tested = name.strip_suffix(TEST_SUFFIX).map(|stem| format!("{stem}.rhai"));
        let (routed, written) = uses(survey, tested.as_deref().unwrap_or(&name));
        let declared = match &tested {
            Some(script) => survey.scripts.get(script).map(|text| declared(text, &Outline::of(text))),
            None => Some(declared(&text.text, &outline)),
        };
        let params = ParameterMap { written, declared: declared.unwrap_or_default() };
        let vocabulary = Vocabulary::of(&name, &routed, &outline);
        let config = survey.document.as_ref().map(|document| &document.config);
        let tables = config.into_iter().flat_map(|config| config.tables.keys().map(String::as_str)).collect();
        Self { text, outline, vocabulary, params, tables, name, scripts: &survey.scripts, folder }
    }

    pub(super) fn source(&self) -> &str {
        &self.text.text
    }

    /// The text of a token; empty beyond the last.
    pub(super) fn word(&self, index: usize) -> &str {
        self.outline.word(self.source(), index).unwrap_or_default()
    }

    /// The file that is imported under a name.
    pub(super) fn module(&self, alias: &str) -> Option<Module> {
        self.imported(self.outline.import(alias)?)
    }

    /// The file of an import.
    pub(super) fn imported(&self, import: &Import) -> Option<Module> {
        let file = Modules::file_of(&import.path);
        let text = Text::new(self.scripts.get(&file)?.clone());
        let outline = Outline::of(&text.text);
        Some(Module { path: self.folder.join(file), text, outline })
    }
}

/// The hooks that a script is used for, and the parameters that it gets.
fn uses<'a>(survey: &'a Survey, name: &str) -> (Vec<&'static Hook>, Vec<&'a Map<String, Value>>) {
    let mut found: Vec<&'static Hook> = Vec::new();
    let mut params = Vec::new();
    for route in survey.document.iter().flat_map(|document| document.config.routes.values()) {
        let rules = route.rules.values().filter(|rule| rule.script == name).map(|rule| &rule.params);
        let own = Some(&route.params).filter(|_| route.script.as_deref() == Some(name));
        let uses: Vec<_> = rules.chain(own).collect();
        if let Some(hook) = hookgate_hooks::find(&route.hook).filter(|_| !uses.is_empty())
            && !found.iter().any(|known| known.name == hook.name)
        {
            found.push(hook);
        }
        params.extend(uses);
    }
    (found, params)
}

/// The parameters that a script declares, also while it does not parse.
fn declared(source: &str, outline: &Outline) -> Vec<Parameter> {
    let constant = outline.constant(parameters::NAME);
    let written = constant.and_then(|constant| source.get(constant.span.clone()));
    written.and_then(parameters::of_statement).unwrap_or_default().parameters
}
