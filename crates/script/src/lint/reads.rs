//! What a file reads of parameters, of tables and of the files it imports, and which connectors it asks for something. From
//! the text alone; what is computed counts as anything.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};

use crate::lint::values::links;
use crate::prelude::lookups;

/// The functions whose first argument names a connector.
pub(crate) const ACTIONS: [&str; 14] = [
    "notify",
    "post",
    "put",
    "patch",
    "delete",
    "email",
    "forward",
    "clear_sessions",
    "suspend_user",
    "unsuspend_user",
    "deactivate_user",
    "add_to_group",
    "remove_from_group",
    "revoke_sign_in_sessions",
];

/// The function that names a connector to send a message through.
pub(crate) const WAY: &str = "via";

/// Names that are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    These(BTreeSet<String>),
    /// Some are computed.
    Any,
}

/// What one file, or a script with all that it imports, reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reads {
    /// Members of `params`.
    pub parameters: Names,
    /// Names of `table("…")`.
    pub tables: Names,
    /// Names of connectors.
    pub connectors: Names,
}

impl Names {
    fn none() -> Self {
        Self::These(BTreeSet::new())
    }

    fn add(&mut self, name: Option<&str>) {
        match (&mut *self, name) {
            (Self::These(names), Some(name)) => drop(names.insert(name.to_owned())),
            _ => *self = Self::Any,
        }
    }

    fn join(&mut self, others: Self) {
        match (&mut *self, others) {
            (Self::These(names), Self::These(others)) => names.extend(others),
            _ => *self = Self::Any,
        }
    }

    /// Whether `name` may be among them.
    pub fn may_have(&self, name: &str) -> bool {
        match self {
            Self::These(names) => names.contains(name),
            Self::Any => true,
        }
    }
}

impl Reads {
    /// Nothing at all.
    pub fn nothing() -> Self {
        Self { parameters: Names::none(), tables: Names::none(), connectors: Names::none() }
    }

    /// What `ast` reads itself.
    pub(crate) fn of(ast: &AST) -> Self {
        let mut reads = Self::nothing();
        let (mut seen, mut understood) = (0, 0);
        ast.walk(&mut |path| {
            if let Some(ASTNode::Expr(expression)) = path.last() {
                if is_parameters(expression) {
                    seen += 1;
                } else if let Some(name) = parameter(expression) {
                    understood += 1;
                    reads.parameters.add(Some(name));
                } else if captured(expression) {
                    understood += 1;
                }
                reads.table(expression);
            }
            true
        });
        for named in connectors(ast) {
            reads.connectors.add(named.name.as_deref());
        }
        if seen > understood {
            reads.parameters = Names::Any;
        }
        reads
    }

    /// The same with what another file reads.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.parameters.join(other.parameters);
        self.tables.join(other.tables);
        self.connectors.join(other.connectors);
        self
    }

    fn table(&mut self, expression: &Expr) {
        match expression {
            Expr::FnCall(call, _) if call.name == "table" => self.tables.add(call.args.first().and_then(text)),
            Expr::MethodCall(call, _) if call.name == "table" => self.tables.add(None),
            Expr::FnCall(call, _) if call.name == "Fn" && may_be_table(call) => self.tables.add(None),
            _ => {}
        }
    }
}

/// A connector that a file asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// `None` where it is computed.
    pub(crate) name: Option<String>,
    /// `notify`, `http`, …
    pub(crate) function: String,
    pub(crate) place: Position,
}

/// The connectors that a file asks for something.
pub(crate) fn connectors(ast: &AST) -> Vec<Named> {
    let own = |name: &str| ast.iter_functions().any(|function| function.name == name);
    // `email(text)` makes a value of a text.
    let is_action = |name: &str, arguments: usize| {
        (ACTIONS.contains(&name) || name == WAY) && !own(name) && (name != "email" || arguments == 2)
    };
    let is_lookup = |name: &str, arguments: usize| lookups::FUNCTIONS.contains(&name) && !own(name) && arguments == 1;
    let named = |name: Option<&str>, function: &str, place: Position| Named {
        name: name.map(str::to_owned),
        function: function.to_owned(),
        place,
    };
    let mut found = Vec::new();
    ast.walk(&mut |path| {
        match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, position)) | ASTNode::Stmt(Stmt::FnCall(call, position)))
                if call.namespace.is_empty()
                    && (is_action(&call.name, call.args.len()) || is_lookup(&call.name, call.args.len())) =>
            {
                let place = call.args.first().map_or(*position, Expr::position);
                found.push(named(call.args.first().and_then(text), &call.name, place));
            }
            Some(ASTNode::Expr(Expr::MethodCall(call, position))) if is_action(&call.name, call.args.len() + 1) => {
                found.push(named(None, &call.name, *position));
            }
            Some(ASTNode::Expr(Expr::FnCall(call, position))) if call.name == "Fn" => {
                let name = call.args.first().and_then(text);
                if name.is_none_or(|name| is_action(name, 2) || is_lookup(name, 1)) {
                    found.push(named(None, "Fn", *position));
                }
            }
            _ => {}
        }
        true
    });
    found
}

