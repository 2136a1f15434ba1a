//! A compiled file taken apart: its functions with their statements, and where they are written.
//!
//! Rhai hides function bodies behind a type it does not export, but `AST::walk` shows every root statement; the span of
//! each function tells whose it is.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Expr, FnAccess, Position, Stmt};

/// A function or closure of a file.
pub(crate) struct Function {
    pub name: String,
    pub parameters: Vec<String>,
    pub(crate) private: bool,
    /// Of its name, if the text has it; else of its `{`.
    pub(crate) position: Position,
    start: Position,
    end: Position,
    pub(crate) body: Vec<Stmt>,
}

impl Function {
    /// Rhai turns each closure into a function of its own.
    pub(crate) fn is_closure(&self) -> bool {
        is_closure(&self.name)
    }

    /// A closure without braces has a start and no end.
    fn contains(&self, position: Position) -> bool {
        position == self.start || (!self.end.is_none() && self.start <= position && position <= self.end)
    }

    /// The names of all functions that it calls, imported ones without their module.
    pub(crate) fn calls(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for statement in &self.body {
            statement.walk(&mut Vec::new(), &mut |path: &[ASTNode]| {
                if let Some(
                    ASTNode::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _))
                    | ASTNode::Stmt(Stmt::FnCall(call, _)),
                ) = path.last()
                {
                    names.insert(call.name.to_string());
                }
                true
            });
        }
        names
    }

    /// `helper(user, domain)`
    pub(crate) fn signature(&self) -> String {
        format!("{}({})", self.name, self.parameters.join(", "))
    }
}

/// All functions in the order of the text.
pub(crate) fn functions(ast: &AST, source: &str) -> Vec<Function> {
    let lines: Vec<&str> = source.lines().collect();
    let mut functions: Vec<Function> = ast
        .iter_fn_def()
        .map(|definition| {
            let start = definition.body.start_position();
            Function {
                name: definition.name.to_string(),
                parameters: definition.params.iter().map(ToString::to_string).collect(),
                private: definition.access == FnAccess::Private,
                position: name_position(&lines, &definition.name, start).unwrap_or(start),
                start,
                end: definition.body.end_position(),
                body: Vec::new(),
            }
        })
        .collect();
    functions.sort_by_key(|function| function.start);
    let mut skip = ast.statements().len();
    ast.walk(&mut |path: &[ASTNode]| {
        if let [ASTNode::Stmt(statement)] = path {
            if skip > 0 {
                skip -= 1;
            } else {
                let position = start_of(statement);
                // Those that begin later cannot contain it.
                let begun = functions.partition_point(|function| function.start <= position);
                let owner = functions[..begun].iter_mut().rev().find(|function| function.contains(position));
                if let Some(owner) = owner {
                    owner.body.push((*statement).clone());
                }
            }
        }
        true
    });
    functions
}

fn is_closure(name: &str) -> bool {
    name.starts_with("anon$")
}

/// Where Rhai says that a statement is: for an expression its operator, which is where a closure without braces starts.
fn start_of(statement: &Stmt) -> Position {
    statement.position()
}

/// The place of a function's name: the last `fn name` before its body.
fn name_position(lines: &[&str], name: &str, body: Position) -> Option<Position> {
    let line = body.line()?;
    if is_closure(name) {
        return None;
    }
    for number in (1..=line.min(lines.len())).rev() {
        let text = lines[number - 1];
        let mut rest = text;
        while let Some(index) = rest.rfind(name) {
            let before = text[..index].trim_end();
            let after = text[index + name.len()..].chars().next();
            if before.ends_with("fn") && !after.is_some_and(|letter| letter.is_alphanumeric() || letter == '_') {
                let column = text[..index].chars().count() + 1;
                return Some(Position::new(u16::try_from(number).ok()?, u16::try_from(column).ok()?));
            }
            rest = &text[..index];
        }
    }
    None
}

/// The place of the word `name` at or after `from`; parameters have no position of their own.
pub(crate) fn word_after(lines: &[&str], name: &str, from: Position) -> Option<Position> {
    let first = from.line()?;
    for (index, text) in lines.iter().enumerate().skip(first - 1).take(20) {
        let from_column = if index + 1 == first { from.position().unwrap_or(1).saturating_sub(1) } else { 0 };
        let skipped = text.char_indices().nth(from_column).map_or(text.len(), |(offset, _)| offset);
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        for (offset, _) in text[skipped..].match_indices(name) {
            let start = skipped + offset;
            let bounded = !text[..start].ends_with(is_word) && !text[start + name.len()..].starts_with(is_word);
            if bounded {
                let column = text[..start].chars().count() + 1;
                return Some(Position::new(u16::try_from(index + 1).ok()?, u16::try_from(column).ok()?));
            }
        }
    }
    None
}
