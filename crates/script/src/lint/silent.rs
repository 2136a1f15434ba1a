//! Mistakes that Rhai lets pass: they do something else than they seem to say, without an error.

use rhai::{ASTNode, Expr, FnCallExpr, Position, Stmt};

use crate::lint::source::Function;
use crate::lint::values::{Link, article, links, written};
use crate::lint::walk::{Walker, leftmost};
use crate::shape::Shape;

impl<'a> Walker<'a, '_> {
    /// Walks what must be `true` or `false`, and complains where it never is.
    pub(crate) fn tested(&mut self, condition: &Expr) {
        let shape = self.expression(condition);
        if matches!(shape, Shape::Unknown | Shape::Bool) {
            return;
        }
        let word = shape.word();
        let path = written(&links(condition));
        let subject = path.clone().unwrap_or_else(|| "value".to_owned());
        let help = match shape {
            Shape::Integer | Shape::Float => format!("compare it: `{subject} > 0`"),
            Shape::Array(_) | Shape::Map => format!("compare it: `{subject}.len() > 0`"),
            _ => format!("compare it: `{subject} != ()`"),
        };
        let message =
            format!("a condition must be `true` or `false`, this is {} {word}", article(&word.to_lowercase()));
        let length = path.map_or(0, |path| path.chars().count());
        self.report.error("script/condition", leftmost(condition), message, help);
        self.report.widen(length);
    }

    /// Operators that work and mean something else.
    pub(crate) fn operator_traps(&mut self, call: &FnCallExpr, given: &[Shape], position: Position) {
        let [left, right] = call.args.as_slice() else { return };
        match (call.name.as_str(), given) {
            ("&" | "|", shapes) if shapes.contains(&Shape::Bool) => {
                let message = format!("`{}` works out both sides, even where the first decides", call.name);
                self.report.warning("script/bitwise", position, message, format!("write `{0}{0}`", call.name));
            }
            ("+", [Shape::Text, Shape::Integer]) => self.appended(left, right, position),
            ("+", [Shape::Integer, Shape::Text]) => self.appended(right, left, position),
            ("<" | ">" | "<=" | ">=", _) => {
                for side in [left, right] {
                    self.absent_compared(side, &call.name, position);
                }
            }
            _ => {}
        }
    }

    /// Nobody appends a written number to a variable: it is meant to be counted with.
    fn appended(&mut self, text: &Expr, number: &Expr, position: Position) {
        if let (Some(path), Expr::IntegerConstant(number, _)) = (written(&links(text)), number) {
            let message = format!("`{path}` is a string, so `+` appends the digits of {number}");
            let help = format!("to count write `parse_int({path}) + {number}`");
            self.report.warning("script/text-plus-number", position, message, help);
        }
    }

    /// An attribute that is absent is neither smaller nor larger than anything.
    fn absent_compared(&mut self, side: &Expr, operator: &str, position: Position) {
        let links = links(side);
        let of_map = |link: &Link| match link.expression {
            Expr::Property(property, _) => self.input.known.is_always_a_map(&property.2),
            _ => false,
        };
        let [.., owner, _] = links.as_slice() else { return };
        let Some(path) = written(&links).filter(|_| of_map(owner)) else { return };
        let tested = ["!=", "=="].iter().any(|test| self.report.may_contain(&format!("{path} {test} ()")));
        if !tested {
            let message = format!("where `{path}` is absent, `{operator}` is false without an error");
            let help = format!("give a default: `({path} ?? 0)`, or test `{path} != ()` first");
            self.report.warning("script/absent-compared", position, message, help);
        }
    }

    /// `{name}` in a text, where `${name}` is meant.
    pub(crate) fn braces_without_dollar(&mut self, text: &str, position: Position) {
        for (index, _) in text.match_indices('{') {
            let rest = &text[index + 1..];
            let is_path = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.');
            let end = rest.find(|letter| !is_path(letter)).unwrap_or(rest.len());
            let (inside, is_path) = (&rest[..end], rest[end..].starts_with('}'));
            let root = inside.split('.').next().unwrap_or_default();
            let known = self.scope.iter_mut().find(|variable| variable.name == root);
            if let (Some(variable), true, false) = (known, is_path, text[..index].ends_with('$')) {
                variable.used = true;
                let message = format!("`{{{inside}}}` is plain text");
                let help = format!("write `${{{inside}}}`, and the whole text in backticks");
                self.report.warning("script/interpolation", position, message, help);
            }
        }
    }

    /// Two texts of which the one looks like the other's.
    pub(crate) fn swapped(&mut self, call: &FnCallExpr, position: Position) {
        let forms = self.input.known.forms(&call.name).iter();
        let form = forms.clone().find(|form| form.receiver().is_none() && form.signature.fits(call.args.len(), false));
        let Some(form) = form else { return };
        let place = |wanted: &str| form.signature.params().iter().position(|param| param.name == wanted);
        let text_at = |place: Option<usize>| match call.args.get(place?)? {
            Expr::StringConstant(text, _) => Some(text.as_str()),
            _ => None,
        };
        let (text, pattern, attribute) = (place("text"), place("pattern"), place("attribute"));
        let other = if text_at(text).is_some() && pattern.is_some() && text_at(pattern).is_none() {
            "pattern"
        } else if text_at(attribute).is_some_and(|name| name.contains(' ')) && text_at(text).is_some() {
            "attribute"
        } else {
            return;
        };
        let message = format!("the text and the {other} of `{}` seem to be swapped", call.name);
        self.report.warning(
            "script/swapped-arguments",
            position,
            message,
            format!("it is `{}`", form.signature.call()),
        );
    }

    /// The result of a function of this file is dropped, and it is a command.
    pub(crate) fn dropped_own(&mut self, name: &str, arity: usize, position: Position) {
        let own = self.functions.iter().find(|own| own.name == name && own.parameters.len() == arity);
        if own.is_some_and(|own| self.gives_command(&own.body)) {
            let message = format!("the command that `{name}` gives is returned nowhere, so nothing happens");
            self.report.error("script/dropped-command", position, message, "did you forget `return`?".to_owned());
        }
    }

    fn gives_command(&self, body: &[Stmt]) -> bool {
        match body.iter().rev().find(|statement| !statement.is_noop()) {
            Some(Stmt::Expr(value)) => self.is_command(value),
            Some(Stmt::FnCall(call, _)) => self.input.known.is_command(&call.name, call.args.len(), false),
            Some(Stmt::Return(Some(value), ..)) => self.is_command(value),
            Some(Stmt::If(parts, _)) => {
                self.gives_command(parts.body.statements()) || self.gives_command(parts.branch.statements())
            }
            _ => false,
        }
    }

    /// Whether an expression makes a command: a call, or a method of what makes one.
    pub(crate) fn is_command(&self, value: &Expr) -> bool {
        let known = self.input.known;
        match value {
            Expr::FnCall(call, _) => known.is_command(&call.name, call.args.len(), false),
            Expr::Dot(..) => match links(value).as_slice() {
                [root, .., Link { expression: Expr::MethodCall(call, _), .. }] => {
                    let (name, arity) = (call.name.as_str(), call.args.len());
                    // Texts have an `after`, too.
                    known.is_command(name, arity, true)
                        && (!known.is_action(name, arity, true) || self.is_command(root.expression))
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Lists that get items and are used for nothing else: the commands in them are forgotten.
    pub(crate) fn filled_for_nothing(&mut self, function: &Function) {
        for (name, position) in declared_lists(&function.body) {
            let uses = Uses::of(&name, &function.body);
            if uses.filled > 0 && uses.all == uses.filled {
                let message = format!("`{name}` gets items and is never used");
                let help = format!("to return them write `{name}` as the last line");
                self.report.warning("script/filled-for-nothing", position, message, help);
            }
        }
    }
}

fn declared_lists(body: &[Stmt]) -> Vec<(String, Position)> {
    let mut lists = Vec::new();
    each_node(body, &mut |node| {
        if let ASTNode::Stmt(Stmt::Var(variable, ..)) = node
            && matches!(variable.1, Expr::Array(..))
        {
            lists.push((variable.0.name.to_string(), variable.0.pos));
        }
    });
    lists
}

/// How often a variable is named, and how often only to put something into it.
#[derive(Default)]
struct Uses {
    all: usize,
    filled: usize,
}

impl Uses {
    fn of(name: &str, body: &[Stmt]) -> Self {
        let mut uses = Self::default();
        let is_it = |expression: &Expr| matches!(expression, Expr::Variable(variable, ..) if variable.1 == name);
        each_node(body, &mut |node| match node {
            ASTNode::Expr(expression) if is_it(expression) => uses.all += 1,
            ASTNode::Stmt(Stmt::Expr(statement)) => {
                if let [list, Link { expression: Expr::MethodCall(call, _), .. }] = links(statement).as_slice()
                    && is_it(list.expression)
                    && matches!(call.name.as_str(), "push" | "insert" | "append")
                {
                    uses.filled += 1;
                }
            }
            // Rhai's walk leaves out what a loop gives.
            ASTNode::Stmt(Stmt::BreakLoop(Some(value), ..)) if is_it(value) => uses.all += 1,
            // Closures see it under the same name.
            ASTNode::Stmt(Stmt::Share(shared)) => {
                uses.all += usize::from(shared.iter().any(|(variable, _)| variable.name == name));
            }
            _ => {}
        });
        uses
    }
}

fn each_node(body: &[Stmt], look: &mut dyn FnMut(&ASTNode)) {
    for statement in body {
        statement.walk(&mut Vec::new(), &mut |path| {
            if let Some(node) = path.last() {
                look(node);
            }
            true
        });
    }
}
