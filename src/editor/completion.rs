//! What may be written at a place.

use std::collections::BTreeSet;

use gen_lsp_types::{CompletionItem, CompletionItemKind, InsertTextFormat, TextEdit};

use crate::editor::hover;
use crate::editor::outline::{Constant, Function, Outline};
use crate::editor::tokens::Kind;
use crate::editor::types::{ParameterMap, Typed};
use crate::editor::view::View;
use crate::editor::vocabulary::{is_command, methods_of, plain_word};
use hookgate_script::library;
use hookgate_script::library::Entry;
use hookgate_script::parameters;
use hookgate_script::shape::Shape;
use hookgate_script::standard::{Builtin, builtins};

/// How an editor inserts what was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Insert {
    /// With places to fill in.
    Snippets,
    Plain,
}

const KEYWORDS: [&str; 20] = [
    "let", "const", "if", "else", "switch", "for", "in", "while", "loop", "do", "until", "break", "continue", "return",
    "throw", "try", "catch", "fn", "true", "false",
];

/// Everything that fits at a byte. The editor narrows it down to what was typed already.
pub(super) fn completion(view: &View, offset: usize, insert: Insert) -> Vec<CompletionItem> {
    let tokens = &view.outline.tokens;
    // The token that is being typed, or the first one after the place.
    let typed = tokens.partition_point(|token| token.span.end < offset);
    let current = tokens.get(typed).filter(|token| token.span.start < offset);
    match current.map(|token| token.kind) {
        Some(Kind::Comment | Kind::Doc | Kind::Number) => return Vec::new(),
        Some(Kind::Text) if !is_between(view, typed, offset) => return in_text(view, typed, offset),
        _ => {}
    }
    // What stands before the word that is being typed.
    let word = current.is_some_and(|token| token.kind == Kind::Word);
    let before = if word || current.is_none() { typed.checked_sub(1) } else { Some(typed) };
    match before.map(|before| (before, view.word(before))) {
        Some((dot, "." | "?.")) => members(view, dot, insert),
        Some((colons, "::")) => exports(view, colons, insert),
        Some((_, "fn")) => entries(view, insert),
        Some((_, "let" | "const" | "as")) => Vec::new(),
        _ => words(view, offset, insert),
    }
}

/// Whether the place is behind the closing quote, or right after `${` or before `}` of a text with values.
fn is_between(view: &View, index: usize, offset: usize) -> bool {
    let token = &view.outline.tokens[index];
    let text = token.text(view.source());
    let closed = text.len() > 1 && text.ends_with(['"', '\'', '`']);
    token.span.end == offset && (closed || text.ends_with("${"))
}

/// Names of tables in `table("…")`, files in `import "…"`.
fn in_text(view: &View, index: usize, offset: usize) -> Vec<CompletionItem> {
    let before = |back: usize| index.checked_sub(back).map_or("", |before| view.word(before));
    let names: Vec<(String, CompletionItemKind)> = match (before(2), before(1)) {
        ("table", "(") => view.tables.iter().map(|name| ((*name).to_owned(), CompletionItemKind::Value)).collect(),
        (_, "import") => {
            let others = view.scripts.keys().filter(|name| **name != view.name && !name.ends_with("_test.rhai"));
            others.map(|name| (name.trim_end_matches(".rhai").to_owned(), CompletionItemKind::File)).collect()
        }
        _ => return Vec::new(),
    };
    let token = &view.outline.tokens[index];
    let text = token.text(view.source());
    let closed = text.len() > 1 && text.ends_with(['"', '`']);
    let end = if closed { token.span.end - 1 } else { offset };
    let range = view.text.range(&(token.span.start + 1..end.max(token.span.start + 1)));
    let item = |(name, kind): (String, CompletionItemKind)| CompletionItem {
        label: name.clone(),
        kind: Some(kind),
        text_edit: Some(TextEdit { range, new_text: name }.into()),
        ..CompletionItem::default()
    };
    names.into_iter().map(item).collect()
}

