//! Holds values against a declaration: says everything that does not fit, and fills in what is absent.

use std::fmt::Write;

use rhai::{Array, Dynamic, ImmutableString, Map};

use crate::parameters::forms::{cut, is_of_form, near_word, shown};
use crate::parameters::words::alternatives;
use crate::parameters::{Declaration, Form, List, Members, Parameter, Range, find};
use crate::prelude::phone::Phone;
use crate::prelude::secret::Hidden;
use hookgate_model::finding::nearest;

/// What else there is that parameters may name.
pub struct Around<'a> {
    /// The names of tables; `None` if any will do.
    pub tables: Option<Vec<&'a str>>,
    /// The names of connectors; `None` if any will do.
    pub connectors: Option<Vec<&'a str>>,
    /// Why a connector does not go with a function that a script calls with it; nothing if it does.
    pub problem: &'a dyn Fn(&str, &str) -> Option<String>,
}

impl Around<'_> {
    /// Where every name will do.
    pub const ANY: Around<'static> = Around { tables: None, connectors: None, problem: &|_, _| None };
}

/// A step from `params` to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(ImmutableString),
    Index(usize),
}

/// Something that does not fit the declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    pub path: Vec<Step>,
    pub code: &'static str,
    pub message: String,
    pub help: String,
}

impl Misfit {
    pub const UNKNOWN: &'static str = "config/unknown-parameter";
    pub(crate) const MISSING: &'static str = "config/missing-parameter";
    pub const WRONG: &'static str = "config/wrong-parameter";

    /// Where no file is shown: `params.plus must be "allow" or "deny", not "dney" (did you mean "deny"?)`
    pub fn one_line(&self) -> String {
        let path = key_path(&self.path);
        let dot = if path.is_empty() { "" } else { "." };
        let sign = if self.message.starts_with("must ") || self.message.starts_with("is ") { "" } else { ":" };
        format!("params{dot}{path}{sign} {} ({})", self.message, self.help)
    }
}

/// `disposable.mode`, `sinks[0].format`
pub fn key_path(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        let written = match step {
            Step::Key(name) if is_bare(name) => write!(text, "{}{name}", if text.is_empty() { "" } else { "." }),
            Step::Key(name) => write!(text, "{}{:?}", if text.is_empty() { "" } else { "." }, name.as_str()),
            Step::Index(index) => write!(text, "[{index}]"),
        };
        debug_assert!(written.is_ok(), "a text takes everything");
    }
    text
}

pub(super) fn is_bare(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

impl Declaration {
    /// The parameters as a script gets them, and everything that does not fit.
    pub fn complete(&self, given: Map, around: &Around<'_>) -> (Map, Vec<Misfit>) {
        let mut check = Check { around, path: Vec::new(), misfits: Vec::new(), text: "" };
        let complete = check.members(&self.parameters, given);
        (complete, check.misfits)
    }
}

/// A value that a declaration has for what is absent, as a script gets it.
///
/// # Errors
/// Why it does not fit.
pub(super) fn of_default(form: &Form, value: Dynamic) -> Result<Dynamic, String> {
    let mut check = Check { around: &Around::ANY, path: Vec::new(), misfits: Vec::new(), text: "" };
    let value = check.value(form, value);
    match check.misfits.into_iter().next() {
        Some(misfit) => Err(misfit.message),
        None => Ok(value),
    }
}

struct Check<'c> {
    around: &'c Around<'c>,
    path: Vec<Step>,
    misfits: Vec<Misfit>,
    /// What the parameter means that is looked at.
    text: &'c str,
}

impl<'c> Check<'c> {
    fn add(&mut self, code: &'static str, message: String, help: String) {
        self.misfits.push(Misfit { path: self.path.clone(), code, message, help });
    }

    /// Complains about the value at the path. The help is what the parameter means, unless there is a better one.
    fn wrong(&mut self, wanted: &str, value: &Dynamic, help: Option<String>) {
        let message = format!("must be {wanted}, not {}", shown(value));
        let help = help.unwrap_or_else(|| self.text.to_owned());
        self.add(Misfit::WRONG, message, help);
    }

