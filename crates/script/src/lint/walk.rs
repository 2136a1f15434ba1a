//! The walk through every statement of a file, with the variables in scope.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{ASTFlags, Dynamic, Expr, FlowControl, Ident, Position, Stmt, SwitchCasesCollection};

use crate::lint::source::Function;
use crate::lint::{Input, Report};
use crate::shape::Shape;

/// What a name in scope is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Variable,
    Constant,
    Parameter,
    /// Loop variables, caught errors and what a closure gets: nobody is asked to use these.
    Given,
}

#[derive(Clone, Debug)]
pub(crate) struct Variable<'a> {
    pub(crate) name: String,
    pub(crate) position: Position,
    pub(crate) role: Role,
    pub(crate) shape: Shape<'a>,
    pub(crate) used: bool,
}

/// What the top of the file declares.
#[derive(Default)]
pub(crate) struct Top<'a> {
    pub(crate) constants: BTreeMap<String, Variable<'a>>,
    /// Those constants whose value is written out.
    pub(crate) values: BTreeMap<String, Dynamic>,
    /// Alias → place and whether it was used.
    pub(crate) imports: BTreeMap<String, (Position, bool)>,
    /// `let` at the top, which functions cannot see.
    pub(crate) variables: BTreeSet<String>,
}

pub(crate) struct Walker<'a, 'r> {
    pub(crate) input: &'r Input<'a>,
    pub(crate) functions: &'r [Function],
    pub(crate) top: Top<'a>,
    pub(crate) scope: Vec<Variable<'a>>,
    /// Where in `scope` the innermost block begins.
    pub(crate) block_start: usize,
    /// Whether what is returned here is what the script returns: not in closures, nor in `if` as a value.
    pub(crate) answers: bool,
    /// Names whose block has ended.
    pub(crate) ended: BTreeSet<String>,
    /// Variables of this function that are assigned to after their declaration.
    pub(crate) reassigned: BTreeSet<String>,
    /// Functions that the function being walked refers to.
    pub(crate) references: BTreeSet<String>,
    /// Keys of map literals: names that are not typing errors of a property.
    pub(crate) map_keys: BTreeSet<String>,
    pub(crate) report: &'r mut Report<'a>,
}

pub(crate) fn check<'a>(input: &Input<'a>, functions: &[Function], report: &mut Report<'a>) {
    let mut walker = Walker {
        input,
        functions,
        top: Top::default(),
        scope: Vec::new(),
        block_start: 0,
        answers: false,
        ended: BTreeSet::new(),
        reassigned: BTreeSet::new(),
        references: BTreeSet::new(),
        map_keys: map_keys(input),
        report,
    };
    walker.top_level();
    let mut graph = BTreeMap::from([(String::new(), std::mem::take(&mut walker.references))]);
    for function in functions {
        walker.function(function);
        graph.entry(function.name.clone()).or_default().append(&mut walker.references);
    }
    walker.unused_of_file(&graph);
}

/// The names that the file itself uses as keys.
fn map_keys(input: &Input) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    input.ast.walk(&mut |path| {
        match path.last() {
            Some(rhai::ASTNode::Expr(Expr::Map(map, _))) => {
                keys.extend(map.0.iter().map(|(key, _)| key.name.to_string()));
            }
            Some(rhai::ASTNode::Stmt(Stmt::Assignment(assignment))) => {
                if let Expr::Dot(chain, ..) = &assignment.1.lhs
                    && let Expr::Property(property, _) = &chain.rhs
                {
                    keys.insert(property.2.to_string());
                }
            }
            _ => {}
        }
        true
    });
    keys
}

