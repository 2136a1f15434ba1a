//! What is asked of every database alike: a statement that may be sent, and rows that are gathered within limits.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use hookgate_model::question::{Reason, Take, Trouble};

/// A statement that reads begins with one of these. The database is told to refuse writes, too: this keeps out what no
/// database counts as writing, such as a change of the session.
const READING: &[&str] = &["SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN", "DESCRIBE", "DESC"];

/// By how much a server stops a statement earlier than its time, at most.
const MOST_MARGIN: Duration = Duration::from_millis(200);

/// One question, as a database gets it.
pub(super) struct Asked<'a> {
    pub(super) take: Take,
    pub(super) statement: &'a str,
    pub(super) parameters: &'a [Value],
    pub(super) limits: Limits,
}

/// How much of an answer is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// Rows so far.
pub(super) struct Gathered {
    take: Take,
    limits: Limits,
    names: Vec<String>,
    rows: Vec<Value>,
    bytes: usize,
}

impl Asked<'_> {
    /// Whether it may be sent at all.
    ///
    /// # Errors
    /// It does not read, or a parameter is none; without the parameter.
    pub(super) fn check(&self) -> Result<(), Trouble> {
        let word = first_word(self.statement);
        if !READING.iter().any(|reading| reading.eq_ignore_ascii_case(word)) {
            let text =
                format!("a statement reads: it begins with SELECT, WITH, VALUES, TABLE, SHOW or EXPLAIN, not `{word}`");
            return Err(rejected(text));
        }
        match self.parameters.iter().position(|value| value.is_array() || value.is_object()) {
            Some(at) => Err(rejected(format!(
                "parameter {} is a list or a map: parameters are texts, numbers, truth values and ()",
                at + 1
            ))),
            None => Ok(()),
        }
    }

    /// Whether no parameter is a truth value, for a database that has none: there it would be 1 or 0, and elsewhere it is not.
    ///
    /// # Errors
    /// One is.
    pub(super) fn check_no_truth_values(&self, database: &str) -> Result<(), Trouble> {
        match self.parameters.iter().position(Value::is_boolean) {
            Some(at) => Err(rejected(format!(
                "parameter {} is a truth value, which {database} does not have: give what the column holds, such as 1 or 0",
                at + 1
            ))),
            None => Ok(()),
        }
    }

    /// Whether as many parameters came as the statement has places for.
    ///
    /// # Errors
    /// More or fewer.
    pub(super) fn check_count(&self, places: usize) -> Result<(), Trouble> {
        match self.parameters.len() {
            count if count == places => Ok(()),
            count => Err(rejected(format!("the statement has places for {places} parameters, and {count} were given"))),
        }
    }
}

impl Gathered {
    /// # Errors
    /// The columns cannot become members of an object.
    pub(super) fn new(asked: &Asked<'_>, names: Vec<String>) -> Result<Self, Trouble> {
        if names.is_empty() {
            return Err(rejected("the statement has no columns to give"));
        }
        let again = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
        match again {
            Some((_, name)) if asked.take != Take::Value => {
                Err(rejected(format!("two columns are called `{name}`: give one another name with AS")))
            }
            _ => Ok(Self { take: asked.take, limits: asked.limits, names, rows: Vec::new(), bytes: 0 }),
        }
    }

    /// Columns that are looked at.
    pub(super) fn columns(&self) -> &[String] {
        if self.take == Take::Value { &self.names[..1] } else { &self.names }
    }

    /// Rows worth asking for: one too many shows that there are too many.
    pub(super) fn most(&self) -> usize {
        if self.take == Take::Rows { self.limits.rows.saturating_add(1) } else { 1 }
    }

    pub(super) fn wants_more(&self) -> bool {
        self.take == Take::Rows || self.rows.is_empty()
    }

    /// Adds a row: the cells of [`Gathered::columns`].
    ///
    /// # Errors
    /// It is one too many.
    pub(super) fn add(&mut self, cells: Vec<Value>) -> Result<(), Trouble> {
        if self.rows.len() >= self.limits.rows {
            let text = format!("there are more than {} rows: ask for fewer, or raise `max_rows`", self.limits.rows);
            return Err(Trouble::new(Reason::TooLarge, text));
        }
        self.bytes += cells.iter().zip(&self.names).map(|(cell, name)| size(cell) + name.len() + 4).sum::<usize>();
        if self.bytes > self.limits.bytes {
            return Err(too_long(self.limits));
        }
        self.rows.push(match self.take {
            Take::Value => cells.into_iter().next().unwrap_or_default(),
            _ => Value::Object(self.names.iter().cloned().zip(cells).collect::<Map<_, _>>()),
        });
        Ok(())
    }

    pub(super) fn answer(self) -> Value {
        match self.take {
            Take::Rows => Value::Array(self.rows),
            Take::Row | Take::Value => self.rows.into_iter().next().unwrap_or_default(),
        }
    }
}

/// When the server is told to stop a statement: a little before nobody waits for it any more, so that it says so itself and is
/// known to be there.
pub(super) fn stop_after(time: Duration) -> Duration {
    time.saturating_sub((time / 10).min(MOST_MARGIN)).max(Duration::from_millis(1))
}

/// A statement that the server stopped.
pub(super) fn stopped(code: impl fmt::Display) -> Trouble {
    Trouble::new(Reason::Timeout, format!("the statement took too long ({code})")).as_answered()
}

pub(super) fn rejected(text: impl Into<String>) -> Trouble {
    Trouble::new(Reason::Rejected, text)
}