    fn members(&mut self, parameters: &'c [Parameter], mut given: Map) -> Map {
        for name in given.keys().filter(|name| find(parameters, name).is_none()) {
            self.path.push(Step::Key(name.as_str().into()));
            let names = || parameters.iter().map(|parameter| parameter.name.as_str());
            let help = match nearest(name, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there is: {}", names().collect::<Vec<_>>().join(", ")),
            };
            self.add(Misfit::UNKNOWN, format!("there is no parameter `{name}`"), help);
            self.path.pop();
        }
        let outer = self.text;
        for parameter in parameters {
            self.text = &parameter.text;
            match given.remove(parameter.name.as_str()).filter(|value| !value.is_unit()) {
                Some(value) => {
                    self.path.push(Step::Key(parameter.name.clone()));
                    let value = self.value(&parameter.form, value);
                    self.path.pop();
                    given.insert(parameter.name.as_str().into(), value);
                    self.needs(parameter, &given);
                }
                None => self.absent(parameter, &mut given),
            }
        }
        self.text = outer;
        given
    }

    fn absent(&mut self, parameter: &Parameter, given: &mut Map) {
        if let Some(value) = &parameter.if_absent {
            given.insert(parameter.name.as_str().into(), value.clone());
        } else if parameter.required {
            let message = format!("`{}` is missing", parameter.name);
            self.add(Misfit::MISSING, message, format!("`{}`: {}", parameter.name, parameter.text));
        }
    }

    /// What must stand beside a member may come later in the declaration, so that only its presence is looked at.
    fn needs(&mut self, parameter: &Parameter, given: &Map) {
        let there = |name: &String| given.get(name.as_str()).is_some_and(|value| !value.is_unit());
        if !parameter.needs.is_empty() && !parameter.needs.iter().any(there) {
            let names: Vec<String> = parameter.needs.iter().map(|name| format!("`{name}`")).collect();
            let names = names.join(" or ");
            let message = format!("{names} is missing beside `{}`", parameter.name);
            self.add(Misfit::MISSING, message, format!("`{}`: {}", parameter.name, parameter.text));
        }
    }

    fn value(&mut self, form: &'c Form, value: Dynamic) -> Dynamic {
        match form {
            Form::List(list) => self.list(list, value),
            Form::Map(keys, values) => self.map(keys, values, value),
            Form::Members(members) => self.of_members(members, value),
            Form::Either(words, form) => {
                let is_word =
                    value.read_lock::<ImmutableString>().is_some_and(|text| words.contains(&text.to_string()));
                if is_word { value } else { self.either(words, form, value) }
            }
            Form::Int(range) => self.number(form, *range, value),
            Form::Float(range) => self.number(form, *range, value),
            Form::Bool if value.is_bool() => value,
            Form::Any => value,
            Form::Secret if value.is::<Hidden>() => value,
            Form::Bool => self.refused(form, value),
            _ => self.text(form, value),
        }
    }

    fn refused(&mut self, form: &Form, value: Dynamic) -> Dynamic {
        self.wrong(&form.wanted(), &value, None);
        value
    }

    fn either(&mut self, words: &[String], form: &'c Form, value: Dynamic) -> Dynamic {
        let before = self.misfits.len();
        let fitted = self.value(form, value.clone());
        if self.misfits.len() == before {
            return fitted;
        }
        self.misfits.truncate(before);
        let wanted = format!("{} or {}", alternatives(words), form.wanted());
        self.wrong(&wanted, &value, near_word(&value, words));
        value
    }

    fn number(&mut self, form: &Form, range: Range, value: Dynamic) -> Dynamic {
        let whole = value.as_int().ok();
        let number = whole.map(|whole| whole as f64).or_else(|| value.as_float().ok());
        let is_of_type = whole.is_some() || matches!(form, Form::Float(_));
        let is_in =
            |number: f64| range.min.is_none_or(|min| number >= min) && range.max.is_none_or(|max| number <= max);
        match number.filter(|number| is_of_type && is_in(*number)) {
            Some(number) if matches!(form, Form::Float(_)) => Dynamic::from_float(number),
            Some(_) => value,
            None => self.refused(form, value),
        }
    }