impl<'a> Walker<'a, '_> {
    /// The top runs once, at load, before there is a request.
    fn top_level(&mut self) {
        let ast = self.input.ast;
        for statement in ast.statements() {
            if let Stmt::Import(import, position) = statement {
                if import.1.name.is_empty() {
                    let message = "this import has no name, so nothing can use it".to_owned();
                    let help = "write `import \"lib/name\" as name;`".to_owned();
                    self.report.warning("script/unused-import", *position, message, help);
                    continue;
                }
                self.top.imports.insert(import.1.name.to_string(), (import.1.pos, false));
            }
        }
        for statement in ast.statements() {
            match statement {
                Stmt::Noop(_) | Stmt::Import(..) | Stmt::Export(..) => {}
                Stmt::Var(variable, flags, position) => {
                    let (name, value, _) = &**variable;
                    let shape = self.expression(value);
                    if let Some(value) = self.literal(value) {
                        self.top.values.insert(name.name.to_string(), value);
                    }
                    self.declare_at_top(name.name.to_string(), name.pos, shape, *flags, *position);
                }
                other => self.report.error(
                    "script/top-level",
                    statement_start(other),
                    "only `const`, `import` and `fn` may stand outside functions".to_owned(),
                    "the top of a script runs once, at load: move this into a function".to_owned(),
                ),
            }
        }
    }

    fn declare_at_top(&mut self, name: String, at: Position, shape: Shape<'a>, flags: ASTFlags, statement: Position) {
        if flags.contains(ASTFlags::CONSTANT) {
            let used = flags.contains(ASTFlags::EXPORTED) || name.starts_with('_');
            let constant = Variable { name: name.clone(), position: at, role: Role::Constant, shape, used };
            self.top.constants.insert(name, constant);
        } else {
            let message = format!("`let {name}` outside a function cannot be seen by any function");
            self.report.error("script/top-level", statement, message, format!("write `const {name} = …`"));
            self.top.variables.insert(name);
        }
    }

    fn function(&mut self, function: &Function) {
        self.scope.clear();
        self.ended.clear();
        self.reassigned = assigned_names(&function.body);
        let entry = self.input.entry.filter(|entry| entry.name == function.name && function.parameters.len() == 1);
        for name in &function.parameters {
            let role = if function.is_closure() { Role::Given } else { Role::Parameter };
            let shape = match &entry {
                Some(entry) if !self.reassigned.contains(name) => Shape::Value(entry.request_type),
                _ => Shape::Unknown,
            };
            let position = match role {
                Role::Parameter => function.position,
                _ => Position::NONE,
            };
            self.scope.push(Variable { name: name.clone(), position, role, shape, used: false });
        }
        self.filled_for_nothing(function);
        self.block_start = self.scope.len();
        self.answers = !function.is_closure();
        self.statements(&function.body, true);
        self.leave(0);
    }

    /// Walks a block with its own scope. `value`: the last statement's value is used.
    pub(crate) fn block(&mut self, statements: &[Stmt], value: bool) -> bool {
        let depth = self.scope.len();
        let outer = std::mem::replace(&mut self.block_start, depth);
        let ends = self.statements(statements, value);
        self.block_start = outer;
        self.leave(depth);
        ends
    }

    /// Whether control never comes out at the end.
    fn statements(&mut self, statements: &[Stmt], value: bool) -> bool {
        let last = statements.iter().rposition(|statement| !statement.is_noop());
        let mut ended = false;
        for (index, statement) in statements.iter().enumerate() {
            if ended && !statement.is_noop() {
                self.unreachable(statement);
                ended = false;
            }
            ended |= self.statement(statement, value && Some(index) == last);
        }
        ended
    }

    fn statement(&mut self, statement: &Stmt, value: bool) -> bool {
        match statement {
            Stmt::If(parts, _) => {
                self.tested(&parts.expr);
                self.condition(&parts.expr);
                let then = self.block(parts.body.statements(), value);
                let otherwise = self.block(parts.branch.statements(), value);
                return then && otherwise;
            }
            Stmt::Switch(parts, _) => self.switch(&parts.0, &parts.1, value),
            Stmt::While(parts, _) | Stmt::Do(parts, ..) => {
                if !matches!(parts.expr, Expr::Unit(_)) {
                    self.tested(&parts.expr);
                }
                if matches!(statement, Stmt::While(..)) {
                    self.loop_condition(&parts.expr);
                }
                self.block(parts.body.statements(), false);
            }
            Stmt::For(parts, _) => self.for_loop(&parts.0, parts.1.as_ref(), &parts.2),
            Stmt::Var(variable, flags, _) => {
                let shape = self.expression(&variable.1);
                self.shadows(&variable.0.name, variable.0.pos, &variable.1);
                let constant = flags.contains(ASTFlags::CONSTANT);
                self.declare(
                    &variable.0.name,
                    variable.0.pos,
                    shape,
                    if constant { Role::Constant } else { Role::Variable },
                );
            }
            Stmt::Assignment(assignment) => {
                self.expression(&assignment.1.rhs);
                self.assignment(&assignment.1.lhs);
            }
            Stmt::FnCall(call, position) => {
                self.call(call, *position, None);
            }
            Stmt::Block(block) => return self.block(block.statements(), value),
            Stmt::TryCatch(parts, position) => {
                self.try_catch(parts.body.statements(), &parts.expr, parts.branch.statements(), *position, value)
            }
            Stmt::Expr(expression) => {
                if !value {
                    self.dropped(expression);
                } else if self.answers {
                    self.returned(expression);
                }
                self.expression(expression);
            }
            Stmt::BreakLoop(result, ..) | Stmt::Return(result, ..) => {
                if let Some(result) = result {
                    self.expression(result);
                    if self.answers && matches!(statement, Stmt::Return(..)) {
                        self.returned(result);
                    }
                }
                return true;
            }
            Stmt::Import(import, position) => self.nested_import(&import.1.name, *position),
            _ => {}
        }
        false
    }

    fn for_loop(&mut self, item: &Ident, counter: Option<&Ident>, parts: &FlowControl) {
        let items = self.expression(&parts.expr);
        self.loop_for_lookup(item, parts, items);
        let depth = self.scope.len();
        let shape = match items {
            Shape::Array(shape) if !self.reassigned.contains(item.name.as_str()) => Shape::parse(shape),
            _ => Shape::Unknown,
        };
        self.give(&item.name, item.pos, shape);
        if let Some(counter) = counter {
            self.give(&counter.name, counter.pos, Shape::Integer);
        }
        let outer = std::mem::replace(&mut self.block_start, self.scope.len());
        self.statements(parts.body.statements(), false);
        self.block_start = outer;
        self.leave(depth);
    }

    fn switch(&mut self, subject: &Expr, cases: &SwitchCasesCollection, value: bool) {
        self.expression(subject);
        for case in cases.cases.values() {
            let first = case.blocks.iter().find(|block| is_true(&cases.expressions[**block].lhs));
            let Some(first) = first else { continue };
            for block in case.blocks.iter().filter(|block| *block > first) {
                let message = "this case can never run: an earlier case has the same value".to_owned();
                self.report.warning("script/duplicate-case", cases.expressions[*block].rhs.position(), message, None);
            }
        }
        for case in &cases.expressions {
            if !is_true(&case.lhs) {
                self.expression(&case.lhs);
            }
            match &case.rhs {
                Expr::Stmt(block) => {
                    self.block(block.statements(), value);
                }
                other => {
                    self.expression(other);
                }
            }
        }
    }

    fn try_catch(&mut self, body: &[Stmt], caught: &Expr, branch: &[Stmt], position: Position, value: bool) {
        let gives_value = matches!(body.last(), Some(Stmt::Expr(_)));
        if value && gives_value {
            let help = "write `return …` inside it, or assign to a variable declared before it".to_owned();
            self.report.warning("script/try-value", position, "`try` gives no value".to_owned(), help);
        }
        self.block(body, value && gives_value);
        let depth = self.scope.len();
        if let Expr::Variable(variable, _, position) = caught {
            self.give(&variable.1, *position, Shape::Unknown);
        }
        self.statements(branch, value);
        self.leave(depth);
    }

    fn nested_import(&mut self, alias: &str, position: Position) {
        let message = "this `import` runs again at every call".to_owned();
        self.report.warning("script/nested-import", position, message, "move it to the top of the file".to_owned());
        self.top.imports.insert(alias.to_owned(), (position, true));
    }

    pub(crate) fn give(&mut self, name: &str, position: Position, shape: Shape<'a>) {
        self.scope.push(Variable { name: name.to_owned(), position, role: Role::Given, shape, used: false });
    }

    fn declare(&mut self, name: &str, position: Position, shape: Shape<'a>, role: Role) {
        let shape = if self.reassigned.contains(name) { Shape::Unknown } else { shape };
        // One that is declared again in its block is out of reach from here on.
        let block = self.block_start.min(self.scope.len());
        if let Some(index) = self.scope[block..].iter().rposition(|variable| variable.name == name) {
            let hidden = self.scope.remove(block + index);
            self.unused(&hidden);
        }
        self.scope.push(Variable { name: name.to_owned(), position, role, shape, used: false });
    }
}

