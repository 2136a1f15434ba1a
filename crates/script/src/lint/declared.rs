//! The declaration of a script's parameters: what is wrong with it, what the script reads beyond it, and what nobody reads.

use rhai::{ASTNode, Expr, Position};

use crate::lint::reads::{Names, Reads, is_parameters};
use crate::lint::values::{Link, links};
use crate::lint::{Input, Report};
use crate::parameters::{Declaration, Declared, Form, NAME, Parameter, find};
use hookgate_model::finding::nearest;

/// What a script declares, and what it and all that it imports read.
pub(crate) struct Parameters<'a> {
    pub(crate) declared: &'a Declared,
    pub(crate) reads: Reads,
}

pub(super) fn check(input: &Input, report: &mut Report) {
    let Some(Parameters { declared, reads }) = &input.parameters else { return };
    for problem in &declared.problems {
        report.error("script/parameter-declaration", problem.place, problem.message.clone(), problem.help.clone());
    }
    let Some(declaration) = declared.whole() else { return };
    let own = undeclared(input, declaration, report);
    let Names::These(names) = &reads.parameters else { return };
    for name in names.iter().filter(|name| declaration.parameter(name).is_none() && !own.contains(name)) {
        let message = format!("a file that this script imports reads `params.{name}`, which `{NAME}` lacks");
        report.error("script/undeclared-parameter", declared.place, message, format!("add `{name}` to `{NAME}`"));
    }
    for parameter in declaration.parameters.iter().filter(|parameter| !names.contains(parameter.name.as_str())) {
        let message = format!("nothing reads the parameter `{}`", parameter.name);
        report.warning("script/unread-parameter", parameter.place, message, "remove it".to_owned());
    }
}

/// Complains about what the file reads and does not declare; the names of all that it reads.
fn undeclared(input: &Input, declaration: &Declaration, report: &mut Report) -> Vec<String> {
    let mut names = Vec::new();
    input.ast.walk(&mut |path| {
        if let Some(ASTNode::Expr(expression)) = path.last() {
            let read = read(expression);
            names.extend(read.first().map(|(name, _)| (*name).to_owned()));
            one(&declaration.parameters, &read, report);
        }
        true
    });
    names
}

fn one(parameters: &[Parameter], read: &[(&str, Position)], report: &mut Report) {
    let Some(((name, place), rest)) = read.split_first() else { return };
    match find(parameters, name).map(|parameter| &parameter.form) {
        Some(Form::Members(members)) => one(&members.parameters, rest, report),
        Some(_) => {}
        None => {
            let names = parameters.iter().map(|parameter| parameter.name.as_str());
            let help = match nearest(name, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add it to `{NAME}`"),
            };
            report.error("script/undeclared-parameter", *place, format!("`{NAME}` declares no `{name}`"), help);
        }
    }
}

/// `x` and `y` of `params.x?.y`, as far as they are names.
fn read(expression: &Expr) -> Vec<(&str, Position)> {
    match expression {
        Expr::Dot(parts, ..) | Expr::Index(parts, ..) if is_parameters(&parts.lhs) => {
            links(expression).iter().skip(1).map_while(name).collect()
        }
        Expr::FnCall(call, _) if call.name == "contains" && call.args.first().is_some_and(is_parameters) => {
            call.args.get(1).and_then(text).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn name<'e>(link: &Link<'e>) -> Option<(&'e str, Position)> {
    match link.expression {
        Expr::Property(property, place) if !link.index => Some((&property.2, *place)),
        index if link.index => text(index),
        _ => None,
    }
}

fn text(expression: &Expr) -> Option<(&str, Position)> {
    match expression {
        Expr::StringConstant(text, place) => Some((text, *place)),
        _ => None,
    }
}
