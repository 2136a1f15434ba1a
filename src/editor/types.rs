//! The type of what stands before a dot, as far as reading tells it: from the entry function's parameter, through `let` and
//! the registration table.

use serde_json::{Map, Value};

use crate::editor::outline::{Function, Named};
use crate::editor::tokens::{Kind, closer, opener};
use crate::editor::view::View;
use crate::editor::vocabulary::{methods_of, plain_word};
use hookgate_script::library;
use hookgate_script::parameters;
use hookgate_script::parameters::{Form, Parameter};
use hookgate_script::shape::Shape;

/// What is known of a value.
#[derive(Clone, Debug)]
pub(super) enum Typed<'a> {
    Shape(Shape<'static>),
    /// `params` itself, or a map below it.
    Parameters(ParameterMap<'a>),
}

/// What is known of `params`, or of a map below it.
#[derive(Clone, Debug, Default)]
pub(super) struct ParameterMap<'a> {
    /// As `gateway.toml` has it, for each route and rule that uses the script.
    pub(super) written: Vec<&'a Map<String, Value>>,
    /// As the script declares it.
    pub(super) declared: Vec<Parameter>,
}

/// A variable that can be seen.
#[derive(Clone, Debug)]
pub(super) struct Local {
    pub(super) named: Named,
    /// Its value's first token.
    value: Option<usize>,
    parameter: bool,
    /// A loop's: the value is what is looped over.
    item: bool,
}

const UNKNOWN: Typed<'static> = Typed::Shape(Shape::Unknown);
/// Variables may be made of one another; nobody follows further.
const MAX_STEPS: usize = 16;

impl<'a> View<'a> {
    /// The variables and parameters that can be seen at a byte, the nearest last.
    pub(super) fn locals(&self, offset: usize) -> Vec<Local> {
        let Some(function) = self.outline.around(offset) else { return Vec::new() };
        let parameter = |named: &Named| Local { named: named.clone(), value: None, parameter: true, item: false };
        let mut blocks = vec![function.parameters.iter().map(parameter).collect::<Vec<_>>()];
        // Loop variables belong to the block that follows.
        let mut coming: Vec<Local> = Vec::new();
        let first = function.body.unwrap_or(self.outline.tokens.len());
        let upto = self.outline.tokens.partition_point(|token| token.span.end <= offset);
        for index in first..upto {
            match self.word(index) {
                "{" | "#{" => blocks.push(std::mem::take(&mut coming)),
                "}" => drop(blocks.pop()),
                "let" | "const" => {
                    let value = (self.word(index + 2) == "=").then_some(index + 3);
                    blocks.last_mut().into_iter().for_each(|block| block.extend(self.local(index + 1, value, false)));
                }
                "for" => coming.extend(self.loop_variables(index)),
                "|" => coming.extend(self.closure_parameters(index)),
                "catch" if self.word(index + 1) == "(" => coming.extend(self.local(index + 2, None, false)),
                _ => {}
            }
        }
        // What a closure without braces gets can be seen, too.
        blocks.into_iter().flatten().chain(coming).collect()
    }

    fn local(&self, index: usize, value: Option<usize>, item: bool) -> Option<Local> {
        let token = self.outline.tokens.get(index).filter(|token| token.kind == Kind::Word)?;
        let named = Named { name: self.word(index).to_owned(), span: token.span.clone() };
        Some(Local { named, value, parameter: false, item })
    }

    /// `for item in list`, `for (item, counter) in list`.
    fn loop_variables(&self, index: usize) -> Vec<Local> {
        if self.word(index + 1) == "(" {
            let value = (self.word(index + 6) == "in").then_some(index + 7);
            return [self.local(index + 2, value, true), self.local(index + 4, None, false)]
                .into_iter()
                .flatten()
                .collect();
        }
        let value = (self.word(index + 2) == "in").then_some(index + 3);
        self.local(index + 1, value, true).into_iter().collect()
    }

    fn closure_parameters(&self, index: usize) -> Vec<Local> {
        let mut found = Vec::new();
        for next in index + 1..self.outline.tokens.len().min(index + 20) {
            match (self.word(next), self.outline.tokens[next].kind) {
                ("|", _) => return found,
                (",", _) => {}
                (_, Kind::Word) => found.extend(self.local(next, None, false)),
                _ => break,
            }
        }
        Vec::new()
    }

