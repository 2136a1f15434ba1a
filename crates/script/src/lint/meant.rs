//! Names that nothing has, and what somebody may have meant with them.

use rhai::{Expr, Position};

use crate::lint::did_you_mean;
use crate::lint::foreign::{FOREIGN_OBJECTS, instead_of};
use crate::lint::values::{Link, root_name};
use crate::lint::walk::Walker;
use crate::shape::Shape;

impl Walker<'_, '_> {
    pub(crate) fn unknown_variable(&mut self, name: &str, position: Position) {
        if self.top.variables.contains(name) {
            // Where it is declared, there is a finding already.
            return;
        }
        if let Some(hook) = self.input.known.hook_of(name) {
            let message = format!("`{name}` belongs to `{hook}`, not to this hook");
            let help = self.input.known.commands_listed();
            return self.report.error("script/unknown-variable", position, message, help);
        }
        let help = match name {
            "None" | "nil" | "NULL" | "Null" | "undefined" | "none" => Some("nothing is written `()`".to_owned()),
            "True" | "TRUE" => Some("write `true`".to_owned()),
            "False" | "FALSE" => Some("write `false`".to_owned()),
            _ if self.ended.contains(name) => Some(format!("`{name}` was declared inside a block that has ended")),
            // A name of the script's own comes first.
            _ => match self.meant_by(name) {
                None => instead_of(&FOREIGN_OBJECTS, name).map(str::to_owned),
                own if self.top.imports.contains_key(name) => own,
                own => instead_of(&FOREIGN_OBJECTS, name).map(str::to_owned).or(own),
            },
        };
        self.report.error("script/unknown-variable", position, format!("unknown variable `{name}`"), help);
    }

    /// What somebody may have meant with a name that is no variable.
    fn meant_by(&mut self, name: &str) -> Option<String> {
        if let Some((_, used)) = self.top.imports.get_mut(name) {
            *used = true;
            return Some(format!("`{name}` is an imported file: its functions are written `{name}::function(…)`"));
        }
        let known = self.input.known;
        if let Some(form) = known.forms(name).first() {
            return Some(format!("it is a function: write `{}`", form.signature.call()));
        }
        if known.standard().has_method(name) {
            return Some(format!("it is a function: write `|x| x.{name}()`"));
        }
        if let (true, Some(first)) = (matches!(name, "request" | "event"), self.scope.first_mut())
            && matches!(first.shape, Shape::Value(request) if self.input.entry.is_some_and(|entry| entry.request_type == request))
        {
            first.used = true;
            return Some(format!("here it is called `{}`", first.name));
        }
        let scope = self.scope.iter().map(|variable| variable.name.as_str());
        let constants = self.top.constants.keys().map(String::as_str).chain(self.input.known.constants());
        let near = self.report.nearest(name, scope.chain(constants)).map(str::to_owned);
        if let Some(variable) = self.scope.iter_mut().rev().find(|variable| Some(&variable.name) == near.as_ref()) {
            variable.used = true;
        }
        did_you_mean(near.as_deref()).or_else(|| {
            let asked = matches!(name, "request" | "event");
            asked.then(|| format!("a function sees only its parameters: pass `{name}` to it"))
        })
    }

    /// Whether a chain begins with a name that nothing has: one complaint about that is enough.
    pub(crate) fn is_lost(&self, links: &[Link]) -> bool {
        let Some(name) = root_name(links) else { return false };
        let somewhere = self.scope.iter().any(|variable| variable.name == name)
            || self.top.constants.contains_key(&name)
            || self.input.known.constant(&name).is_some()
            || self.functions.iter().any(|function| function.name == name);
        !somewhere
    }

    pub(crate) fn arguments_of(&mut self, piece: &Expr) {
        if let Expr::MethodCall(call, _) = piece {
            self.all(call.args.iter());
        }
    }
}
