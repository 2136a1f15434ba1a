//! What is under the pointer, with its documentation.

use gen_lsp_types::{Contents, Hover, MarkupContent, MarkupKind};

use crate::editor::outline::{Constant, Function};
use crate::editor::tokens::Kind;
use crate::editor::types::Typed;
use crate::editor::view::View;
use crate::editor::vocabulary::{is_command, methods_of, plain_word};
use hookgate_engine::harness;
use hookgate_engine::harness::shapes;
use hookgate_hooks::ResultShape;
use hookgate_script::library::Entry;
use hookgate_script::parameters;
use hookgate_script::parameters::Parameter;
use hookgate_script::prelude::json;
use hookgate_script::shape::Shape;
use hookgate_script::standard::{Builtin, builtins};

/// The page of the word at a byte.
pub(super) fn hover(view: &View, offset: usize) -> Option<Hover> {
    let index = view.outline.token_at(offset)?;
    let token = view.outline.tokens.get(index).filter(|token| token.kind == Kind::Word)?;
    let pages = pages(view, index);
    let value = Some(pages.join("\n\n---\n\n")).filter(|value| !value.is_empty())?;
    Some(Hover { contents: Contents::MarkupContent(markdown(value)), range: Some(view.text.range(&token.span)) })
}

pub(super) fn markdown(value: String) -> MarkupContent {
    MarkupContent { kind: MarkupKind::Markdown, value }
}

fn pages(view: &View, index: usize) -> Vec<String> {
    let word = view.word(index);
    let before = index.checked_sub(1).map_or("", |before| view.word(before));
    match before {
        "." | "?." => members(view, index, word),
        "::" => {
            let module = index.checked_sub(2).and_then(|alias| view.module(view.word(alias)));
            let page = module.and_then(|module| {
                let constant = |constant| of_constant(constant, &module.text.text);
                module.outline.function(word).map(of_function).or_else(|| module.outline.constant(word).map(constant))
            });
            page.into_iter().collect()
        }
        _ => plain(view, index, word),
    }
}

fn members(view: &View, index: usize, name: &str) -> Vec<String> {
    let unique = |mut pages: Vec<String>| {
        pages.dedup();
        pages.truncate(MAX_PAGES);
        pages
    };
    match view.type_before(index - 1) {
        Typed::Parameters(map) => {
            let values = map.written.iter().filter_map(|map| map.get(name));
            let values = values.map(|value| format!("```json\n{value:#}\n```\nFrom `gateway.toml`."));
            let declared = parameters::find(&map.declared, name).map(of_parameter);
            unique(declared.into_iter().chain(values).collect())
        }
        Typed::Shape(Shape::Value(receiver)) => {
            let entries = view.vocabulary.members(receiver).filter(|entry| entry.name() == name);
            entries.map(|entry| [of_entry(entry), results(view, entry)].concat()).collect()
        }
        Typed::Shape(shape) => match plain_word(shape) {
            Some(word) => methods_of(word).filter(|row| row.name == name).map(of_builtin).collect(),
            None => {
                let ours = view.vocabulary.all_members().filter(|entry| entry.name() == name).map(of_entry);
                let rhai = builtins().iter().filter(|row| row.name == name && row.receiver.is_some()).map(of_builtin);
                unique(ours.chain(rhai).collect())
            }
        },
    }
}

/// What a member of the outcome of a run is after each kind of result, for a test of one hook.
fn results(view: &View, entry: &Entry) -> String {
    let [hook] = view.vocabulary.hooks[..] else { return String::new() };
    if entry.receiver() != Some("Outcome") || !harness::library().entries.iter().any(|own| std::ptr::eq(own, entry)) {
        return String::new();
    }
    let row = |shape: &ResultShape| {
        let holds: Vec<String> = shape.of_member(entry.name()).map(|condition| format!("`{condition}`")).collect();
        (!holds.is_empty()).then(|| format!("\n- {}: {}", shape.result, holds.join(", ")))
    };
    let rows: String = shapes::of(hook).filter_map(row).collect();
    if rows.is_empty() { rows } else { format!("\n\nIn tests of `{}`:\n{rows}", hook.name) }
}

/// A word of unknown meaning gets no more pages than this.
const MAX_PAGES: usize = 4;

fn plain(view: &View, index: usize, word: &str) -> Vec<String> {
    let offset = view.outline.tokens[index].span.start;
    if let Some(function) = view.outline.function(word) {
        return vec![of_function(function)];
    }
    if view.word(index + 1) == "(" {
        let ours: Vec<String> = view.vocabulary.words().filter(|entry| entry.name() == word).map(of_entry).collect();
        if !ours.is_empty() {
            return ours;
        }
        let rhai = builtins().iter().filter(|row| row.name == word).map(of_builtin);
        return rhai.take(MAX_PAGES).collect();
    }
    if let Some(import) = view.outline.import(word) {
        return vec![format!("```rhai\nimport \"{}\" as {word}\n```", import.path)];
    }
    if view.locals(offset + word.len()).iter().any(|local| local.named.name == word) {
        return of_variable(view, word, offset).into_iter().collect();
    }
    if let Some(constant) = view.outline.constant(word) {
        return vec![of_constant(constant, view.source())];
    }
    view.vocabulary.constant(word).map(of_entry).into_iter().collect()
}

fn of_variable(view: &View, word: &str, offset: usize) -> Option<String> {
    let Typed::Shape(shape) = view.variable(word, offset + word.len(), 8) else { return None };
    let about = match shape {
        Shape::Unknown => return None,
        Shape::Value(name) => view.vocabulary.value(name).map_or("", |entry| entry.doc.about),
        _ => "",
    };
    Some(page(&format!("{word}: {}", shape.word()), about, None))
}

/// The page of a row of the registration table.
pub(super) fn of_entry(entry: &'static Entry) -> String {
    let about = if is_command(entry) {
        format!("{}\n\nA command: return it.", entry.doc.about)
    } else {
        entry.doc.about.to_owned()
    };
    page(&entry.signature.to_string(), &about, Some(entry))
}

pub(super) fn of_builtin(row: &Builtin) -> String {
    page(&row.signature(), &row.about, None)
}

/// The page of a parameter that a script declares.
pub(super) fn of_parameter(parameter: &Parameter) -> String {
    let mut text = format!("**{}**: {}", parameter.name, parameter.form.label());
    if let Some(value) = &parameter.if_absent {
        text.push_str(&format!("; if absent: `{}`", json::shown(value)));
    }
    if parameter.required {
        text.push_str("; required");
    }
    format!("{text}\n\n{}", parameter.text)
}

/// The page of a script's own function.
pub(super) fn of_function(function: &Function) -> String {
    page(&format!("fn {}", function.signature()), &function.about, None)
}

pub(super) fn of_constant(constant: &Constant, source: &str) -> String {
    let written: String = source[constant.span.clone()].lines().take(8).collect::<Vec<_>>().join("\n");
    page(&written, &constant.about, None)
}

fn page(signature: &str, about: &str, entry: Option<&Entry>) -> String {
    let mut text = format!("```rhai\n{signature}\n```");
    if !about.is_empty() {
        text.push_str(&format!("\n{about}"));
    }
    if let Some(entry) = entry.filter(|entry| !entry.doc.example.is_empty()) {
        let (title, example) = (entry.example_title(), entry.doc.example);
        text.push_str(&format!("\n\n{title}:\n```rhai\n{example}\n```"));
    }
    text
}