    /// The type of the chain that ends before the token `end`, such as `request.email` before a dot.
    pub(super) fn type_before(&self, end: usize) -> Typed<'a> {
        match self.start_of_chain(end) {
            Some(start) => self.chain(start, end, MAX_STEPS).0,
            None => UNKNOWN,
        }
    }

    /// Goes back over names, calls and indexes.
    fn start_of_chain(&self, end: usize) -> Option<usize> {
        let source = self.source();
        let mut at = end.checked_sub(1)?;
        loop {
            let token = self.outline.tokens.get(at)?;
            let start = match self.word(at) {
                ")" | "]" | "}" => {
                    let open = opener(&self.outline.tokens, source, at)?;
                    let called =
                        open.checked_sub(1).filter(|before| self.is_value_end(*before) && self.word(open) != "#{");
                    match called {
                        Some(before) if self.outline.tokens[before].kind != Kind::Word => {
                            at = before;
                            continue;
                        }
                        Some(before) => before,
                        None => open,
                    }
                }
                _ if matches!(token.kind, Kind::Word | Kind::Text | Kind::Number) => at,
                _ => return None,
            };
            match start.checked_sub(2).map(|_| self.word(start - 1)) {
                Some("." | "?." | "::") => at = start - 2,
                _ => return Some(start),
            }
        }
    }

    fn is_value_end(&self, index: usize) -> bool {
        let token = &self.outline.tokens[index];
        let word = token.kind == Kind::Word && !KEYWORDS_BEFORE_VALUES.contains(&self.word(index));
        word || matches!(self.word(index), ")" | "]")
    }

    /// The type of the chain from `start`, at most up to `end`, and where it ended.
    fn chain(&self, start: usize, end: usize, steps: usize) -> (Typed<'a>, usize) {
        let (mut typed, mut at) = self.primary(start, steps);
        while at < end {
            match self.word(at) {
                "." | "?." => {
                    let name = self.word(at + 1);
                    let call = self.word(at + 2) == "(";
                    typed = self.member(&typed, name);
                    at = if call { self.after_brackets(at + 2) } else { at + 2 };
                }
                "[" | "?[" => {
                    typed = item_of(&typed);
                    at = self.after_brackets(at);
                }
                // Of `a ?? b` either is the value; the first says more.
                "??" => return (typed, end),
                _ => break,
            }
        }
        (typed, at)
    }

    fn primary(&self, start: usize, steps: usize) -> (Typed<'a>, usize) {
        let shape = |shape| Typed::Shape(shape);
        let Some(token) = self.outline.tokens.get(start) else { return (UNKNOWN, start + 1) };
        let word = self.word(start);
        match (token.kind, word) {
            (Kind::Text, _) => (shape(Shape::Text), start + 1),
            (Kind::Number, _) => (shape(if word.contains('.') { Shape::Float } else { Shape::Integer }), start + 1),
            (_, "[") => (shape(Shape::Array("")), self.after_brackets(start)),
            (_, "#{") => (shape(Shape::Map), self.after_brackets(start)),
            (_, "(") => {
                let after = self.after_brackets(start);
                let (typed, end) = self.chain(start + 1, after.saturating_sub(1), steps);
                (if end + 1 == after { typed } else { UNKNOWN }, after)
            }
            (_, "true" | "false") => (shape(Shape::Bool), start + 1),
            (Kind::Word, _) if self.word(start + 1) == "(" => (self.call(word), self.after_brackets(start + 1)),
            (Kind::Word, _) if self.word(start + 1) == "::" => {
                let called = self.word(start + 3) == "(";
                (UNKNOWN, if called { self.after_brackets(start + 3) } else { start + 3 })
            }
            (Kind::Word, "params") => (Typed::Parameters(self.params.clone()), start + 1),
            (Kind::Word, _) => (self.variable(word, token.span.start, steps), start + 1),
            _ => (UNKNOWN, start + 1),
        }
    }

    fn after_brackets(&self, open: usize) -> usize {
        closer(&self.outline.tokens, self.source(), open).map_or(self.outline.tokens.len(), |close| close + 1)
    }

    fn call(&self, name: &str) -> Typed<'a> {
        if self.outline.function(name).is_some() {
            return UNKNOWN;
        }
        let mut forms =
            self.vocabulary.words().filter(|entry| entry.kind == library::Kind::Function && entry.name() == name);
        forms.next().map_or(UNKNOWN, |entry| Typed::Shape(entry.signature.result_shape()))
    }

    /// The type of a name at a place.
    pub(super) fn variable(&self, name: &str, offset: usize, steps: usize) -> Typed<'a> {
        let Some(steps) = steps.checked_sub(1) else { return UNKNOWN };
        let local = self.locals(offset).into_iter().rev().find(|local| local.named.name == name);
        match local {
            Some(Local { parameter: true, .. }) => {
                let request = self.outline.around(offset).and_then(|function| self.request_type(function));
                Typed::Shape(request.map_or(Shape::Unknown, Shape::Value))
            }
            Some(Local { value: Some(value), item, .. }) => {
                let end = self.end_of_value(value, item);
                let (typed, reached) = self.chain(value, end, steps);
                match (reached == end, item) {
                    (true, true) => item_of(&typed),
                    (true, false) => typed,
                    (false, _) => UNKNOWN,
                }
            }
            Some(_) => UNKNOWN,
            None => self.constant(name, steps),
        }
    }

    fn request_type(&self, function: &Function) -> Option<&'static str> {
        self.vocabulary.request_type(&function.name).filter(|_| function.parameters.len() == 1)
    }

    fn constant(&self, name: &str, steps: usize) -> Typed<'a> {
        if let Some(constant) = self.outline.constant(name) {
            let end = self.end_of_value(constant.value, false);
            let (typed, reached) = self.chain(constant.value, end, steps);
            return if reached == end { typed } else { UNKNOWN };
        }
        self.vocabulary.constant(name).map_or(UNKNOWN, |entry| Typed::Shape(entry.signature.result_shape()))
    }

    /// The token after a value: of a loop its `{`, else the `;`.
    fn end_of_value(&self, start: usize, item: bool) -> usize {
        let mut at = start;
        while at < self.outline.tokens.len() {
            match self.word(at) {
                ";" | "}" => break,
                "{" if item => break,
                "(" | "[" | "{" | "#{" | "?[" => at = self.after_brackets(at),
                _ => at += 1,
            }
        }
        at
    }

    fn member(&self, of: &Typed<'a>, name: &str) -> Typed<'a> {
        match of {
            Typed::Parameters(map) => below(map, name),
            Typed::Shape(Shape::Value(receiver)) => {
                let found = self.vocabulary.members(receiver).find(|entry| entry.name() == name);
                found.map_or(UNKNOWN, |entry| Typed::Shape(entry.signature.result_shape()))
            }
            Typed::Shape(shape) => {
                let methods = plain_word(*shape).into_iter().flat_map(methods_of);
                let result = methods.filter(|row| row.name == name).find_map(|row| row.result);
                Typed::Shape(result.map_or(Shape::Unknown, Shape::parse))
            }
        }
    }
}

