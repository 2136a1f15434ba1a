//! From the syntax tree of `const PARAMS = #{ … };` to a declaration, or to what is wrong with it.

use regex::Regex;
use rhai::{Dynamic, Expr, Position};

use crate::lint::reads::{ACTIONS, WAY};
use crate::parameters::check;
use crate::parameters::literal::{Literal, Value};
use crate::parameters::{Declaration, Form, List, Members, Parameter, Pattern, Range, find};
use crate::prelude::lookups;
use hookgate_model::finding::nearest;

/// What may stand in the entry of a key.
const OPTIONS: [&str; 14] = [
    "type",
    "text",
    "required",
    "if_absent",
    "words",
    "members",
    "min",
    "max",
    "min_items",
    "pattern",
    "split",
    "keys",
    "alone",
    "one_of",
];
/// And of a member.
const OF_MEMBERS: &str = "needs";

/// The types that need nothing else.
const PLAIN: [&str; 13] = [
    "any",
    "text",
    "secret",
    "int",
    "float",
    "bool",
    "duration",
    "rate",
    "domain",
    "country",
    "event",
    "connector",
    "table",
];

/// Maps in maps that a declaration may have.
const MAX_DEPTH: usize = 8;

/// Something that is wrong with a declaration.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) place: Position,
    pub message: String,
    pub help: Option<String>,
}

/// The declaration of an expression, and everything that is wrong with it.
pub(super) fn read(expression: &Expr) -> (Declaration, Vec<Problem>) {
    let mut reader = Reader::default();
    let literal = Literal::of(expression);
    let parameters = reader.parameters(&literal, 0);
    (Declaration { parameters }, reader.problems)
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
}

/// The options of one key.
struct Options<'l> {
    name: &'l str,
    place: Position,
    given: Vec<(&'l str, &'l Literal)>,
    depth: usize,
}

impl<'l> Options<'l> {
    fn get(&self, name: &str) -> Option<&'l Literal> {
        self.given.iter().find(|(given, _)| *given == name).map(|(_, value)| *value)
    }
}

impl Reader {
    fn wrong(&mut self, place: Position, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.problems.push(Problem { place, message: message.into(), help: help.into() });
    }

    fn parameters(&mut self, literal: &Literal, depth: usize) -> Vec<Parameter> {
        let Value::Map(members) = &literal.value else {
            let help =
                "write `#{ NAME: #{ type: \"text\", text: \"what it means\" } }`, with nothing that has to be run";
            self.wrong(literal.place, "parameters are declared in a map that is written out", help.to_owned());
            return Vec::new();
        };
        if depth > MAX_DEPTH {
            self.wrong(literal.place, format!("more than {MAX_DEPTH} maps in one another"), None);
            return Vec::new();
        }
        members.iter().filter_map(|(name, place, value)| self.parameter(name, *place, value, depth)).collect()
    }

    fn parameter(&mut self, name: &str, place: Position, literal: &Literal, depth: usize) -> Option<Parameter> {
        let Value::Map(given) = &literal.value else {
            let help = format!("write `{name}: #{{ type: \"text\", text: \"what it means\" }}`");
            self.wrong(place, format!("`{name}` needs a map with its type"), help);
            return None;
        };
        let known = || OPTIONS.iter().copied().chain((depth > 0).then_some(OF_MEMBERS));
        for (option, place, _) in given.iter().filter(|(option, ..)| !known().any(|known| known == option)) {
            let help = match nearest(option, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there is: {}", known().collect::<Vec<_>>().join(", ")),
            };
            self.wrong(*place, format!("`{option}` says nothing of a parameter"), help);
        }
        let given = given.iter().map(|(name, _, value)| (name.as_str(), value)).collect();
        let options = Options { name, place, given, depth };
        let form = self.form(&options)?;
        let text = self.texts_or(&options, "text").unwrap_or_default();
        if text.is_empty() {
            self.wrong(place, format!("`{name}` lacks `text`, one line that says what it means"), None);
        }
        let required = self.truth(&options, "required");
        let if_absent = self.if_absent(&options, &form, required);
        let needs = self.list(&options, "needs").unwrap_or_default();
        Some(Parameter { name: name.into(), text, form, required, if_absent, needs, place })
    }

