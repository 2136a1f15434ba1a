//! Which lines of scripts ran: noted by the debugger of engines that are made for it, and never of those that serve.
//!
//! A line can run when a statement or a part of an expression stands on it. It counts as often as the part of it that ran
//! most often, so `for x in list { f(x) }` counts its body. Operators themselves count nowhere: the `&&` at the start of a
//! line is reached even when what follows it is not. What is outside functions runs when a script is loaded, and is left out.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use rhai::debugger::{DebuggerCommand, DebuggerEvent};
use rhai::{AST, ASTNode, Engine, Expr, Position, Stmt};

use crate::engine;

/// How often each line ran, by file.
pub type Hits = BTreeMap<String, BTreeMap<usize, u64>>;

/// What one thread has noted, in the order in which it met the files.
#[derive(Default)]
struct Noted {
    files: Vec<(String, Vec<Line>)>,
    /// The file of the step before: most steps stay in one.
    last: usize,
}

/// Column and number of steps of each part of a line.
type Line = Vec<(usize, u64)>;

thread_local! {
    static NOTED: RefCell<Noted> = RefCell::default();
}

/// Makes every run of this engine note its lines.
pub(super) fn watch(engine: &mut Engine) {
    // An optimised tree has lost lines.
    engine.set_optimization_level(rhai::OptimizationLevel::None);
    #[allow(deprecated)] // "volatile API" in rhai's words; the version is pinned
    engine.register_debugger(
        |_, debugger| debugger,
        |_, event, node, source, position| {
            if let (DebuggerEvent::Start | DebuggerEvent::Step, true) = (event, counts(node)) {
                NOTED.with_borrow_mut(|noted| noted.hit(source.unwrap_or_default(), position));
            }
            Ok(DebuggerCommand::StepInto)
        },
    );
}

/// Whether a node is a part of its line that runs. Rhai places operators, chains and blocks apart from what is in them, and
/// a text with `${…}` where its first part is.
fn counts(node: ASTNode) -> bool {
    match node {
        // Appended to every file that is loaded.
        ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)) if call.name == engine::CAPTURE => {
            false
        }
        ASTNode::Expr(Expr::FnCall(call, _)) => !call.is_operator_call(),
        ASTNode::Expr(expression) => !matches!(
            expression,
            Expr::And(..)
                | Expr::Or(..)
                | Expr::Coalesce(..)
                | Expr::Dot(..)
                | Expr::Index(..)
                | Expr::InterpolatedString(..)
                | Expr::Stmt(_)
        ),
        ASTNode::Stmt(statement) => {
            !matches!(statement, Stmt::Noop(_) | Stmt::Block(_) | Stmt::Expr(_) | Stmt::Share(_))
        }
        _ => false,
    }
}

/// What this thread has noted since it was last asked.
pub fn take() -> Hits {
    let noted = NOTED.take();
    let most = |line: Line| line.into_iter().map(|(_, count)| count).max();
    let lines = |lines: Vec<Line>| {
        let counted = lines.into_iter().enumerate();
        counted.filter_map(|(number, line)| Some((number, most(line)?))).collect::<BTreeMap<usize, u64>>()
    };
    noted.files.into_iter().map(|(file, counts)| (file, lines(counts))).collect()
}

impl Noted {
    fn hit(&mut self, file: &str, position: Position) {
        let (Some(line), Some(column)) = (position.line(), position.position()) else { return };
        if self.files.get(self.last).is_none_or(|(last, _)| last != file) {
            let known = self.files.iter().position(|(known, _)| known == file);
            self.last = known.unwrap_or_else(|| {
                self.files.push((file.to_owned(), Vec::new()));
                self.files.len() - 1
            });
        }
        let (_, lines) = &mut self.files[self.last];
        if lines.len() <= line {
            lines.resize(line + 1, Line::new());
        }
        match lines[line].iter_mut().find(|(known, _)| *known == column) {
            Some((_, count)) => *count += 1,
            None => lines[line].push((column, 1)),
        }
    }
}

/// The lines of a file, compiled without optimisation, that can run.
pub(crate) fn executable_lines(ast: &AST) -> BTreeSet<usize> {
    let mut lines = BTreeSet::new();
    let top_level = ast.statements();
    ast.walk(&mut |path: &[ASTNode]| {
        let is_loaded = |root: &Stmt| top_level.iter().any(|statement| std::ptr::eq(statement, root));
        let inside = matches!(path.first(), Some(ASTNode::Stmt(root)) if !is_loaded(root));
        if let (true, Some(node)) = (inside, path.last()) {
            let line = node.position().line().filter(|_| counts(*node) && !is_target(path));
            lines.extend(line);
        }
        true
    });
    lines
}

