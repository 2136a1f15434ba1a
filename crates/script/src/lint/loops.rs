//! Loops that look for one value and nothing else.

use rhai::{Expr, FlowControl, Ident, Stmt};

use crate::lint::values::links;
use crate::lint::walk::Walker;
use crate::shape::Shape;

impl Walker<'_, '_> {
    /// `for x in list { if x == y { return …; } }`
    pub(crate) fn loop_for_lookup(&mut self, item: &Ident, parts: &FlowControl, items: Shape) {
        let body: Vec<&Stmt> = parts.body.statements().iter().filter(|statement| !statement.is_noop()).collect();
        let [Stmt::If(branch, _)] = body.as_slice() else { return };
        let otherwise = branch.branch.statements().iter().any(|statement| !statement.is_noop());
        if otherwise
            || !is_comparison_with(&branch.expr, &item.name)
            || !only_answers(branch.body.statements(), &item.name)
        {
            return;
        }
        let help = match table_rows(&parts.expr) {
            Some(table) => format!("write `if {table}.has(…) {{ … }}`"),
            None if is_list(&parts.expr, items) => "write `if value in list { … }`".to_owned(),
            None => return,
        };
        let message = "this loop only looks for one value".to_owned();
        self.report.warning("script/loop-for-lookup", item.pos, message, help);
    }
}

/// `item == something else`
fn is_comparison_with(condition: &Expr, item: &str) -> bool {
    let Expr::FnCall(call, _) = condition else { return false };
    let [left, right] = call.args.as_slice() else { return false };
    call.name == "=="
        && (is_variable(left, item) != is_variable(right, item))
        && !(mentions(left, item) && mentions(right, item))
}

fn is_variable(expression: &Expr, name: &str) -> bool {
    matches!(expression, Expr::Variable(variable, ..) if variable.1 == name && variable.2.is_empty())
}

fn mentions(expression: &Expr, name: &str) -> bool {
    let mut found = false;
    expression.walk(&mut Vec::new(), &mut |path| {
        found |= matches!(path.last(), Some(rhai::ASTNode::Expr(expression)) if is_variable(expression, name));
        true
    });
    found
}

/// Whether what is done with the find is to leave, or to note that there was one.
fn only_answers(statements: &[Stmt], item: &str) -> bool {
    let statements: Vec<&Stmt> = statements.iter().filter(|statement| !statement.is_noop()).collect();
    let notes = |statement: &Stmt| match statement {
        Stmt::Assignment(assignment) => matches!(assignment.1.rhs, Expr::BoolConstant(..)),
        _ => false,
    };
    match statements.as_slice() {
        [Stmt::Return(Some(value), ..)] => !mentions(value, item),
        [Stmt::Return(None, ..)] => true,
        [one] => notes(one),
        [one, Stmt::BreakLoop(None, ..)] => notes(one),
        _ => false,
    }
}

/// `table("name")` of `table("name").rows()`
fn table_rows(items: &Expr) -> Option<String> {
    match links(items).iter().map(|link| link.expression).collect::<Vec<_>>().as_slice() {
        [Expr::FnCall(table, _), Expr::MethodCall(rows, _)] if table.name == "table" && rows.name == "rows" => {
            let name = match table.args.as_slice() {
                [Expr::StringConstant(name, _)] => format!("{:?}", name.as_str()),
                _ => "…".to_owned(),
            };
            Some(format!("table({name})"))
        }
        _ => None,
    }
}

/// A list, by its type or because it is one of the parameters.
fn is_list(items: &Expr, shape: Shape) -> bool {
    let of_parameters = |expression: &Expr| match links(expression).first().map(|link| link.expression) {
        Some(root) => is_variable(root, "params") && links(expression).iter().all(|link| !is_call(link.expression)),
        None => false,
    };
    matches!(shape, Shape::Array(_))
        || of_parameters(items)
        || matches!(items, Expr::Coalesce(parts, _) if parts.first().is_some_and(of_parameters))
}

fn is_call(expression: &Expr) -> bool {
    matches!(expression, Expr::MethodCall(..) | Expr::FnCall(..))
}