    fn if_absent(&mut self, options: &Options<'_>, form: &Form, required: bool) -> Option<Dynamic> {
        let literal = options.get("if_absent")?;
        if required {
            let message = format!("`{}` is required, so it is never absent", options.name);
            self.wrong(literal.place, message, "remove `if_absent` or `required`".to_owned());
        }
        let Some(value) = literal.dynamic() else {
            self.wrong(literal.place, "`if_absent` has to be written out", None);
            return None;
        };
        match check::of_default(form, value) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.wrong(literal.place, format!("`if_absent` does not fit the type: it {problem}"), None);
                None
            }
        }
    }

    /// The form of a key, made of its type and of the options that go with it.
    fn form(&mut self, options: &Options<'_>) -> Option<Form> {
        let implied = if options.get("members").is_some() { "map" } else { "word" };
        let written = match options.get("type") {
            Some(literal) => self.texts_or(options, "type").or_else(|| {
                self.wrong(literal.place, "`type` is a text", None);
                None
            })?,
            None if options.get("members").is_some() || options.get("words").is_some() => implied.to_owned(),
            None => {
                let help = format!("write `type: \"text\"`; there is: {}", PLAIN.join(", "));
                self.wrong(options.place, format!("`{}` lacks `type`", options.name), help);
                return None;
            }
        };
        let form = self.typed(&written, options)?;
        let words = self.list(options, "words").filter(|_| !written.ends_with("word"));
        Some(match words {
            Some(words) => Form::Either(words, Box::new(form)),
            None => form,
        })
    }

    fn typed(&mut self, written: &str, options: &Options<'_>) -> Option<Form> {
        if let Some(items) = written.strip_prefix("list of ") {
            let items = self.typed(items, options)?;
            let min_items = options.get("min_items").and_then(Literal::number).unwrap_or(0.0).max(0.0) as usize;
            let split = self.texts_or(options, "split");
            return Some(Form::List(Box::new(List { items, min_items, split })));
        }
        if let Some(values) = written.strip_prefix("map of ") {
            let values = self.typed(values, options)?;
            let keys = match self.texts_or(options, "keys") {
                Some(keys) => self.plain(&keys, options)?,
                None => Form::Text(None),
            };
            return Some(Form::Map(Box::new(keys), Box::new(values)));
        }
        if let Some(function) = written.strip_prefix("connector for ") {
            let known = || ACTIONS.iter().chain(&lookups::FUNCTIONS).copied().chain([WAY]);
            if !known().any(|known| known == function) {
                let help = nearest(function, known()).map(|near| format!("did you mean `connector for {near}`?"));
                self.wrong(options.place, format!("no function `{function}` takes the name of a connector"), help);
                return None;
            }
            return Some(Form::Connector(Some(function.to_owned())));
        }
        match written {
            "word" => self.word(options),
            "map" => self.map(options),
            plain => self.plain(plain, options),
        }
    }

    fn word(&mut self, options: &Options<'_>) -> Option<Form> {
        let words = self.list(options, "words").filter(|words| !words.is_empty());
        if words.is_none() {
            let help = "write `words: [\"one\", \"other\"]`";
            self.wrong(options.place, format!("`{}` lacks its words", options.name), help.to_owned());
        }
        words.map(Form::Word)
    }

    fn map(&mut self, options: &Options<'_>) -> Option<Form> {
        let Some(members) = options.get("members") else {
            return Some(Form::Map(Box::new(Form::Text(None)), Box::new(Form::Any)));
        };
        let parameters = self.parameters(members, options.depth + 1);
        let one_of = self.list(options, "one_of").unwrap_or_default();
        let alone = self.texts_or(options, "alone");
        let needed = parameters.iter().flat_map(|parameter| &parameter.needs);
        let named: Vec<String> = one_of.iter().chain(&alone).chain(needed).cloned().collect();
        for name in named.iter().filter(|name| find(&parameters, name).is_none()) {
            self.wrong(options.place, format!("`{}` has no member `{name}`", options.name), None);
        }
        Some(Form::Members(Members { parameters, one_of, alone }))
    }

    fn plain(&mut self, written: &str, options: &Options<'_>) -> Option<Form> {
        Some(match written {
            "any" => Form::Any,
            "text" => Form::Text(self.pattern(options)?),
            "secret" => Form::Secret,
            "int" => Form::Int(self.range(options)),
            "float" => Form::Float(self.range(options)),
            "bool" => Form::Bool,
            "duration" => Form::Duration(self.longest(options)?),
            "rate" => Form::Rate,
            "domain" => Form::Domain,
            "country" => Form::Country,
            "event" => Form::Event,
            "connector" => Form::Connector(None),
            "table" => Form::Table,
            unknown => {
                let all = || PLAIN.into_iter().chain(["word", "map"]);
                let help = match nearest(unknown, all()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there is: {}, list of X, map of X", all().collect::<Vec<_>>().join(", ")),
                };
                let place = options.get("type").map_or(options.place, |literal| literal.place);
                self.wrong(place, format!("there is no type `{unknown}`"), help);
                return None;
            }
        })
    }

    fn range(&self, options: &Options<'_>) -> Range {
        let bound = |name| options.get(name).and_then(Literal::number);
        Range { min: bound("min"), max: bound("max") }
    }

    /// The outer `None` says that it is wrong.
    fn longest(&mut self, options: &Options<'_>) -> Option<Option<String>> {
        let Some(longest) = self.texts_or(options, "max") else { return Some(None) };
        if let Err(problem) = hookgate_model::moment::length(&longest) {
            self.wrong(options.place, problem, None);
            return None;
        }
        Some(Some(longest))
    }

    fn pattern(&mut self, options: &Options<'_>) -> Option<Option<Pattern>> {
        let Some(written) = self.texts_or(options, "pattern") else { return Some(None) };
        match Regex::new(&written) {
            Ok(compiled) => Some(Some(Pattern { written, compiled })),
            Err(_) => {
                self.wrong(options.place, format!("`{written}` is no regular expression"), None);
                None
            }
        }
    }

    fn texts_or(&mut self, options: &Options<'_>, name: &str) -> Option<String> {
        let literal = options.get(name)?;
        let text = literal.text();
        // Of numbers `max` is one, too.
        if text.is_none() && name != "max" {
            self.wrong(literal.place, format!("`{name}` has to be a text that is written out"), None);
        }
        text
    }

    fn list(&mut self, options: &Options<'_>, name: &str) -> Option<Vec<String>> {
        let literal = options.get(name)?;
        let texts = literal.texts();
        if texts.is_none() {
            self.wrong(literal.place, format!("`{name}` has to be a list of texts that are written out"), None);
        }
        texts
    }

    fn truth(&mut self, options: &Options<'_>, name: &str) -> bool {
        let Some(literal) = options.get(name) else { return false };
        let truth = literal.truth();
        if truth.is_none() {
            self.wrong(literal.place, format!("`{name}` is `true` or `false`"), None);
        }
        truth.unwrap_or_default()
    }
}