    /// One value alone is a list of one.
    fn list(&mut self, list: &'c List, value: Dynamic) -> Dynamic {
        let form_is_plain = !matches!(list.items, Form::List(_) | Form::Map(..) | Form::Members(_));
        let items = match value.read_lock::<ImmutableString>().map(|text| text.clone()) {
            Some(text) if list.split.is_some() => cut(&text, list.split.as_deref().unwrap_or_default()),
            Some(text) if form_is_plain => vec![text.into()],
            _ => match value.clone().try_cast::<Array>() {
                Some(items) => items,
                None => {
                    self.wrong(&Form::List(Box::new(list.clone())).wanted(), &value, None);
                    return value;
                }
            },
        };
        if items.len() < list.min_items {
            let help = format!("name {} at least, or leave it out", list.min_items);
            self.add(Misfit::WRONG, "is too short a list".to_owned(), help);
        }
        let mut fitted = Array::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            self.path.push(Step::Index(index));
            // An empty text is left over, and in a list of those who may do something it would mean nobody knows whom.
            if !matches!(list.items, Form::Any)
                && item.read_lock::<ImmutableString>().is_some_and(|text| text.is_empty())
            {
                self.wrong(&list.items.wanted(), &item, None);
            } else {
                fitted.push(self.value(&list.items, item));
            }
            self.path.pop();
        }
        fitted.into()
    }

    fn map(&mut self, keys: &'c Form, values: &'c Form, value: Dynamic) -> Dynamic {
        let Some(given) = value.clone().try_cast::<Map>() else {
            self.wrong("a table", &value, None);
            return value;
        };
        let mut fitted = Map::new();
        for (name, value) in given {
            self.path.push(Step::Key(name.as_str().into()));
            let key = self.value(keys, name.as_str().into());
            let value = self.value(values, value);
            self.path.pop();
            fitted.insert(key.into_string().map_or(name, |key| key.as_str().into()), value);
        }
        Dynamic::from_map(fitted)
    }

    fn of_members(&mut self, members: &'c Members, value: Dynamic) -> Dynamic {
        let given = match (value.clone().try_cast::<Map>(), &members.alone) {
            (Some(given), _) => given,
            (None, Some(alone)) if value.is_string() => Map::from([(alone.as_str().into(), value)]),
            (None, alone) => {
                let wanted = if alone.is_some() { "a text or a table" } else { "a table" };
                self.wrong(wanted, &value, None);
                return value;
            }
        };
        let is_there = |name: &&String| given.get(name.as_str()).is_some_and(|value| !value.is_unit());
        let there: Vec<&String> = members.one_of.iter().filter(is_there).collect();
        if !members.one_of.is_empty() && there.len() != 1 {
            let names: Vec<String> = members.one_of.iter().map(|name| format!("`{name}`")).collect();
            let message = format!("needs one of {}, and has {}", names.join(", "), there.len());
            self.add(if there.is_empty() { Misfit::MISSING } else { Misfit::WRONG }, message, self.text.to_owned());
        }
        Dynamic::from_map(self.members(&members.parameters, given))
    }

    fn text(&mut self, form: &Form, value: Dynamic) -> Dynamic {
        let Some(text) = value.read_lock::<ImmutableString>().map(|text| text.clone()) else {
            return self.refused(form, value);
        };
        match form {
            Form::Country => return self.country(form, &text, value),
            Form::Connector(function) => self.connector(function.as_deref(), &text, &value),
            Form::Table => self.table(&text, &value),
            Form::Word(words) if !words.contains(&text.to_string()) => {
                self.wrong(&form.wanted(), &value, near_word(&value, words));
            }
            other => {
                if !is_of_form(other, &text) {
                    self.wrong(&form.wanted(), &value, None);
                }
            }
        }
        value
    }

    fn country(&mut self, form: &Form, text: &str, value: Dynamic) -> Dynamic {
        let code = text.to_uppercase();
        let is_known = text.len() == 2 && Phone::new("", Some(&code)).is_ok();
        if !is_known {
            let british = (code == "UK").then(|| "write \"GB\"".to_owned());
            self.wrong(&form.wanted(), &value, british);
        }
        code.into()
    }

    fn connector(&mut self, function: Option<&str>, name: &str, value: &Dynamic) {
        let Some(connectors) = &self.around.connectors else {
            if name.is_empty() {
                self.wrong("the name of a connector", value, None);
            }
            return;
        };
        if !connectors.contains(&name) {
            let help = match nearest(name, connectors.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add `[connectors.{name}]`"),
            };
            self.add(Misfit::WRONG, format!("there is no connector `{name}`"), help);
            return;
        }
        let Some(function) = function else { return };
        let Some(problem) = (self.around.problem)(name, function) else { return };
        let fits = |other: &&str| (self.around.problem)(other, function).is_none();
        let others: Vec<&str> = connectors.iter().copied().filter(fits).collect();
        let help = match others.as_slice() {
            [] => format!("no connector of gateway.toml goes with `{function}`"),
            others => format!("these do: {}", others.join(", ")),
        };
        self.add(Misfit::WRONG, format!("the connector `{name}` does not go with `{function}`: {problem}"), help);
    }

    fn table(&mut self, name: &str, value: &Dynamic) {
        let Some(tables) = &self.around.tables else {
            if name.is_empty() {
                self.wrong("the name of a table", value, None);
            }
            return;
        };
        if !tables.contains(&name) {
            let help = match nearest(name, tables.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add `[tables.{name}]`"),
            };
            self.add(Misfit::WRONG, format!("there is no table `{name}`"), help);
        }
    }
}
