//! A function that runs, as a trace sees it: its variables as they were, and which line is about to change which.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use rhai::{ASTNode, Dynamic, Expr, Ident, Scope, Stmt};
use serde_json::Value;

use crate::prelude::json;
use crate::trace::steps::Describe;
use crate::trace::values::{MAX_VALUE_BYTES, Shown, short};
use hookgate_model::command::Action;

/// Bytes of a value by which two of them are told apart; beyond that only the lengths of lists, maps and texts.
const COMPARED_BYTES: usize = 4 * MAX_VALUE_BYTES;

/// One call of a function of a script.
pub(super) struct Frame {
    /// Calls on Rhai's stack while it runs.
    pub(crate) level: usize,
    pub(crate) function: String,
    pub(crate) file: String,
    pub(crate) line: usize,
    /// The step of its newest line; nothing before its first, and nothing for lines that are left out.
    pub(crate) here: Option<usize>,
    /// What it was called with, until its first line is there.
    pub(crate) given: Vec<Shown>,
    /// The steps that are about to set a variable.
    pub(crate) writers: HashMap<String, usize>,
    /// Variables that are a part of the request, and which.
    pub(crate) aliases: Vec<(String, String)>,
    /// Variables of the scope that are not its own.
    base: usize,
    known: Vec<Known>,
    loops: Vec<Loop>,
}

/// A variable as it was.
#[derive(PartialEq, Eq)]
struct Known {
    name: String,
    print: u64,
}

/// A `for` that runs.
struct Loop {
    names: Vec<String>,
    /// The place of its first variable in the scope.
    place: usize,
    file: String,
    line: usize,
}

/// A variable that is new or different.
pub(super) struct Change {
    pub(crate) name: String,
    /// Nothing for what has no form that tells anybody anything.
    pub(crate) shown: Option<Shown>,
    /// The head of a loop set it.
    pub(crate) by_loop: bool,
}

/// A loop began another round.
pub(super) struct Turn {
    pub(crate) names: Vec<String>,
    pub(crate) file: String,
    pub(crate) line: usize,
}

impl Change {
    /// The value as it is shown under this name.
    pub(super) fn of(name: &str, value: &Dynamic, describe: Describe) -> Option<Shown> {
        let told = told(value, describe)?;
        Some(Shown { text: name.to_owned(), value: short(&told.text) })
    }
}

impl Frame {
    pub(super) fn new(level: usize, function: String) -> Self {
        let (file, here, given, writers, aliases, known, loops) = Default::default();
        Self { level, function, file, line: 0, here, given, writers, aliases, base: 0, known, loops }
    }

    /// Takes the parameters, which are the newest `count` variables, and gives those that can be shown.
    pub(super) fn begin(&mut self, scope: &Scope, count: usize, describe: Describe) -> Vec<Shown> {
        self.base = scope.len().saturating_sub(count);
        let (changes, _) = self.compare(scope, describe);
        changes.into_iter().filter_map(|change| change.shown).collect()
    }

    /// The names of its parameters.
    pub(super) fn parameters(&self) -> Vec<String> {
        self.known.iter().map(|known| known.name.clone()).collect()
    }

    /// What changed since the last time; and if that is because a loop went on, which.
    pub(super) fn compare(&mut self, scope: &Scope, describe: Describe) -> (Vec<Change>, Option<Turn>) {
        // Inside a chain of properties Rhai shows an empty scope instead of the function's.
        if scope.is_empty() {
            return (Vec::new(), None);
        }
        let mut changes = Vec::new();
        self.loops.retain(|running| running.place < scope.len());
        let own = scope.len().saturating_sub(self.base);
        self.known.truncate(own);
        let values: Vec<_> = scope.iter_raw().take(own).collect();
        for (place, (name, _, value)) in values.into_iter().rev().enumerate() {
            // A value that is being changed just now cannot be read.
            let told = if value.is_shared() && value.is_locked() { None } else { told(value, describe) };
            let print = told.as_ref().map_or(0, |told| told.print);
            let known = Known { name: name.to_owned(), print };
            if self.known.get(place) == Some(&known) {
                continue;
            }
            let by_loop = self.loops.iter().any(|running| running.holds(self.base + place, name));
            let shown = told.map(|told| Shown { text: name.to_owned(), value: short(&told.text) });
            changes.push(Change { name: name.to_owned(), shown, by_loop });
            match self.known.get_mut(place) {
                Some(slot) => *slot = known,
                None => self.known.push(known),
            }
        }
        let turned = changes.iter().any(|change| change.by_loop);
        let turn = self.loops.last().filter(|_| turned).map(|running| Turn {
            names: running.names.clone(),
            file: running.file.clone(),
            line: running.line,
        });
        (changes, turn)
    }