fn members(view: &View, dot: usize, insert: Insert) -> Vec<CompletionItem> {
    let items = match view.type_before(dot) {
        Typed::Parameters(map) => of_parameters(&map),
        Typed::Shape(Shape::Value(receiver)) => {
            view.vocabulary.members(receiver).filter(is_named).map(|entry| of_entry(entry, insert)).collect()
        }
        Typed::Shape(shape) => match plain_word(shape) {
            Some(word) => methods_of(word).map(|row| of_builtin(row, insert)).collect(),
            None if shape == Shape::Unknown => {
                let ours =
                    view.vocabulary.all_members().filter(is_named).filter(|entry| entry.kind != library::Kind::Value);
                let rhai = builtins().iter().filter(|row| row.receiver.is_some());
                ours.map(|entry| of_entry(entry, insert)).chain(rhai.map(|row| of_builtin(row, insert))).collect()
            }
            None => Vec::new(),
        },
    };
    once_each(items)
}

/// What is declared, in that order, and then what `gateway.toml` has besides.
fn of_parameters(map: &ParameterMap) -> Vec<CompletionItem> {
    let declared = map.declared.iter().map(|parameter| CompletionItem {
        detail: Some(parameter.form.label().replace('`', "")),
        documentation: Some(hover::markdown(hover::of_parameter(parameter)).into()),
        ..plain(&parameter.name, CompletionItemKind::Field)
    });
    let names: BTreeSet<&String> = map.written.iter().flat_map(|map| map.keys()).collect();
    let value = |name: &String| map.written.iter().find_map(|map| map.get(name)).map(ToString::to_string);
    let is_declared = |name: &&String| parameters::find(&map.declared, name).is_some();
    let others = names.into_iter().filter(|name| !is_declared(name));
    let item = |name: &String| CompletionItem { detail: value(name), ..plain(name, CompletionItemKind::Field) };
    declared.chain(others.map(item)).collect()
}

