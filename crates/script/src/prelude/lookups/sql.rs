//! `sql("legacy").row("select … where id = ?", [id])`: what a database has.

use rhai::{Array, Dynamic, ImmutableString, NativeCallContext};

use crate::library::{Doc, Library};
use crate::prelude::lookups::{Most, ask, handle, values};
use crate::prelude::{Fallible, json};
use hookgate_model::question::{Ask, Take};

/// A database that is asked.
#[derive(Clone, Debug)]
struct Sql(ImmutableString);

impl Sql {
    fn ask(&self, most: Most, take: Take, statement: &str, parameters: Array) -> Fallible<Dynamic> {
        let name = match take {
            Take::Rows => "rows",
            Take::Row => "row",
            Take::Value => "value",
        };
        let (statement, parameters) = (statement.to_owned(), values(name, parameters)?);
        let answer = ask(name, &self.0, Ask::Sql { take, statement, parameters })?;
        most.checked(&self.0, json::read_only(&answer.value)?)
    }
}

pub(super) fn register(library: &mut Library) {
    let about = "A connector of kind `sql`, to be asked.";
    let doc = Doc::new(
        "sql(connector: string) -> Sql",
        "A database to be asked. It is opened read-only: nothing that a statement says changes anything.",
        r#"sql("legacy").value("select 1") == 1"#,
    );
    handle(library, ("Sql", about), doc, Sql, |sql| sql.0.clone());
    library.reader(
        Doc::new(
            "Sql.row(statement: string [, parameters: array]) -> map or ()",
            "The first row by name of column; `()` if there is none. Parameters stand in the statement as the database writes \
             them: `$1` for PostgreSQL, `?` for MySQL and SQLite. Never build a statement from text: what users typed goes \
             into the parameters. They are texts and numbers, as the column holds them, and `()`; PostgreSQL takes truth values, \
             too.",
            r#"sql("legacy").row("select name from users where id = ?", [7]).name == "Ann""#,
        ),
        |context: NativeCallContext, sql: &mut Sql, statement: &str, parameters: Array| {
            sql.ask(Most::of(&context), Take::Row, statement, parameters)
        },
    );
    library.reader(
        Doc::new(
            "Sql.rows(statement: string [, parameters: array]) -> array",
            "All rows, a map each; too many are an error whose `kind` is `too_large`.",
            r#"sql("legacy").rows("select id from users where team = ?", ["x"]).len() == 2"#,
        ),
        |context: NativeCallContext, sql: &mut Sql, statement: &str, parameters: Array| {
            sql.ask(Most::of(&context), Take::Rows, statement, parameters)
        },
    );
    library.reader(
        Doc::new(
            "Sql.value(statement: string [, parameters: array]) -> any",
            "The first column of the first row; `()` if there is none, or if it is `NULL`.",
            r#"sql("legacy").value("select hash from users where login = ?", ["ann"]) == "{SSHA}x""#,
        ),
        |context: NativeCallContext, sql: &mut Sql, statement: &str, parameters: Array| {
            sql.ask(Most::of(&context), Take::Value, statement, parameters)
        },
    );
    library.overload("row", |context: NativeCallContext, sql: &mut Sql, statement: &str| {
        sql.ask(Most::of(&context), Take::Row, statement, Array::new())
    });
    library.overload("rows", |context: NativeCallContext, sql: &mut Sql, statement: &str| {
        sql.ask(Most::of(&context), Take::Rows, statement, Array::new())
    });
    library.overload("value", |context: NativeCallContext, sql: &mut Sql, statement: &str| {
        sql.ask(Most::of(&context), Take::Value, statement, Array::new())
    });
}