pub(super) fn too_long(limits: Limits) -> Trouble {
    let text = format!("the answer is longer than {} bytes: ask for less, or raise `max_bytes`", limits.bytes);
    Trouble::new(Reason::TooLarge, text)
}

/// A value of a column that is nothing for a script; without the value.
pub(super) fn bad_cell(column: &str, why: &str) -> Trouble {
    Trouble::new(Reason::BadAnswer, format!("column `{column}` {why}"))
}

/// A number of more than 64 bits, or one that JSON has no form for.
pub(super) fn float(number: f64, column: &str) -> Result<Value, Trouble> {
    let number = serde_json::Number::from_f64(number);
    number.map(Value::Number).ok_or_else(|| bad_cell(column, "holds a number that is infinite or none (NaN)"))
}

pub(super) const BINARY: &str = "is binary: turn it into text in the statement, as with encode(…, 'hex') or HEX(…)";
pub(super) const NO_UTF8: &str = "holds text that is not UTF-8";

fn size(cell: &Value) -> usize {
    match cell {
        Value::String(text) => text.len() + 2,
        Value::Array(_) | Value::Object(_) => cell.to_string().len(),
        _ => 8,
    }
}

/// The word that a statement begins with, behind comments and brackets.
fn first_word(statement: &str) -> &str {
    let mut rest = statement;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
        rest = match rest {
            line if line.starts_with("--") => line.split_once('\n').map_or("", |(_, rest)| rest),
            // MySQL runs what is in `/*! … */`.
            block if block.starts_with("/*") && !block.starts_with("/*!") && !block.starts_with("/*M!") => {
                block.split_once("*/").map_or("", |(_, rest)| rest)
            }
            other => break other.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default(),
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked<'a>(take: Take, statement: &'a str, parameters: &'a [Value]) -> Asked<'a> {
        Asked { take, statement, parameters, limits: Limits { rows: 2, bytes: 100 } }
    }

    #[test]
    fn a_statement_reads() {
        for statement in [
            "select 1",
            " \n-- who\n  /* and why */ ((SELECT 1) union (select 2))",
            "With x as (select 1) select * from x",
            "values (1)",
            "TABLE people",
            "show server_version",
        ] {
            assert_eq!(asked(Take::Rows, statement, &[]).check(), Ok(()), "{statement}");
        }
        for statement in [
            "",
            "-- select",
            "/* select",
            "insert into people values (1)",
            "SELECTED",
            "/*! delete */ from people",
            "/*M!100100 delete */ from people",
            "set role admin",
            "copy people to program 'id'",
            "call tidy()",
            "do $$ begin end $$",
            "pragma query_only = 0",
            "attach 'x' as y",
            "; select 1",
        ] {
            let trouble = asked(Take::Rows, statement, &[]).check().expect_err(statement);
            assert_eq!(trouble.reason, Reason::Rejected, "{statement}");
        }
    }

    #[test]
    fn a_parameter_is_one_value() {
        let trouble = asked(Take::Rows, "select ?, ?", &[json!("canary"), json!(["canary"])]).check();
        let trouble = trouble.expect_err("a list");
        assert!(
            trouble.message.starts_with("parameter 2 is a list") && !trouble.message.contains("canary"),
            "{trouble}"
        );
        let counted = asked(Take::Rows, "select ?", &[]).check_count(1).expect_err("one too few");
        assert_eq!(counted.message, "the statement has places for 1 parameters, and 0 were given");
    }

    #[test]
    fn rows_are_objects_a_row_is_one_and_a_value_is_its_first() {
        let names = || vec!["id".to_owned(), "name".to_owned()];
        let cells = || vec![json!(7), json!("Ann")];
        let gathered = |take| Gathered::new(&asked(take, "", &[]), names()).expect("columns");
        let mut rows = gathered(Take::Rows);
        rows.add(cells()).and_then(|()| rows.add(cells())).expect("two");
        assert!(rows.wants_more() && rows.most() == 3);
        assert_eq!(rows.add(cells()).map_err(|trouble| trouble.reason), Err(Reason::TooLarge));
        assert_eq!(rows.answer(), json!([{ "id": 7, "name": "Ann" }, { "id": 7, "name": "Ann" }]));
        let mut row = gathered(Take::Row);
        row.add(cells()).expect("one");
        assert!(!row.wants_more());
        assert_eq!(row.answer(), json!({ "id": 7, "name": "Ann" }));
        let mut value = gathered(Take::Value);
        assert_eq!(value.columns(), ["id"]);
        value.add(vec![json!(7)]).expect("one");
        assert_eq!(value.answer(), json!(7));
        assert_eq!(gathered(Take::Rows).answer(), json!([]));
        assert_eq!((gathered(Take::Row).answer(), gathered(Take::Value).answer()), (Value::Null, Value::Null));
        let long = gathered(Take::Row).add(vec![json!(7), json!("x".repeat(100))]);
        assert_eq!(long.map_err(|trouble| trouble.reason), Err(Reason::TooLarge));
    }

    #[test]
    fn columns_have_names_of_their_own() {
        let twice = vec!["id".to_owned(), "id".to_owned()];
        let problem = Gathered::new(&asked(Take::Row, "", &[]), twice.clone()).map(drop).expect_err("twice");
        assert_eq!(problem.message, "two columns are called `id`: give one another name with AS");
        assert!(Gathered::new(&asked(Take::Value, "", &[]), twice).is_ok());
        assert!(Gathered::new(&asked(Take::Row, "", &[]), vec![]).is_err());
    }
}
