//! Statements that cannot run, and statements whose result nobody gets.

use rhai::{Expr, FnCallExpr, Position, Stmt};

use crate::library::Effect;
use crate::lint::values::links;
use crate::lint::walk::{Walker, leftmost, statement_start};

impl Walker<'_, '_> {
    pub(crate) fn unreachable(&mut self, statement: &Stmt) {
        let message = "this can never run: the statement before it always leaves".to_owned();
        let help = "remove it, or move it before that statement".to_owned();
        self.report.warning("script/unreachable", statement_start(statement), message, help);
    }

    /// Looks at an expression whose value is dropped.
    pub(crate) fn dropped(&mut self, expression: &Expr) {
        let position = leftmost(expression);
        match expression {
            Expr::FnCall(call, _) if call.is_operator_call() => {
                let help = (call.name == "==").then(|| "an assignment is written with one `=`".to_owned());
                self.no_effect(position, &format!("the result of `{}` is not used", call.name), help);
            }
            Expr::FnCall(call, _) if call.namespace.is_empty() => self.dropped_call(call, expression, false),
            Expr::Dot(..) => match links(expression).last().map(|link| link.expression) {
                Some(Expr::MethodCall(call, _)) => self.dropped_call(call, expression, true),
                Some(Expr::Property(property, _)) => {
                    self.no_effect(position, &format!("reading `{}` has no effect", property.2), None);
                }
                _ => {}
            },
            Expr::Variable(variable, ..) => {
                self.no_effect(position, &format!("`{}` alone has no effect", variable.1), None)
            }
            Expr::StringConstant(..)
            | Expr::InterpolatedString(..)
            | Expr::IntegerConstant(..)
            | Expr::FloatConstant(..)
            | Expr::BoolConstant(..)
            | Expr::Array(..)
            | Expr::Map(..) => self.no_effect(position, "this value is not used", None),
            _ => {}
        }
    }

    fn dropped_call(&mut self, call: &FnCallExpr, whole: &Expr, method: bool) {
        let (name, arity, position) = (call.name.as_str(), call.args.len(), leftmost(whole));
        let own = self.functions.iter().any(|function| function.name == name && function.parameters.len() == arity);
        if own {
            return self.dropped_own(name, arity, position);
        }
        if self.is_command(whole) {
            let message = format!("the command of `{name}` is returned nowhere, so nothing happens");
            let help = "did you forget `return`?".to_owned();
            return self.report.error("script/dropped-command", position, message, help);
        }
        let forms = self.input.known.forms(name).iter().filter(|form| form.signature.fits(arity, method));
        let mut effects = forms.map(|form| form.effect).filter(|effect| *effect != Effect::Command).peekable();
        if effects.peek().is_some() && effects.all(|effect| effect == Effect::Pure) {
            self.no_effect(position, &format!("the result of `{name}` is not used"), None);
        }
    }

    fn no_effect(&mut self, position: Position, message: &str, help: Option<String>) {
        self.report.warning("script/no-effect", position, message.to_owned(), help);
    }
}
