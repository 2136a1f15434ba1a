//! The form of the call whose brackets the place is in.

use gen_lsp_types::{
    ActiveParameter, ParameterInformation, ParameterInformationLabel, SignatureHelp, SignatureInformation,
};

use crate::editor::hover;
use crate::editor::outline::Function;
use crate::editor::tokens::Kind;
use crate::editor::types::Typed;
use crate::editor::view::View;
use crate::editor::vocabulary::plain_word;
use hookgate_script::shape::Shape;
use hookgate_script::standard::builtins;

/// One way to call something.
struct Form {
    label: String,
    parameters: Vec<String>,
    about: String,
}

pub(super) fn signature(view: &View, offset: usize) -> Option<SignatureHelp> {
    let (open, argument) = open_bracket(view, offset)?;
    let callee = open.checked_sub(1).filter(|index| view.outline.tokens[*index].kind == Kind::Word)?;
    let forms = forms(view, callee);
    let fits = forms.iter().position(|form| form.parameters.len() > argument).unwrap_or(0);
    let signatures: Vec<SignatureInformation> = forms.into_iter().map(information).collect();
    let active = u32::try_from(argument).ok().map(ActiveParameter::Int);
    (!signatures.is_empty()).then(|| SignatureHelp {
        signatures,
        active_signature: u32::try_from(fits).ok(),
        active_parameter: active,
    })
}

/// The bracket that is open at the place, and how many commas of its own follow it.
fn open_bracket(view: &View, offset: usize) -> Option<(usize, usize)> {
    let before = view.outline.tokens.partition_point(|token| token.span.end <= offset);
    let (mut depth, mut commas) = (0_usize, 0);
    for index in (0..before).rev().filter(|index| view.outline.tokens[*index].kind == Kind::Sign) {
        match view.word(index) {
            ")" | "]" | "}" => depth += 1,
            "(" if depth == 0 => return Some((index, commas)),
            "{" | ";" if depth == 0 => return None,
            "[" | "#{" | "?[" if depth == 0 => commas = 0,
            "(" | "[" | "{" | "#{" | "?[" => depth = depth.saturating_sub(1),
            "," if depth == 0 => commas += 1,
            _ => {}
        }
    }
    None
}

fn forms(view: &View, callee: usize) -> Vec<Form> {
    let name = view.word(callee);
    let before = callee.checked_sub(1).map_or("", |before| view.word(before));
    let own = |function: &Function| Form {
        label: function.signature(),
        parameters: function.parameters.iter().map(|parameter| parameter.name.clone()).collect(),
        about: function.about.clone(),
    };
    match before {
        "fn" => Vec::new(),
        "::" => {
            let module = callee.checked_sub(2).and_then(|alias| view.module(view.word(alias)));
            module
                .iter()
                .flat_map(|module| &module.outline.functions)
                .filter(|function| function.name == name)
                .map(own)
                .collect()
        }
        "." | "?." => methods(view, callee, name),
        _ => {
            let functions = view.outline.functions.iter().filter(|function| function.name == name).map(own);
            let functions: Vec<Form> = functions.collect();
            if functions.is_empty() { registered(view, name) } else { functions }
        }
    }
}

fn registered(view: &View, name: &str) -> Vec<Form> {
    let ours: Vec<Form> = view.vocabulary.words().filter(|entry| entry.name() == name).map(of_entry).collect();
    if ours.is_empty() { of_rhai(None, name) } else { ours }
}

fn methods(view: &View, callee: usize, name: &str) -> Vec<Form> {
    match view.type_before(callee - 1) {
        Typed::Shape(Shape::Value(receiver)) => {
            view.vocabulary.members(receiver).filter(|entry| entry.name() == name).map(of_entry).collect()
        }
        Typed::Shape(shape) if plain_word(shape).is_some() => of_rhai(plain_word(shape), name),
        _ => {
            let ours = view.vocabulary.all_members().filter(|entry| entry.name() == name).map(of_entry);
            ours.chain(of_rhai(None, name)).collect()
        }
    }
}

fn of_entry(entry: &'static hookgate_script::library::Entry) -> Form {
    let names = entry.signature.params().iter().map(|param| param.name.to_owned());
    Form { label: entry.signature.to_string(), parameters: names.collect(), about: entry.doc.about.to_owned() }
}

fn of_rhai(receiver: Option<&str>, name: &str) -> Vec<Form> {
    let rows = builtins().iter().filter(|row| row.name == name && (receiver.is_none() || row.receiver == receiver));
    rows.map(|row| Form { label: row.signature(), parameters: row.parameters.clone(), about: row.about.clone() })
        .collect()
}

fn information(form: Form) -> SignatureInformation {
    let parameter =
        |name: String| ParameterInformation { label: ParameterInformationLabel::String(name), documentation: None };
    SignatureInformation {
        label: form.label,
        documentation: Some(hover::markdown(form.about).into()),
        parameters: Some(form.parameters.into_iter().map(parameter).collect()),
        active_parameter: None,
    }
}
