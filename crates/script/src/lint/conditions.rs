//! Conditions that say the same whatever comes in.

use rhai::{Expr, FnCallExpr, Position};

use crate::lint::literal::written;
use crate::lint::walk::{Walker, leftmost};

impl Walker<'_, '_> {
    /// The condition of an `if`, or of a `while` that would never begin. A constant as a switch is no mistake.
    pub(crate) fn condition(&mut self, condition: &Expr) {
        if let Some(truth) = settled(condition) {
            let message = format!("this condition is always {truth}");
            let help = "write a switch for later as a constant or a parameter".to_owned();
            self.report.warning("script/constant-condition", leftmost(condition), message, help);
        }
    }

    /// The condition of a `while`: `while true` is how endless loops are written.
    pub(crate) fn loop_condition(&mut self, condition: &Expr) {
        if settled(condition) == Some(false) {
            self.condition(condition);
        }
    }

    /// `x == x`
    pub(crate) fn same_on_both_sides(&mut self, call: &FnCallExpr, position: Position) {
        let [left, right] = call.args.as_slice() else { return };
        let (Some(a), Some(b)) = (path(left), path(right)) else { return };
        let result = match call.name.as_str() {
            "==" | "<=" | ">=" => true,
            "!=" | "<" | ">" => false,
            _ => return,
        };
        if a == b {
            let message = format!("`{a}` is compared with itself, which is always {result}");
            self.report.warning("script/constant-condition", position, message, None);
        }
    }
}

/// What the condition says, if its text alone settles it.
fn settled(condition: &Expr) -> Option<bool> {
    match condition {
        Expr::BoolConstant(truth, _) => Some(*truth),
        Expr::And(parts, _) if parts.iter().any(|part| settled(part) == Some(false)) => Some(false),
        Expr::And(parts, _) => parts.iter().all(|part| settled(part) == Some(true)).then_some(true),
        Expr::Or(parts, _) if parts.iter().any(|part| settled(part) == Some(true)) => Some(true),
        Expr::Or(parts, _) => parts.iter().all(|part| settled(part) == Some(false)).then_some(false),
        Expr::FnCall(call, _) if call.name == "!" => call.args.first().and_then(settled).map(|truth| !truth),
        Expr::FnCall(call, _) if call.is_operator_call() => compared(call),
        _ => None,
    }
}

/// Two literals of one type beside `==` or `!=`.
fn compared(call: &FnCallExpr) -> Option<bool> {
    let [left, right] = call.args.as_slice() else { return None };
    let (left, right) = (written(left)?, written(right)?);
    if left.type_id() != right.type_id() {
        return None;
    }
    let equal = left.to_string() == right.to_string();
    match call.name.as_str() {
        "==" => Some(equal),
        "!=" => Some(!equal),
        _ => None,
    }
}

/// `request.email.domain`, if it is nothing but names.
fn path(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Variable(variable, ..) if variable.2.is_empty() => Some(variable.1.to_string()),
        Expr::Property(property, _) => Some(property.2.to_string()),
        Expr::Dot(parts, ..) => Some(format!("{}.{}", path(&parts.lhs)?, path(&parts.rhs)?)),
        _ => None,
    }
}