/// `alias::name` of every function and constant of another file.
pub(crate) fn qualified(ast: &AST) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    ast.walk(&mut |path| {
        let named = match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(rhai::Stmt::FnCall(call, _))) => {
                Some((&call.namespace, &call.name))
            }
            Some(ASTNode::Expr(Expr::Variable(variable, ..))) => Some((&variable.2, &variable.1)),
            _ => None,
        };
        if let Some((namespace, name)) = named.filter(|(namespace, _)| !namespace.is_empty()) {
            found.insert((namespace.root().to_owned(), name.to_string()));
        }
        true
    });
    found
}

pub(super) fn is_parameters(expression: &Expr) -> bool {
    matches!(expression, Expr::Variable(variable, ..) if variable.1 == "params" && variable.2.is_empty())
}

/// A closure that reads `params` is given it: Rhai writes `curry(closure, params)`. What it reads is found inside it.
fn captured(expression: &Expr) -> bool {
    let Expr::FnCall(call, _) = expression else { return false };
    let closure = call.args.first().is_some_and(|first| matches!(first, Expr::DynamicConstant(..)));
    call.name == "curry" && closure && call.args.iter().any(is_parameters)
}

/// `x` of `params.x`, `params["x"]`, `"x" in params`.
fn parameter(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Dot(parts, ..) | Expr::Index(parts, ..) if is_parameters(&parts.lhs) => {
            match links(expression).get(1)?.expression {
                Expr::Property(property, _) => Some(&property.2),
                Expr::MethodCall(call, _) if call.name == "contains" => text(call.args.first()?),
                index => text(index),
            }
        }
        Expr::FnCall(call, _) => asked_for(call),
        _ => None,
    }
}

fn asked_for(call: &FnCallExpr) -> Option<&str> {
    let [whole, name] = call.args.as_slice() else { return None };
    if call.name == "contains" && is_parameters(whole) { text(name) } else { None }
}

/// `Fn("table")`, or a name that is computed.
fn may_be_table(pointer: &FnCallExpr) -> bool {
    pointer.args.first().and_then(text).is_none_or(|name| name == "table")
}

fn text(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::StringConstant(text, _) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine;

    fn reads(source: &str) -> Reads {
        Reads::of(&engine::parser(engine::Dialect::Script).compile(source).expect("parses"))
    }

    fn these(names: &[&str]) -> Names {
        Names::These(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn what_is_written_out_is_listed() {
        let found = reads(
            "fn f(x) { if \"e\" in params { params.contains(\"g\"); } let y = params.a ?? params?.b.c[params[\"d\"].z]; `${params.h}` + table(\"t\").has(x) + y }\n\
             const T = 1; fn g() { [1].map(|x| params.i + x) }",
        );
        assert_eq!(found.parameters, these(&["a", "b", "d", "e", "g", "h", "i"]));
        assert_eq!(found.tables, these(&["t"]));
    }

    #[test]
    fn connectors_are_listed_with_their_places() {
        let found = |source: &str| {
            let ast = engine::parser(engine::Dialect::Script).compile(source).expect("parses");
            let found = connectors(&ast).into_iter();
            found.map(|one| (one.name, one.place.position().unwrap_or(0))).collect::<Vec<_>>()
        };
        let named = |name: &str, place| (Some(name.to_owned()), place);
        assert_eq!(
            found("fn f(x) { post(\"hr\", `/x`, #{}); [notify(\"chat\", x).after(\"1m\")] }"),
            [named("hr", 16), named("chat", 42),]
        );
        assert_eq!(reads("fn f() { forward(\"siem\") }").connectors, these(&["siem"]));
        let two = "fn f(x) { [suspend_user(\"org\", x.id), revoke_sign_in_sessions(\"m365\", x.login)] }";
        assert_eq!(reads(two).connectors, these(&["m365", "org"]));
        assert_eq!(found("fn f() { http(\"hr\").get(`/x`).json }"), [named("hr", 15)]);
        assert_eq!(reads("fn f(x) { sql(x).row(\"\") }").connectors, Names::Any);
        assert_eq!(reads("fn http(x) { x } fn f(x) { http(\"own\") }").connectors, Names::none());
        for source in ["fn f(x) { notify(x, 1) }", "fn f(x) { x.map(Fn(\"email\")) }", "fn f(x) { x.notify(1) }"] {
            assert_eq!(reads(source).connectors, Names::Any, "{source}");
        }
        assert_eq!(reads("fn f(x) { email(\"a@b.example\").domain + email(x).domain }").connectors, Names::none());
        assert_eq!(reads("fn f() { send([via(\"a\"), via(\"b\")]) }").connectors, these(&["a", "b"]));
        assert_eq!(reads("fn post(x) { x } fn f(x) { post(\"own\") }").connectors, Names::none());
        assert_eq!(reads("fn f(x) { x.email + x.delete + lib::post(\"own\") }").connectors, Names::none());
    }

    #[test]
    fn what_is_computed_may_be_anything() {
        for source in [
            "fn f(x) { params[x] }",
            "fn f() { params.keys() }",
            "fn f() { g(params) }",
            "fn f() { g(params); } fn g(params) { params.x }",
            "fn f() { let p = params; p.x }",
        ] {
            assert_eq!(reads(source).parameters, Names::Any, "{source}");
        }
        for source in ["fn f(x) { table(x) }", "fn f(x) { x.map(Fn(\"table\")) }", "fn f(x) { x.table() }"] {
            assert_eq!(reads(source).tables, Names::Any, "{source}");
        }
        assert_eq!(reads("fn f(x) { x.params }"), Reads::nothing());
    }
}
