//! Names that hide others.

use rhai::{ASTNode, Expr, Position};

use crate::lint::walk::{Role, Walker};

impl Walker<'_, '_> {
    /// A `let` or `const` inside a function. Making a value anew from the one of that name is how many people write.
    pub(crate) fn shadows(&mut self, name: &str, position: Position, value: &Expr) {
        let outer = &self.scope[..self.block_start.min(self.scope.len())];
        let outer = outer.iter().rev().find(|variable| variable.name == name && variable.role != Role::Given);
        let what = match outer.map(|variable| variable.role) {
            Some(Role::Parameter) => "the parameter",
            Some(Role::Constant) => "the constant",
            Some(_) => "the variable of an outer block",
            None if self.top.constants.contains_key(name) => "the constant at the top",
            None if self.input.known.constant(name).is_some() => "the built-in constant",
            None if self.functions.iter().any(|function| function.name == name) => "the function",
            None => return,
        };
        if name.starts_with('_') || mentions(value, name) {
            return;
        }
        let message = format!("`{name}` hides {what} of this name");
        let help = match outer.map(|variable| variable.role) {
            Some(Role::Variable) => {
                format!("to change that one, write `{name} = …` without `let`; else use another name")
            }
            _ => "give it another name".to_owned(),
        };
        self.report.warning("script/shadowed", position, message, help);
    }
}

fn mentions(value: &Expr, name: &str) -> bool {
    let mut found = false;
    value.walk(&mut Vec::new(), &mut |path| {
        found |= match path.last() {
            Some(ASTNode::Expr(Expr::Variable(variable, ..))) => variable.1 == name,
            Some(ASTNode::Expr(Expr::FnCall(call, _))) => call.name == name,
            _ => false,
        };
        true
    });
    found
}