/// After these a bracket opens a value, and is no call.
const KEYWORDS_BEFORE_VALUES: [&str; 9] = ["return", "in", "if", "else", "while", "switch", "throw", "until", "let"];

fn item_of<'a>(list: &Typed<'a>) -> Typed<'a> {
    match list {
        Typed::Shape(Shape::Array(items)) if !items.is_empty() => Typed::Shape(Shape::parse(items)),
        _ => UNKNOWN,
    }
}

fn below<'a>(map: &ParameterMap<'a>, name: &str) -> Typed<'a> {
    let values: Vec<&'a Value> = map.written.iter().filter_map(|map| map.get(name)).collect();
    let written = values.iter().filter_map(|value| value.as_object()).collect();
    match parameters::find(&map.declared, name).map(|parameter| &parameter.form) {
        Some(Form::Members(members)) => {
            return Typed::Parameters(ParameterMap { written, declared: members.parameters.clone() });
        }
        Some(form) => return Typed::Shape(of_form(form)),
        None => {}
    }
    match values.first() {
        Some(Value::Object(_)) => Typed::Parameters(ParameterMap { written, declared: Vec::new() }),
        Some(Value::String(_)) => Typed::Shape(Shape::Text),
        Some(Value::Array(_)) => Typed::Shape(Shape::Array("")),
        Some(Value::Bool(_)) => Typed::Shape(Shape::Bool),
        Some(Value::Number(_)) => Typed::Shape(Shape::Integer),
        _ => UNKNOWN,
    }
}

fn of_form(form: &Form) -> Shape<'static> {
    match form {
        Form::Any | Form::Either(..) | Form::Secret => Shape::Unknown,
        Form::Int(_) => Shape::Integer,
        Form::Float(_) => Shape::Float,
        Form::Bool => Shape::Bool,
        Form::List(_) => Shape::Array(""),
        Form::Map(..) | Form::Members(_) => Shape::Map,
        _ => Shape::Text,
    }
}
