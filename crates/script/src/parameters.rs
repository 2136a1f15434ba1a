//! The parameters that a script declares: `const PARAMS = #{ … };`, one entry for each key of `params`.
//!
//! The declaration is read from the syntax tree, never run. A release checks the parameters of every route and rule against it, and
//! fills in what is absent; the lint, the editor, the reference and the JSON schema use the same declaration. Knows no connector: whoever
//! checks says which there are.

mod check;
mod declare;
mod forms;
mod literal;
pub(crate) mod schema;
mod words;

pub use check::{Around, Misfit, Step, key_path};
pub(crate) use declare::Problem;

use rhai::{AST, Dynamic, ImmutableString, Position, Stmt};

/// The constant that holds the declaration.
pub const NAME: &str = "PARAMS";

/// What a script takes, in the order of the text.
#[derive(Clone, Debug, Default)]
pub struct Declaration {
    pub parameters: Vec<Parameter>,
}

/// One key of `params`, or of a map below it.
#[derive(Clone, Debug)]
pub struct Parameter {
    pub name: ImmutableString,
    /// What it means, for people.
    pub text: String,
    pub form: Form,
    pub required: bool,
    /// The value that a script gets where there is none.
    pub if_absent: Option<Dynamic>,
    /// At least one of these must stand beside it.
    pub(crate) needs: Vec<String>,
    pub(crate) place: Position,
}

/// What a value has to be.
#[derive(Clone, Debug)]
pub enum Form {
    Any,
    Text(Option<Pattern>),
    /// A text, or one that is read from the environment or a file.
    Secret,
    Int(Range),
    Float(Range),
    Bool,
    /// `"10m"`, up to a longest one.
    Duration(Option<String>),
    /// `"5/10m"`
    Rate,
    /// `"example.com"`, `"*.example.com"` or `"ann@example.com"`
    Domain,
    /// Two letters of ISO 3166.
    Country,
    /// `"user.session.start"` or `"user.session.*"`
    Event,
    Word(Vec<String>),
    /// The name of a connector, and the function that the script calls with it.
    Connector(Option<String>),
    /// The name of a table.
    Table,
    /// One of these words, or the form.
    Either(Vec<String>, Box<Form>),
    List(Box<List>),
    /// Any keys, each of the first form, with values of the second.
    Map(Box<Form>, Box<Form>),
    Members(Members),
}

/// Bounds of a number, each included.
#[derive(Clone, Copy, Debug, Default)]
pub struct Range {
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
}

/// A regular expression that a text has to match.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub(crate) written: String,
    pub(crate) compiled: regex::Regex,
}

/// A list. One value alone is a list of one, where its items are no lists or maps.
#[derive(Clone, Debug)]
pub struct List {
    pub items: Form,
    pub(crate) min_items: usize,
    /// A text is cut here into the items of the list.
    pub(crate) split: Option<String>,
}

/// A map with the keys that it may have.
#[derive(Clone, Debug)]
pub struct Members {
    pub parameters: Vec<Parameter>,
    /// Exactly one of these must be there.
    pub(crate) one_of: Vec<String>,
    /// A text in place of the map is this member.
    pub(crate) alone: Option<String>,
}

impl Declaration {
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        find(&self.parameters, name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|parameter| parameter.name.as_str())
    }
}

/// The parameter of a name.
pub fn find<'p>(parameters: &'p [Parameter], name: &str) -> Option<&'p Parameter> {
    parameters.iter().find(|parameter| parameter.name == name)
}

/// The declaration of a file as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) declaration: Declaration,
    /// The place of the constant.
    pub(crate) place: Position,
    /// What is wrong with it.
    pub(crate) problems: Vec<Problem>,
}

/// Reads the declaration of a script, if it has one.
pub(crate) fn declared(ast: &AST) -> Option<Declared> {
    ast.statements().iter().find_map(|statement| match statement {
        Stmt::Var(variable, _, place) if variable.0.name == NAME => {
            let (declaration, problems) = declare::read(&variable.1);
            let at = variable.0.pos;
            Some(Declared { declaration, place: if at.is_none() { *place } else { at }, problems })
        }
        _ => None,
    })
}

impl Declared {
    /// The declaration, if nothing is wrong with it.
    pub(crate) fn whole(&self) -> Option<&Declaration> {
        self.problems.is_empty().then_some(&self.declaration)
    }
}

/// The declaration of the text of a script; nothing where it has none, or does not parse.
pub fn of_source(source: &str) -> Option<Declaration> {
    let parser = crate::engine::parser(crate::engine::Dialect::Script);
    let declared = declared(&parser.compile(source).ok()?)?;
    declared.whole().cloned()
}

/// Reads the declaration out of a text that may be broken elsewhere: `written` is the statement alone.
pub fn of_statement(written: &str) -> Option<Declaration> {
    let parser = crate::engine::parser(crate::engine::Dialect::Script);
    let statement = format!("{};", written.trim_end_matches(';'));
    let ast = parser.compile(statement).ok()?;
    Some(declared(&ast)?.declaration)
}

#[cfg(test)]
mod tests;