    /// What the node that runs next is about to set. `size` is that of the scope.
    pub(super) fn note(&mut self, node: ASTNode, size: usize) {
        let Some(here) = self.here else { return };
        match node {
            ASTNode::Stmt(Stmt::Var(variable, ..)) => drop(self.writers.insert(variable.0.name.to_string(), here)),
            ASTNode::Stmt(Stmt::Assignment(assignment)) => {
                if let Some(name) = root(&assignment.1.lhs) {
                    self.writers.insert(name.to_owned(), here);
                }
            }
            ASTNode::Stmt(Stmt::For(parts, _)) => {
                let counter = parts.1.as_ref().map(|ident: &Ident| ident.name.to_string());
                let names = counter.into_iter().chain([parts.0.name.to_string()]).collect();
                self.loops.retain(|running| running.place < size);
                self.loops.push(Loop { names, place: size, file: self.file.clone(), line: self.line });
            }
            ASTNode::Expr(chain @ (Expr::Dot(..) | Expr::Index(..))) => {
                if let Some(name) = root(chain) {
                    self.writers.insert(name.to_owned(), here);
                }
            }
            _ => {}
        }
    }
}

impl Loop {
    fn holds(&self, place: usize, name: &str) -> bool {
        place.checked_sub(self.place).and_then(|index| self.names.get(index)).is_some_and(|known| known == name)
    }
}

/// The variable that a chain begins with.
pub(super) fn root(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Variable(variable, ..) => Some(variable.1.as_str()),
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => root(&pair.lhs),
        _ => None,
    }
}

/// A value in words, and what tells it from others.
struct Told {
    text: String,
    print: u64,
}

/// Nothing for a value whose type is all that could be said.
fn told(value: &Dynamic, describe: Describe) -> Option<Told> {
    let mut text = String::new();
    write(value, describe, &mut text, 0)?;
    let mut hasher = DefaultHasher::new();
    (&text, length(value)).hash(&mut hasher);
    Some(Told { text, print: hasher.finish().max(1) })
}

fn length(value: &Dynamic) -> usize {
    let items = value.as_array_ref().map(|items| items.len()).ok();
    let members = || value.as_map_ref().map(|members| members.len()).ok();
    let letters = || value.as_immutable_string_ref().map(|text| text.len()).ok();
    items.or_else(members).or_else(letters).unwrap_or_default()
}

/// Levels of lists and maps that are shown.
const MAX_DEPTH: usize = 12;

/// Writes the value as JSON, but no more of it than is compared. What has no JSON is named by its type, and alone it is
/// nothing.
fn write(value: &Dynamic, describe: Describe, text: &mut String, depth: usize) -> Option<()> {
    if text.len() > COMPARED_BYTES {
        return Some(());
    }
    if value.is_shared() {
        if value.is_locked() {
            text.push('…');
            return Some(());
        }
        return write(&value.flatten_clone(), describe, text, depth);
    }
    if let Ok(items) = value.as_array_ref() {
        return listed(text, ('[', ']'), depth, items.iter(), |item, text| write(item, describe, text, depth + 1));
    }
    if let Ok(members) = value.as_map_ref() {
        return listed(text, ('{', '}'), depth, members.iter(), |(name, member), text| {
            text.push_str(&format!("{}:", Value::from(name.as_str())));
            write(member, describe, text, depth + 1)
        });
    }
    if let Ok(letters) = value.as_immutable_string_ref() {
        let cut = letters.floor_char_boundary(COMPARED_BYTES);
        text.push_str(&Value::from(&letters[..cut]).to_string());
        return Some(());
    }
    if value.is_unit() {
        text.push_str(if depth == 0 { "()" } else { "null" });
    } else if let Ok(leaf) = json::json_for_reading(value) {
        text.push_str(&leaf.to_string());
    } else if let Some(action) = value.read_lock::<Action>() {
        text.push_str(&serde_json::to_string(&*action).unwrap_or_default());
    } else if let Some(command) = describe(value).into_iter().next() {
        text.push_str(&command.to_string());
    } else if depth == 0 {
        return None;
    } else {
        text.push_str(&json::shown(value));
    }
    Some(())
}

fn listed<T>(
    text: &mut String,
    (open, close): (char, char),
    depth: usize,
    items: impl Iterator<Item = T>,
    mut one: impl FnMut(T, &mut String) -> Option<()>,
) -> Option<()> {
    text.push(open);
    for (index, item) in items.enumerate() {
        if text.len() > COMPARED_BYTES || depth >= MAX_DEPTH {
            text.push('…');
            break;
        }
        if index > 0 {
            text.push(',');
        }
        one(item, text)?;
    }
    text.push(close);
    Some(())
}
