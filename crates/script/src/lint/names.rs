//! Functions whose name is taken by Rhai or by the table.

use std::collections::BTreeSet;

use rhai::{ASTNode, Expr};

use crate::library::Entry;
use crate::lint::known::Known;
use crate::lint::source::Function;
use crate::lint::{Input, Report, arguments};

pub(crate) fn check(input: &Input, functions: &[Function], report: &mut Report) {
    let methods = methods(input);
    for function in functions.iter().filter(|function| !function.is_closure()) {
        hidden(input.known, function, &methods, report);
    }
}

/// Name and number of arguments of everything that the file calls as a method.
fn methods(input: &Input) -> BTreeSet<(String, usize)> {
    let mut found = BTreeSet::new();
    input.ast.walk(&mut |path| {
        if let Some(ASTNode::Expr(Expr::MethodCall(call, _))) = path.last() {
            found.insert((call.name.to_string(), call.args.len()));
        }
        true
    });
    found
}

/// A script's function wins over a native one of the same name and arity, everywhere in the file. Over a method it wins where
/// that is called: `fn user(login)` is no trouble in a file that never says `okta("org").user(id)`.
fn hidden(known: &Known, function: &Function, methods: &BTreeSet<(String, usize)>, report: &mut Report) {
    let (name, arity) = (function.name.as_str(), function.parameters.len());
    let help = || Some(format!("give `{name}` another name"));
    let hides = |form: &&&Entry| match form.receiver() {
        Some(_) => form.signature.fits(arity, true) && methods.contains(&(name.to_owned(), arity)),
        None => form.signature.fits(arity, true) || form.signature.fits(arity, false),
    };
    if let Some(form) = known.forms(name).iter().find(hides) {
        let message = format!("this function hides the built-in `{}`", form.signature.call());
        return report.error("script/hides-builtin", function.position, message, help());
    }
    if known.standard().takes(name, arity) {
        let message = format!("this function hides Rhai's own `{name}` with {}", arguments(arity));
        return report.error("script/hides-builtin", function.position, message, help());
    }
    if known.standard().takes(name, arity + 1) {
        let message = format!(
            "`value.{name}({})` would call this function instead of Rhai's own `{name}`",
            "…".repeat(arity.min(1))
        );
        report.warning("script/hides-builtin", function.position, message, help());
    }
}