/// Rows such as `Profile.*` name no property.
fn is_named(entry: &&'static Entry) -> bool {
    entry.name().starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Functions and constants of an imported file.
fn exports(view: &View, colons: usize, insert: Insert) -> Vec<CompletionItem> {
    let module = colons.checked_sub(1).and_then(|alias| view.module(view.word(alias)));
    let Some(module) = module else { return Vec::new() };
    let public = module.outline.functions.iter().filter(|function| !function.private);
    let functions = public.map(|function| of_function(function, insert));
    let constants = module.outline.constants.iter().map(|constant| of_constant(constant, &module.text.text));
    once_each(functions.chain(constants).collect())
}

/// Entry functions of hooks, whole.
fn entries(view: &View, insert: Insert) -> Vec<CompletionItem> {
    let missing = view.vocabulary.hooks.iter().filter(|hook| view.outline.function(hook.entry).is_none());
    let item = |hook: &&hookgate_hooks::Hook| {
        let parameter = hook.parameter();
        let text = match insert {
            Insert::Snippets => format!("{}({parameter}) {{\n    $0\n}}", hook.entry),
            Insert::Plain => hook.entry.to_owned(),
        };
        CompletionItem {
            detail: Some(hook.name.to_owned()),
            documentation: Some(hover::markdown(hook.about.to_owned()).into()),
            ..inserted(hook.entry, CompletionItemKind::Function, text, insert)
        }
    };
    missing.map(item).collect()
}

fn words(view: &View, offset: usize, insert: Insert) -> Vec<CompletionItem> {
    let mut items = Vec::new();
    let locals = view.locals(offset);
    items.extend(locals.iter().rev().map(|local| plain(&local.named.name, CompletionItemKind::Variable)));
    items.extend(of_file(&view.outline, view.source(), insert));
    let imports = view.outline.imports.iter().filter(|import| !import.alias.is_empty());
    items.extend(imports.map(|import| CompletionItem {
        detail: Some(import.path.clone()),
        ..plain(&import.alias, CompletionItemKind::Module)
    }));
    items.extend(view.vocabulary.words().filter(is_named).map(|entry| of_entry(entry, insert)));
    items.extend(builtins().iter().filter(|row| row.receiver.is_none()).map(|row| of_builtin(row, insert)));
    items.extend(KEYWORDS.iter().map(|word| plain(word, CompletionItemKind::Keyword)));
    if view.outline.around(offset).is_none() {
        items.push(plain("import", CompletionItemKind::Keyword));
    }
    once_each(items)
}

fn of_file<'o>(outline: &'o Outline, source: &'o str, insert: Insert) -> impl Iterator<Item = CompletionItem> + 'o {
    let functions = outline.functions.iter().map(move |function| of_function(function, insert));
    functions.chain(outline.constants.iter().map(|constant| of_constant(constant, source)))
}

fn of_entry(entry: &'static Entry, insert: Insert) -> CompletionItem {
    let kind = match entry.kind {
        library::Kind::Value => CompletionItemKind::Class,
        library::Kind::Property => CompletionItemKind::Property,
        library::Kind::Method => CompletionItemKind::Method,
        library::Kind::Function if is_command(entry) => CompletionItemKind::Constructor,
        library::Kind::Function => CompletionItemKind::Function,
        library::Kind::Constant => CompletionItemKind::Constant,
    };
    let required = entry.signature.params().iter().filter(|param| !param.optional);
    let names: Vec<&str> = required.map(|param| param.name).collect();
    let item = match entry.kind {
        library::Kind::Method | library::Kind::Function => called(entry.name(), kind, &names, insert),
        _ => plain(entry.name(), kind),
    };
    CompletionItem {
        detail: Some(entry.signature.to_string()),
        documentation: Some(hover::markdown(hover::of_entry(entry)).into()),
        ..item
    }
}

fn of_builtin(row: &'static Builtin, insert: Insert) -> CompletionItem {
    let kind = if row.receiver.is_some() { CompletionItemKind::Method } else { CompletionItemKind::Function };
    let names: Vec<&str> = row.parameters.iter().map(String::as_str).collect();
    CompletionItem {
        detail: Some(row.signature()),
        documentation: Some(hover::markdown(hover::of_builtin(row)).into()),
        ..called(&row.name, kind, &names, insert)
    }
}

fn of_function(function: &Function, insert: Insert) -> CompletionItem {
    let names: Vec<&str> = function.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    CompletionItem {
        detail: Some(function.signature()),
        documentation: Some(hover::markdown(hover::of_function(function)).into()),
        ..called(&function.name, CompletionItemKind::Function, &names, insert)
    }
}

fn of_constant(constant: &Constant, source: &str) -> CompletionItem {
    CompletionItem {
        documentation: Some(hover::markdown(hover::of_constant(constant, source)).into()),
        ..plain(&constant.name, CompletionItemKind::Constant)
    }
}

fn plain(name: &str, kind: CompletionItemKind) -> CompletionItem {
    CompletionItem { label: name.to_owned(), kind: Some(kind), ..CompletionItem::default() }
}

/// With brackets, and places for the arguments.
fn called(name: &str, kind: CompletionItemKind, parameters: &[&str], insert: Insert) -> CompletionItem {
    let text = match insert {
        Insert::Plain => name.to_owned(),
        Insert::Snippets => {
            let places = parameters.iter().enumerate().map(|(index, name)| format!("${{{}:{name}}}", index + 1));
            format!("{name}({})$0", places.collect::<Vec<_>>().join(", "))
        }
    };
    inserted(name, kind, text, insert)
}

fn inserted(label: &str, kind: CompletionItemKind, text: String, insert: Insert) -> CompletionItem {
    let format = (insert == Insert::Snippets).then_some(InsertTextFormat::Snippet);
    CompletionItem { insert_text: Some(text), insert_text_format: format, ..plain(label, kind) }
}

/// The first of each name and form.
fn once_each(items: Vec<CompletionItem>) -> Vec<CompletionItem> {
    let mut seen = BTreeSet::new();
    items.into_iter().filter(|item| seen.insert((item.label.clone(), item.insert_text.clone()))).collect()
}
