//! What a script asks while it runs: `http`, `sql`, `ldap`, `okta` by name of a connector, and `kv`, the small state of scripts.
//!
//! Nothing is asked here: a call makes a [`Question`], and the run either knows the answer already or ends and is repeated
//! with it ([`crate::journal`]). A question that was not answered is an error to catch.

use rhai::{Array, Dynamic, EvalAltResult, ImmutableString, Map, NativeCallContext, Position};
use serde_json::Value;

use crate::context;
use crate::library::{Doc, Library};
use crate::prelude::{Fallible, json, printed};
use hookgate_model::question::{Answer, Ask, Question, Reason, Trouble};

mod directory;
mod http;
pub mod kv;
mod ldap;
mod sql;

/// The heading of the page.
pub(crate) const FAMILY: &str = "Lookups";

/// The functions whose first argument names a connector that is asked.
pub const FUNCTIONS: [&str; 4] = ["http", "sql", "ldap", "okta"];

/// The longest question: a path, a statement, a filter.
const MAX_BYTES: usize = 65_536;

/// Asks, as the function `name`.
fn ask(name: &str, connector: &ImmutableString, ask: Ask) -> Fallible<Answer> {
    let question = Question { connector: connector.to_string(), ask };
    if question.words().len() > MAX_BYTES {
        return Err(format!("`{name}`: a question may have {MAX_BYTES} bytes").into());
    }
    let answered = context::with(name, |run| run.ask(question))??;
    answered.map_err(|trouble| thrown(connector, &trouble))
}

/// What a script can catch: a map with the `kind` of trouble, the `connector`, and a `message`.
fn thrown(connector: &ImmutableString, trouble: &Trouble) -> Box<EvalAltResult> {
    let mut error = Map::new();
    error.insert("kind".into(), trouble.reason.name().into());
    error.insert("connector".into(), connector.clone().into());
    error.insert("message".into(), trouble.message.as_str().into());
    EvalAltResult::ErrorRuntime(Dynamic::from_map(error), Position::NONE).into()
}

/// What a value of a run may hold. Rhai ends a run whose value is larger, and no script can catch that; what a system answers is no
/// mistake of the script.
#[derive(Clone, Copy, Debug)]
struct Most {
    text_bytes: usize,
    items: usize,
    members: usize,
}

impl Most {
    fn of(context: &NativeCallContext) -> Self {
        let engine = context.engine();
        let most = |limit: usize| if limit == 0 { usize::MAX } else { limit };
        Self {
            text_bytes: most(engine.max_string_size()),
            items: most(engine.max_array_size()),
            members: most(engine.max_map_size()),
        }
    }

    /// The value, if a script may hold it.
    ///
    /// # Errors
    /// It may not: an error to catch, whose `kind` is `too_large`.
    fn checked(self, connector: &ImmutableString, value: Dynamic) -> Fallible<Dynamic> {
        let mut held = Self { text_bytes: 0, items: 0, members: 0 };
        held.add(&value);
        let too_large = [
            (held.text_bytes, self.text_bytes, "bytes of text", "max_string_bytes"),
            (held.items, self.items, "items of lists", "max_array_items"),
            (held.members, self.members, "members of maps", "max_map_items"),
        ];
        match too_large.into_iter().find(|(held, most, ..)| held > most) {
            None => Ok(value),
            Some((held, most, what, limit)) => {
                let text = format!("the answer has {held} {what}, and `limits.{limit}` is {most}");
                Err(thrown(connector, &Trouble::new(Reason::TooLarge, text)))
            }
        }
    }

    /// Counts as Rhai does: everything in a value together.
    fn add(&mut self, value: &Dynamic) {
        if let Ok(text) = value.as_immutable_string_ref() {
            self.text_bytes += text.len();
        } else if let Ok(items) = value.as_array_ref() {
            self.items += items.len();
            items.iter().for_each(|item| self.add(item));
        } else if let Ok(members) = value.as_map_ref() {
            self.members += members.len();
            members.values().for_each(|member| self.add(member));
        }
    }
}

/// The parameters of a question as data. A secret can be none.
fn values(name: &str, given: Array) -> Fallible<Vec<Value>> {
    let values = given.iter().map(json::json_from_dynamic).collect::<Result<Vec<_>, _>>();
    values.map_err(|problem| format!("`{name}`: {problem}").into())
}

/// Registers a handle on a connector: the function that makes it, and how it prints.
fn handle<T: rhai::Variant + Clone>(
    library: &mut Library,
    (type_name, about): (&'static str, &'static str),
    doc: Doc,
    make: fn(ImmutableString) -> T,
    name: fn(&T) -> ImmutableString,
) {
    library.value::<T>(type_name, about);
    library.function(doc, make);
    printed::<T>(library, name);
}

pub(super) fn register(library: &mut Library) {
    http::register(library);
    sql::register(library);
    ldap::register(library);
    directory::register(library);
    kv::register(library.family("State"));
}
