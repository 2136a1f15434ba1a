//! Which members of its request a run read: the chains of properties that begin at the entry function's parameter, or at a
//! variable or parameter that was given one of them.

use rhai::{ASTFlags, ASTNode, Expr, FnCallExpr, Stmt};

use crate::trace::frame::Frame;

/// Members that are kept.
const MAX_PATHS: usize = 200;
/// Calls that may be about to begin, one inside the arguments of the other.
const MAX_CALLS: usize = 64;

/// What was read so far, in the order of the first time.
#[derive(Default)]
pub(super) struct Reads {
    paths: Vec<String>,
    /// Calls whose arguments are being made: the function, and which of them are parts of the request.
    calls: Vec<(String, Vec<Option<String>>)>,
}

impl Reads {
    pub(super) fn paths(self) -> Vec<String> {
        self.paths
    }

    /// A function begins: what of its parameters is a part of the request.
    pub(super) fn enter(&mut self, frame: &mut Frame, function: &str, is_entry: bool) {
        let names = frame.parameters();
        if is_entry {
            frame.aliases.extend(names.first().map(|name| (name.clone(), name.clone())));
            return;
        }
        let call = self.calls.iter().rposition(|(name, given)| name == function && given.len() == names.len());
        let Some((_, given)) = call.map(|place| self.calls.remove(place)) else { return };
        let known = names.into_iter().zip(given).filter_map(|(name, path)| Some((name, path?)));
        frame.aliases.extend(known);
    }

    /// A node is about to run in this function.
    pub(super) fn note(&mut self, frame: &mut Frame, node: ASTNode) {
        match node {
            ASTNode::Expr(chain @ (Expr::Dot(..) | Expr::Index(..))) => {
                if let Some((path, _)) = path_of(frame, chain) {
                    self.add(path);
                }
            }
            ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)) => self.called(frame, call),
            ASTNode::Stmt(Stmt::Var(variable, ..)) => rename(frame, &variable.0.name, &variable.1),
            ASTNode::Stmt(Stmt::Assignment(assignment)) => {
                if let Expr::Variable(variable, ..) = &assignment.1.lhs {
                    rename(frame, &variable.1, &assignment.1.rhs);
                }
            }
            _ => {}
        }
    }

    fn called(&mut self, frame: &Frame, call: &FnCallExpr) {
        let part = |argument: &Expr| path_of(frame, argument).filter(|(_, whole)| *whole).map(|(path, _)| path);
        let given: Vec<_> = call.args.iter().map(part).collect();
        if given.iter().any(Option::is_some) && !call.is_operator_call() {
            if self.calls.len() == MAX_CALLS {
                self.calls.remove(0);
            }
            self.calls.push((call.name.to_string(), given));
        }
    }

    fn add(&mut self, path: String) {
        if self.paths.len() < MAX_PATHS && !self.paths.contains(&path) {
            self.paths.push(path);
        }
    }
}

/// A variable is given a value: from here on it is that part of the request, or none.
fn rename(frame: &mut Frame, name: &str, value: &Expr) {
    let path = path_of(frame, value).filter(|(_, whole)| *whole);
    frame.aliases.retain(|(known, _)| known != name);
    frame.aliases.extend(path.map(|(path, _)| (name.to_owned(), path)));
}

/// The part of the request that a chain reaches, and whether that is the chain's value: a method gives something else.
fn path_of(frame: &Frame, expression: &Expr) -> Option<(String, bool)> {
    let mut path = Path { frame, text: None };
    let whole = path.walk(expression);
    path.text.map(|text| (text, whole))
}

struct Path<'a> {
    frame: &'a Frame,
    text: Option<String>,
}

impl Path<'_> {
    /// Whether the chain goes on behind this part of it.
    fn walk(&mut self, expression: &Expr) -> bool {
        match expression {
            Expr::Variable(variable, ..) => {
                let known = self.frame.aliases.iter().find(|(name, _)| *name == variable.1.as_str());
                self.text = known.map(|(_, path)| path.clone());
                self.text.is_some()
            }
            Expr::Property(property, _) => self.push(&format!(".{}", property.2)),
            Expr::Dot(pair, ..) => self.walk(&pair.lhs) && self.walk(&pair.rhs),
            Expr::Index(pair, options, _) => self.walk(&pair.lhs) && self.index(&pair.rhs, *options),
            _ => false,
        }
    }

    /// Unless the chain ends here, its next part is inside the index.
    fn index(&mut self, index: &Expr, options: ASTFlags) -> bool {
        match index {
            Expr::Dot(next, ..) if !options.intersects(ASTFlags::BREAK) => self.item(&next.lhs) && self.walk(&next.rhs),
            Expr::Index(next, further, _) if !options.intersects(ASTFlags::BREAK) => {
                self.item(&next.lhs) && self.index(&next.rhs, *further)
            }
            _ => self.item(index),
        }
    }

    fn item(&mut self, index: &Expr) -> bool {
        match index {
            Expr::StringConstant(name, _) => self.push(&format!(".{name}")),
            Expr::IntegerConstant(number, _) => self.push(&format!("[{number}]")),
            // Which one is known only when it runs: the list itself was read.
            _ => false,
        }
    }

    fn push(&mut self, part: &str) -> bool {
        if let Some(text) = &mut self.text {
            text.push_str(part);
        }
        self.text.is_some()
    }
}
