//! Which lines of scripts ran: noted by the debugger of engines that are made for it, and never of those that serve.
//!
//! A line counts as executable when a statement or an arm of a `switch` begins there.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use rhai::debugger::{DebuggerCommand, DebuggerEvent};
use rhai::{AST, ASTNode, Engine, Expr, Stmt};

/// How often each line ran, by file.
pub type Hits = BTreeMap<String, BTreeMap<usize, u64>>;

/// What one thread has noted, in the order in which it met the files.
#[derive(Default)]
struct Noted {
    files: Vec<(String, Vec<u64>)>,
    /// The file of the step before: most steps stay in one.
    last: usize,
}

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
        |_, event, _, source, position| {
            if let (DebuggerEvent::Start | DebuggerEvent::Step, Some(line)) = (event, position.line()) {
                NOTED.with_borrow_mut(|noted| noted.hit(source.unwrap_or_default(), line));
            }
            Ok(DebuggerCommand::StepInto)
        },
    );
}

/// What this thread has noted since it was last asked.
pub fn take() -> Hits {
    let noted = NOTED.take();
    let lines = |counts: Vec<u64>| {
        counts.into_iter().enumerate().filter(|(_, count)| *count > 0).collect::<BTreeMap<usize, u64>>()
    };
    noted.files.into_iter().map(|(file, counts)| (file, lines(counts))).collect()
}

impl Noted {
    fn hit(&mut self, file: &str, line: usize) {
        if self.files.get(self.last).is_none_or(|(last, _)| last != file) {
            let known = self.files.iter().position(|(known, _)| known == file);
            self.last = known.unwrap_or_else(|| {
                self.files.push((file.to_owned(), Vec::new()));
                self.files.len() - 1
            });
        }
        let (_, counts) = &mut self.files[self.last];
        if counts.len() <= line {
            counts.resize(line + 1, 0);
        }
        counts[line] += 1;
    }
}

/// The lines of a file, compiled without optimisation, that can run.
pub fn executable_lines(ast: &AST) -> BTreeSet<usize> {
    let mut lines = BTreeSet::new();
    let top_level: BTreeSet<usize> = ast.statements().iter().filter_map(|stmt| stmt.position().line()).collect();
    ast.walk(&mut |path: &[ASTNode]| {
        match path.last() {
            Some(ASTNode::Stmt(Stmt::Noop(_) | Stmt::Block(_))) => {}
            Some(ASTNode::Stmt(Stmt::Switch(switch, _))) => {
                let (_, cases) = &**switch;
                let arms = cases.expressions.iter().filter(|arm| !matches!(arm.rhs, Expr::Stmt(_) | Expr::Unit(_)));
                lines.extend(arms.filter(|arm| !arm.rhs.is_constant()).filter_map(|arm| arm.rhs.position().line()));
                lines.extend(path.last().and_then(|node| node.position().line()));
            }
            Some(node @ ASTNode::Stmt(_)) => lines.extend(node.position().line()),
            _ => {}
        }
        true
    });
    // Constants and imports run when a script is loaded, not when it is called.
    lines.retain(|line| !top_level.contains(line));
    lines
}
