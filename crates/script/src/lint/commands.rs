//! Commands, looked at with what their hook knows of them.

use rhai::{Dynamic, Expr, FnCallExpr, Position};

use crate::library::{Effect, Entry};
use crate::lint::advice::Conflict;
use crate::lint::values::links;
use crate::lint::walk::Walker;
use hookgate_model::command::{Action, Task};

impl Walker<'_, '_> {
    /// A call of a command, as a function or on a constant of the host.
    pub(crate) fn command(&mut self, call: &FnCallExpr, owner: Option<&Expr>, position: Position) {
        let Some(review) = self.input.review else { return };
        let receiver = match owner {
            Some(Expr::Variable(variable, ..)) => match self.host_constant(&variable.1) {
                Some(value) => Some(value),
                None => return,
            },
            Some(_) => return,
            None => None,
        };
        let (name, arity) = (call.name.as_str(), call.args.len());
        let fits = |form: &&&Entry| form.effect == Effect::Command && form.signature.fits(arity, receiver.is_some());
        let Some(form) = self.input.known.forms(name).iter().find(fits) else { return };
        for hint in review.advice.hints.iter().filter(|hint| hint.command == name) {
            self.report.warning(hint.code, position, hint.message.to_owned(), hint.help.to_owned());
        }
        let given: Vec<Option<Dynamic>> = call.args.iter().map(|argument| self.literal(argument)).collect();
        if let Some(refused) = review.refused(form, receiver, &given) {
            self.report.error(refused.code, position, refused.message, refused.help);
        }
    }

    /// A call of a method on what is surely an action: when it is done, and how often.
    pub(crate) fn action_method(&mut self, call: &FnCallExpr, position: Position) {
        let Some(review) = self.input.review else { return };
        let fits = |form: &&&Entry| form.receiver() == Some("Action") && form.signature.fits(call.args.len(), true);
        let Some(form) = self.input.known.forms(&call.name).iter().find(fits) else { return };
        let given: Vec<Option<Dynamic>> = call.args.iter().map(|argument| self.literal(argument)).collect();
        let any = Dynamic::from(Action::new("any", Task::Notify { message: serde_json::Value::Null }));
        if let Some(refused) = review.refused(form, Some(any), &given) {
            self.report.error(refused.code, position, refused.message, refused.help);
        }
    }

    fn host_constant(&self, name: &str) -> Option<Dynamic> {
        let hidden = self.scope.iter().any(|variable| variable.name == name) || self.top.constants.contains_key(name);
        if hidden { None } else { self.input.review?.constant(name) }
    }

    /// An expression whose value the function returns.
    pub(crate) fn returned(&mut self, expression: &Expr) {
        let (Some(review), Expr::Array(..)) = (self.input.review, expression) else { return };
        let mut commands = Vec::new();
        self.commands_in(expression, &mut commands);
        for conflict in review.advice.conflicts {
            if let Some(position) = standing_beside(conflict, &commands) {
                let (message, help) = (conflict.message.to_owned(), conflict.help.to_owned());
                if conflict.refused {
                    self.report.error(conflict.code, position, message, help);
                } else {
                    self.report.warning(conflict.code, position, message, help);
                }
            }
        }
    }

    /// The commands of the hook that are made inside an array, arrays in it included. An action is no command to the
    /// provider: it may stand beside any.
    fn commands_in<'e>(&self, expression: &'e Expr, found: &mut Vec<(&'e str, Position)>) {
        let (call, position, method) = match expression {
            Expr::Array(items, _) => return items.iter().for_each(|item| self.commands_in(item, found)),
            Expr::FnCall(call, position) => (call, *position, false),
            Expr::Dot(..) => match links(expression).last().map(|link| link.expression) {
                Some(Expr::MethodCall(call, position)) => (call, *position, true),
                _ => return,
            },
            _ => return,
        };
        let (name, arity) = (call.name.as_str(), call.args.len());
        if self.input.known.is_command(name, arity, method) && !self.input.known.is_action(name, arity, method) {
            found.push((&call.name, position));
        }
    }
}

/// Where the first of the conflict's commands is, if another stands beside it.
fn standing_beside(conflict: &Conflict, commands: &[(&str, Position)]) -> Option<Position> {
    let first = commands.iter().position(|(name, _)| conflict.commands.contains(name))?;
    let excluded = |name: &str| conflict.beside.is_empty() || conflict.beside.contains(&name);
    let beside = commands.iter().enumerate().any(|(index, (name, _))| index != first && excluded(name));
    beside.then(|| commands[first].1)
}
