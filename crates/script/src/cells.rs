//! Variables that closures capture, which Rhai keeps in cells shared by reference count: at the end of a run all that are left
//! are emptied. Otherwise closures that hold one another, or an array that holds a closure which captured this array,
//! would stay in memory for ever.
//!
//! Rhai does not tell which cells there are. But it tells the engine's variable resolver of each variable that is named,
//! also of those that a closure captures, once they are shared and before anything else gets hold of the cell. There each is
//! put into a cell of ours, of which this module keeps a weak reference. A mark on the variable says that this was done;
//! scripts cannot set it, because what they give a tag to is the content of the cell.
//!
//! Only scripts in which a closure captures something have cells. For all others the resolver looks at one thread-local flag.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Weak};

use rhai::{AST, ASTNode, Dynamic, EvalContext, Locked, Shared, Stmt};

/// The tag of variables whose cell is one of ours.
const MARK: i32 = 0x0068_6f6b;

thread_local! {
    /// Whether the script that runs here may have cells.
    static WATCHING: Cell<bool> = const { Cell::new(false) };
    static CELLS: RefCell<Cells> = const { RefCell::new(Cells { made: Vec::new(), prune_at: 0 }) };
}

/// The cells of one run.
struct Cells {
    made: Vec<Weak<Locked<Dynamic>>>,
    /// How many there may be before those that are gone are taken out.
    prune_at: usize,
}

/// Fewer are not worth a look.
const PRUNE_FROM: usize = 64;

/// Whether a closure of this file captures a variable.
pub(crate) fn has_captures(ast: &AST) -> bool {
    !ast.walk(&mut |path: &[ASTNode]| !matches!(path.last(), Some(ASTNode::Stmt(Stmt::Share(_)))))
}

/// Runs `body`, in which scripts run that `capture` variables or do not, and empties their cells in the end. What `body`
/// gives must hold none of them ([`depth::bounded`](crate::depth::bounded)). Nests: a test runs a script.
pub(crate) fn within<R>(capture: bool, body: impl FnOnce() -> R) -> R {
    struct Restore {
        watching: bool,
        cells: Option<Cells>,
    }
    impl Drop for Restore {
        fn drop(&mut self) {
            if let Some(outer) = self.cells.take() {
                CELLS.replace(outer).empty();
            }
            WATCHING.set(self.watching);
        }
    }
    let cells = capture.then(|| CELLS.replace(Cells { made: Vec::new(), prune_at: PRUNE_FROM }));
    let _restore = Restore { watching: WATCHING.replace(capture), cells };
    body()
}

/// Whether [`note`] wants to hear of variables.
pub(crate) fn watching() -> bool {
    WATCHING.get()
}

/// Takes note of a variable that the script names.
pub(crate) fn note(name: &str, context: &mut EvalContext) {
    let fresh = |variable: &Dynamic| variable.is_shared() && variable.tag() != MARK;
    if !context.scope().get(name).is_some_and(fresh) {
        return;
    }
    // A constant cannot be changed, so no cycle is closed by it.
    let Some(variable) = context.scope_mut().get_mut(name) else { return };
    // Nothing else refers to the cell: this is the first time that it is named.
    let Some(content) = variable.write_lock::<Dynamic>().map(|mut content| content.take()) else { return };
    let cell: Shared<Locked<Dynamic>> = Arc::new(Locked::new(content));
    CELLS.with_borrow_mut(|cells| cells.add(Arc::downgrade(&cell)));
    *variable = Dynamic::from(cell);
    variable.set_tag(MARK);
}

impl Cells {
    fn add(&mut self, cell: Weak<Locked<Dynamic>>) {
        if self.made.len() >= self.prune_at {
            self.made.retain(|cell| cell.strong_count() > 0);
            self.prune_at = 2 * self.made.len() + PRUNE_FROM;
        }
        self.made.push(cell);
    }

    fn empty(self) {
        // All are held until the last is empty: so dropping the content of one never reaches into the next.
        let cells: Vec<_> = self.made.iter().filter_map(Weak::upgrade).collect();
        for cell in &cells {
            // A lock that is still held would be a defect of Rhai's; waiting for it would never end.
            let content = match cell.try_write() {
                Ok(mut content) => content.take(),
                Err(std::sync::TryLockError::Poisoned(content)) => content.into_inner().take(),
                Err(std::sync::TryLockError::WouldBlock) => continue,
            };
            drop(content);
        }
    }
}
