//! The values in one expression at the moment before it failed: what an assertion of a test shows below itself.
//!
//! A test runs the same way each time, so the values are looked at in a second run under the debugger, and only when
//! something failed.

use std::cell::{Cell, RefCell};

use rhai::{ASTFlags, ASTNode, EvalContext, Expr, Expression, Position, Stmt};

use crate::context::Context;
use crate::prelude::json;
use crate::run::{Call, Script};
use crate::trace::{frames, replay_function, whole};

/// A part of an expression as written, and its value.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Shown {
    pub text: String,
    /// JSON, as much of it as is shown; `()` for what is absent.
    pub value: String,
}

/// Bytes of a value that are shown.
pub(super) const MAX_VALUE_BYTES: usize = 400;
/// Parts that are shown of one expression.
const MAX_PARTS: usize = 12;

/// What an expression held, and the calls that led to it, innermost first: `(file, line, function)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    pub values: Vec<Shown>,
    pub called_from: Vec<(String, usize, String)>,
}

/// A place in a file: line and column, from 1.
pub type Place = (String, usize, usize);

thread_local! {
    static TARGETS: RefCell<Vec<(String, Position)>> = const { RefCell::new(Vec::new()) };
    static NOTED: RefCell<Noted> = RefCell::default();
    /// While parts are evaluated the debugger steps into them, too.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Runs `function` once more and notes what the calls at `places` hold each time before they are made: [`noted`] gives
/// what was noted last, so a called function can ask about itself.
pub fn replay(script: &Script, function: &str, call: &Call, places: &[Place]) {
    let target = |(file, line, column): &Place| {
        let position = Position::new(u16::try_from(*line).ok().filter(|line| *line > 0)?, u16::try_from(*column).ok()?);
        Some((file.clone(), position))
    };
    TARGETS.set(places.iter().filter_map(target).collect());
    NOTED.take();
    // A panic in a run before may have left it.
    BUSY.set(false);
    let budget = whole(script, call, script.limits.operations);
    let context = Context::new(call.surroundings.clone(), call.world.clone(), call.deadline).within(&script.limits);
    replay_function(script, function, (), context, &budget);
    TARGETS.take();
}

/// What was noted at the call that is made now; nothing outside a [`replay`].
pub fn noted() -> Noted {
    NOTED.take()
}

/// Whether the debugger has reached a call that is looked for.
pub(super) fn wanted(node: ASTNode, file: Option<&str>, position: Position) -> bool {
    let here = TARGETS
        .with_borrow(|targets| targets.iter().any(|(wanted, at)| *at == position && Some(wanted.as_str()) == file));
    here && !BUSY.get() && arguments(node).is_some()
}

/// Notes the values of the call's parts.
pub(super) fn note(context: &mut EvalContext, node: ASTNode) {
    let mut parts = Vec::new();
    for argument in arguments(node).into_iter().flatten() {
        collect(argument, &mut parts);
    }
    let called_from = frames(context);
    BUSY.set(true);
    let mut values: Vec<Shown> = Vec::new();
    for (text, expression) in parts {
        if values.len() < MAX_PARTS
            && values.iter().all(|known| known.text != text)
            && let Ok(value) = context.eval_expression_tree(&Expression::from(expression))
            // The name of a type tells nobody anything.
            && json::json_for_reading(&value).is_ok()
        {
            values.push(Shown { text, value: short(&json::shown(&value)) });
        }
    }
    BUSY.set(false);
    NOTED.set(Noted { values, called_from });
}

fn arguments<'a>(node: ASTNode<'a>) -> Option<&'a [Expr]> {
    match node {
        ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)) => Some(&call.args),
        ASTNode::Stmt(Stmt::Expr(expression)) => match &**expression {
            Expr::FnCall(call, _) => Some(&call.args),
            _ => None,
        },
        _ => None,
    }
}

