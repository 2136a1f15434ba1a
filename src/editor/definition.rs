//! Where a name comes from.

use std::ops::Range;
use std::path::{Path, PathBuf};

use gen_lsp_types::{Location, Uri};

use crate::editor::text::Text;
use crate::editor::tokens::Kind;
use crate::editor::view::{Module, View};

/// The declaration of the word at a byte, in this file or in one that it imports.
pub(super) fn definition(view: &View, offset: usize) -> Option<Location> {
    let index = view.outline.token_at(offset)?;
    let token = &view.outline.tokens[index];
    let here = |span: &Range<usize>| location(&path_of(view), &view.text, span);
    if token.kind == Kind::Text {
        let import = view.outline.imports.iter().find(|import| import.path_span == token.span)?;
        return start_of(&view.imported(import)?);
    }
    let word = view.word(index);
    match index.checked_sub(1).map_or("", |before| view.word(before)) {
        "." | "?." => None,
        "::" => {
            let module = view.module(view.word(index.checked_sub(2)?))?;
            let function = module.outline.function(word).map(|function| &function.name_span);
            let span = function.or_else(|| Some(&module.outline.constant(word)?.name_span))?;
            location(&module.path, &module.text, span)
        }
        _ => {
            let call = view.word(index + 1) == "(";
            let function = || view.outline.function(word).map(|function| function.name_span.clone());
            let local = || {
                let found = view.locals(token.span.end).into_iter().rev().find(|local| local.named.name == word);
                found.map(|local| local.named.span)
            };
            let constant = || view.outline.constant(word).map(|constant| constant.name_span.clone());
            let import = || view.outline.import(word).map(|import| import.alias_span.clone());
            let span = if call { function() } else { local().or_else(constant).or_else(function) };
            here(&span.or_else(import)?)
        }
    }
}

fn path_of(view: &View) -> PathBuf {
    view.folder.join(&view.name)
}

fn start_of(module: &Module) -> Option<Location> {
    location(&module.path, &module.text, &(0..0))
}

fn location(path: &Path, text: &Text, span: &Range<usize>) -> Option<Location> {
    Some(Location { uri: Uri::from_file_path(path).ok()?, range: text.range(span) })
}