/// Whether a node is never evaluated: the variable that is assigned to, the condition of `while true`.
fn is_target(path: &[ASTNode]) -> bool {
    match path {
        [.., ASTNode::Stmt(Stmt::Assignment(assignment)), ASTNode::Expr(target @ Expr::Variable(..))] => {
            std::ptr::eq(&raw const assignment.1.lhs, *target)
        }
        [.., ASTNode::Stmt(Stmt::While(..)), ASTNode::Expr(Expr::BoolConstant(true, _))] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rhai::{CallFnOptions, Dynamic, Module, Scope};

    use super::*;

    const SHARED: &str = r#"
fn twice(number) {
    number * 2 // 3
}
fn unused(number) {
    number // never
}
"#;

    /// What follows `//` on a line says how often it runs; a line without that cannot run.
    const MAIN: &str = r#"
import "numbers" as numbers;
const LIST = [
    "a",
];
fn entry(list) {
    let count = 0; // 1
    for item in list { // 1
        if item == 2 { // 3
            count += 10; // 1
        } else if item == 7 { // 2
            count += 100; // never
        } else {
            count += // 2
                numbers::twice(item); // 2
        }
    }
    for item in list { count += numbers::twice(0) * 0; if item > 2 { count += 0; } } // 3
    if count < 0 { return (); } // 1
    count += kind("a"); // 1
    count += kind(5); // 1
    count += kind("zzz"); // 1
    let absent = (); // 1
    let chosen = absent // 1
        ?? () // 1
        ?? "third" // 1
        ?? "fourth"; // never
    let both = count < 0 // 1
        && chosen == "third"; // never
    let either = both // 1
        || chosen // 1
            .len() > 2; // 1
    let map = #{ // 1
        name: "ann", // 1
        list: [ // 1
            1, // 1
            count + // 1
                1, // 1
        ],
    };
    map.name // 1
        = `a ${count} // 1
        and ${
            chosen // 1
        }`;
    map["more"] = 5; // 1
    let doubled = list.map(|item| item * 2); // 3
    let never = |item| { // 1
        item * 2 // never
    };
    let whole = list.filter(|item| { // 1
        item > 1 // 3
    });
    let found = absent?.field // 1
        .other; // never
    let turn = 0; // 1
    while true { // 1
        turn += 1; // 4
        if turn > 3 { // 4
            break; // 1
        }
    }
    do { // 1
        turn += 1; // 2
    } while turn < 6; // 2
    try { // 1
        throw "x"; // 1
    } catch (error) {
        count += error.len(); // 1
    }
    helper( // 1
        1, // 1
        either, // 1
    );
    let value = if either { // 1
        1 // 1
    } else {
        2 // never
    };
    return // 1
        count; // 1
}
fn helper(a, b) {
    if !b { return 1; } // 1
    a // 1
}
fn kind(x) {
    switch x { // 3
        "a" => 1, // 1
        "b" => 2, // never
        0..9 if x > 7 => 3, // 1
        0..9 => {
            4 // 1
        }
        "c" | "d" => { 5 } // never
        _ => 6, // 1
    }
}
fn unused() {
    let x = 1; // never
    x // never
}
"#;

    /// The counts that comments of a text tell; a line that never runs has none.
    fn told(text: &str) -> BTreeMap<usize, u64> {
        let count = |line: &str| Some(line.rsplit_once("// ")?.1.parse().unwrap_or(0));
        let lines = text.lines().enumerate();
        lines.filter_map(|(index, line)| Some((index + 1, count(line)?))).collect()
    }

    /// The lines that are counted in another way than their comments say.
    fn wrong(text: &str, ast: &AST, hits: &BTreeMap<usize, u64>) -> Vec<String> {
        let (told, can_run) = (told(text), executable_lines(ast));
        let lines = text.lines().enumerate().filter_map(|(index, line)| {
            let hit = hits.get(&(index + 1)).copied();
            let found = if can_run.contains(&(index + 1)) { Some(hit.unwrap_or(0)) } else { None };
            // No line of a function runs that could not.
            let is_known = found.is_some() || hit.is_none() || can_run.first().is_some_and(|first| index + 1 < *first);
            let right = is_known && found == told.get(&(index + 1)).copied();
            (!right).then(|| format!("{found:?} {hit:?} {line}"))
        });
        lines.collect()
    }

    #[test]
    fn lines_count_as_often_as_what_stands_on_them_runs() {
        let mut engine = Engine::new();
        watch(&mut engine);
        let mut shared = engine.compile(SHARED).unwrap();
        shared.set_source("shared.rhai");
        let module = Module::eval_ast_as_new(Scope::new(), &shared, &engine).unwrap();
        let mut resolver = rhai::module_resolvers::StaticModuleResolver::new();
        resolver.insert("numbers", module);
        engine.set_module_resolver(resolver);
        let mut main = engine.compile(MAIN).unwrap();
        main.set_source("main.rhai");
        take();
        let list = Dynamic::from_array(vec![1_i64.into(), 2_i64.into(), 3_i64.into()]);
        let options = CallFnOptions::new();
        let result = engine.call_fn_with_options::<Dynamic>(options, &mut Scope::new(), &main, "entry", (list,));
        assert!(result.is_ok(), "{result:?}");
        let hits = take();
        assert!(take().is_empty());

        assert_eq!(wrong(MAIN, &main, &hits["main.rhai"]), Vec::<String>::new());
        // Twice in the first loop, three times in the second.
        assert_eq!(wrong(&SHARED.replace("// 3", "// 5"), &shared, &hits["shared.rhai"]), Vec::<String>::new());
        let files: Vec<&String> = hits.keys().collect();
        assert_eq!(files, ["main.rhai", "shared.rhai"]);
    }
}
