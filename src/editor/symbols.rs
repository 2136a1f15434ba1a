//! The functions and constants of a script, for the outline that editors show.

use gen_lsp_types::{DocumentSymbol, SymbolKind};

use crate::editor::view::View;

/// In the order of the text.
#[allow(deprecated, reason = "the protocol wants the field `deprecated` to be there, and empty")]
pub(super) fn symbols(view: &View) -> Vec<DocumentSymbol> {
    let symbol = |name: &str, detail: String, kind, span: &_, name_span: &_| DocumentSymbol {
        name: name.to_owned(),
        detail: Some(detail),
        kind,
        tags: None,
        deprecated: None,
        range: view.text.range(span),
        selection_range: view.text.range(name_span),
        children: None,
    };
    let functions = view.outline.functions.iter().map(|function| {
        symbol(&function.name, function.signature(), SymbolKind::Function, &function.span, &function.name_span)
    });
    let constants = view.outline.constants.iter().map(|constant| {
        symbol(&constant.name, String::new(), SymbolKind::Constant, &constant.span, &constant.name_span)
    });
    let mut all: Vec<DocumentSymbol> = functions.chain(constants).collect();
    all.sort_by_key(|symbol| symbol.range.start);
    all
}