/// The parts that are worth showing: variables and chains that begin with one; an operator's both sides.
fn collect<'a>(expression: &'a Expr, parts: &mut Vec<(String, &'a Expr)>) {
    match expression {
        Expr::Variable(..) | Expr::Dot(..) | Expr::Index(..) => {
            if let Some(text) = written(expression) {
                parts.push((text, expression));
            }
            // Of a chain the variable at its head, too, when the chain goes through a call.
            if let Expr::Dot(pair, ..) | Expr::Index(pair, ..) = expression {
                collect_inside(&pair.rhs, parts);
            }
        }
        Expr::FnCall(call, _) => {
            if let (Some(text), false) = (written(expression), call.is_operator_call()) {
                parts.push((text, expression));
            }
            call.args.iter().for_each(|argument| collect(argument, parts));
        }
        Expr::And(sides, _) | Expr::Or(sides, _) | Expr::Coalesce(sides, _) => {
            sides.iter().for_each(|side| collect(side, parts));
        }
        Expr::Array(items, _) => items.iter().for_each(|item| collect(item, parts)),
        Expr::Map(members, _) => members.0.iter().for_each(|(_, member)| collect(member, parts)),
        _ => {}
    }
}

/// Arguments and indexes inside a chain.
fn collect_inside<'a>(chain: &'a Expr, parts: &mut Vec<(String, &'a Expr)>) {
    match chain {
        Expr::MethodCall(call, _) => call.args.iter().for_each(|argument| collect(argument, parts)),
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => {
            collect_inside(&pair.lhs, parts);
            collect_inside(&pair.rhs, parts);
        }
        Expr::Variable(..) => collect(chain, parts),
        _ => {}
    }
}

/// The expression as somebody would write it, if it is of the kinds that are shown.
fn written(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Variable(variable, ..) => Some(variable.1.to_string()),
        Expr::Property(property, _) => Some(property.2.to_string()),
        Expr::Dot(pair, options, _) => {
            let dot = if options.intersects(ASTFlags::NEGATED) { "?." } else { "." };
            Some(format!("{}{dot}{}", written(&pair.lhs)?, written(&pair.rhs)?))
        }
        Expr::Index(pair, options, _) => Some(format!("{}{}", written(&pair.lhs)?, indexed(&pair.rhs, *options)?)),
        Expr::FnCall(call, _) | Expr::MethodCall(call, _) if !call.is_operator_call() => {
            let arguments = call.args.iter().map(written).collect::<Option<Vec<_>>>()?;
            let path = if call.namespace.is_empty() { String::new() } else { format!("{}::", call.namespace) };
            Some(format!("{path}{}({})", call.name, arguments.join(", ")))
        }
        Expr::StringConstant(text, _) => Some(format!("{text:?}")),
        Expr::IntegerConstant(number, _) => Some(number.to_string()),
        Expr::BoolConstant(flag, _) => Some(flag.to_string()),
        Expr::Unit(_) => Some("()".to_owned()),
        _ => None,
    }
}

/// What follows the value that is indexed. Unless the chain ends here, its next step is inside the index.
fn indexed(index: &Expr, options: ASTFlags) -> Option<String> {
    let open = if options.intersects(ASTFlags::NEGATED) { "?[" } else { "[" };
    match index {
        Expr::Dot(next, ..) if !options.intersects(ASTFlags::BREAK) => {
            Some(format!("{open}{}].{}", written(&next.lhs)?, written(&next.rhs)?))
        }
        Expr::Index(next, further, _) if !options.intersects(ASTFlags::BREAK) => {
            Some(format!("{open}{}]{}", written(&next.lhs)?, indexed(&next.rhs, *further)?))
        }
        _ => Some(format!("{open}{}]", written(index)?)),
    }
}

pub(super) fn short(text: &str) -> String {
    if text.len() <= MAX_VALUE_BYTES {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(MAX_VALUE_BYTES)])
}