fn is_true(expression: &Expr) -> bool {
    matches!(expression, Expr::BoolConstant(true, _))
}

/// Where a reader sees the statement begin; Rhai gives an expression's operator.
pub(crate) fn statement_start(statement: &Stmt) -> Position {
    match statement {
        Stmt::Expr(expression) => leftmost(expression),
        Stmt::Assignment(assignment) => leftmost(&assignment.1.lhs),
        other => other.position(),
    }
}

pub(crate) fn leftmost(expression: &Expr) -> Position {
    match expression {
        Expr::FnCall(call, position) if call.is_operator_call() => call.args.first().map_or(*position, leftmost),
        Expr::Dot(parts, ..) | Expr::Index(parts, ..) => leftmost(&parts.lhs),
        Expr::And(parts, _) | Expr::Or(parts, _) | Expr::Coalesce(parts, _) => leftmost(&parts[0]),
        other => other.start_position(),
    }
}

/// Variables that are assigned to somewhere in these statements: their first value tells nothing about later ones.
fn assigned_names(statements: &[Stmt]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for statement in statements {
        statement.walk(&mut Vec::new(), &mut |path| {
            if let Some(rhai::ASTNode::Stmt(Stmt::Assignment(assignment))) = path.last()
                && let Expr::Variable(variable, ..) = &assignment.1.lhs
            {
                names.insert(variable.1.to_string());
            }
            if let Some(rhai::ASTNode::Stmt(Stmt::Share(shared))) = path.last() {
                names.extend(shared.iter().map(|(variable, _)| variable.name.to_string()));
            }
            true
        });
    }
    names
}
