//! What a script may name: the registration table and Rhai's own functions, indexed by name.
//!
//! Built once per hook and shared by the static checks and the error messages. Never evaluates anything.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use rhai::{Dynamic, Engine};

use crate::library::{Effect, Entry, Kind};
use crate::lint::foreign::FOREIGN_WORDS;
use crate::prelude::actions;
use crate::shape::Shape;

/// Functions that Rhai brings along: name → how many arguments they take, a method's receiver included.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standard {
    functions: BTreeMap<String, BTreeSet<usize>>,
    /// Those of them that take anything as their first argument.
    generic: BTreeSet<(String, usize)>,
    properties: BTreeSet<String>,
}

/// Handled by Rhai's evaluator, so no package lists them; `call` and `curry` take any number of arguments.
const SYNTACTIC: [(&str, usize); 7] =
    [("print", 1), ("debug", 1), ("type_of", 1), ("Fn", 1), ("is_def_var", 1), ("is_def_fn", 2), ("is_shared", 1)];

impl Standard {
    /// The functions and properties of `engine`'s packages.
    pub(crate) fn of(engine: &Engine) -> Self {
        let mut standard = Self::default();
        let rows = engine.collect_fn_metadata(
            None,
            |info| {
                let first = info.metadata.param_types.first().copied();
                Some((info.metadata.name.to_string(), info.metadata.num_params, first))
            },
            true,
        );
        for (name, arity, first) in rows {
            standard.add(name, arity, first == Some(TypeId::of::<Dynamic>()));
        }
        for (name, arity) in SYNTACTIC {
            standard.add(name.to_owned(), arity, true);
        }
        for (name, arity) in ["call", "curry"].into_iter().flat_map(|name| (1..=20).map(move |arity| (name, arity))) {
            standard.add(name.to_owned(), arity, false);
        }
        standard
    }

    fn add(&mut self, name: String, arity: usize, generic: bool) {
        if let Some(property) = name.strip_prefix("get$") {
            self.properties.insert(property.to_owned());
        } else if !name.contains('$') {
            if generic {
                self.generic.insert((name.clone(), arity));
            }
            self.functions.entry(name).or_default().insert(arity);
        }
    }

    pub(crate) fn arities(&self, name: &str) -> Option<&BTreeSet<usize>> {
        self.functions.get(name)
    }

    pub(crate) fn takes(&self, name: &str, arity: usize) -> bool {
        self.functions.get(name).is_some_and(|arities| arities.contains(&arity))
    }

    /// Whether a text, an array or a map may have the method `name`; the others belong to function pointers.
    pub(crate) fn has_method(&self, name: &str) -> bool {
        self.functions.contains_key(name) && !matches!(name, "name" | "call" | "curry")
    }

    pub(crate) fn takes_any_value(&self, name: &str, arity: usize) -> bool {
        self.generic.contains(&(name.to_owned(), arity))
    }

    /// How a method is called that needs nothing, or something.
    pub(crate) fn brackets(&self, name: &str) -> &'static str {
        if self.takes(name, 1) { "()" } else { "(…)" }
    }

    pub(crate) fn has_property(&self, name: &str) -> bool {
        self.properties.contains(name)
    }
}

/// Everything that a script of one hook can name.
pub struct Known<'a> {
    forms: HashMap<&'a str, Vec<&'a Entry>>,
    properties: HashMap<&'a str, Vec<&'a Entry>>,
    constants: BTreeMap<&'a str, Shape<'a>>,
    standard: &'a Standard,
    foreign: &'a BTreeMap<String, String>,
}

impl<'a> Known<'a> {
    /// `entries` are the prelude's and the hook's; `foreign` maps a command of another hook to that hook's name.
    pub(crate) fn new(
        entries: impl IntoIterator<Item = &'a Entry>,
        standard: &'a Standard,
        foreign: &'a BTreeMap<String, String>,
    ) -> Self {
        let (forms, properties, constants) = Default::default();
        let mut known = Self { forms, properties, constants, standard, foreign };
        for entry in entries {
            match entry.kind {
                Kind::Value => {}
                Kind::Property => known.properties.entry(entry.receiver().unwrap_or_default()).or_default().push(entry),
                Kind::Method | Kind::Function => known.forms.entry(entry.name()).or_default().push(entry),
                Kind::Constant => {
                    known.constants.insert(entry.name(), entry.signature.result_shape());
                }
            }
        }
        known
    }

    pub(crate) fn standard(&self) -> &'a Standard {
        self.standard
    }

    /// Every way to call something of that name.
    pub(crate) fn forms(&self, name: &str) -> &[&'a Entry] {
        self.forms.get(name).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn constant(&self, name: &str) -> Option<Shape<'a>> {
        self.constants.get(name).copied()
    }

    pub(crate) fn constants(&self) -> impl Iterator<Item = &'a str> {
        self.constants.keys().copied()
    }

    /// The hook that has the command `name`, if this one has not.
    pub(crate) fn hook_of(&self, name: &str) -> Option<&'a str> {
        self.foreign.get(name).map(String::as_str)
    }

    /// The properties of a type; empty if the table lists none.
    pub(crate) fn properties_of(&self, receiver: &str) -> &[&'a Entry] {
        self.properties.get(receiver).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn property(&self, receiver: &str, name: &str) -> Option<Shape<'a>> {
        self.properties.get(receiver)?.iter().find(|row| row.name() == name).map(|row| row.signature.result_shape())
    }

    /// Every property name of every type.
    pub(crate) fn property_names(&self) -> impl Iterator<Item = &'a str> {
        self.properties.values().flatten().map(|row| row.name())
    }

    /// Whether every value that has this property has a map there.
    pub(crate) fn is_always_a_map(&self, name: &str) -> bool {
        let mut rows = self.properties.values().flatten().filter(|row| row.name() == name).peekable();
        rows.peek().is_some() && rows.all(|row| matches!(row.signature.result_shape(), Shape::Map))
    }

    /// The methods of a type, by name.
    pub(crate) fn methods_of(&self, receiver: &str) -> BTreeSet<&'a str> {
        let forms = self.forms.values().flatten().filter(|form| form.receiver() == Some(receiver));
        forms.map(|form| form.name()).collect()
    }

    /// The form of a method that only another type has, in the words of its signature.
    pub(crate) fn owner_of_method(&self, name: &str) -> Option<String> {
        let form = self.forms(name).iter().find(|form| form.receiver().is_some())?;
        Some(format!("`{}`", form.signature.call()))
    }

    /// The names of this hook's commands; actions are everybody's.
    pub(crate) fn commands(&self) -> BTreeSet<&'a str> {
        let forms = self.forms.values().flatten().filter(|form| form.effect == Effect::Command);
        let forms = forms.filter(|form| form.family != actions::FAMILY);
        forms.filter(|form| form.receiver().is_none()).map(|form| form.name()).collect()
    }

    /// The same in a sentence.
    pub(crate) fn commands_listed(&self) -> String {
        let own = self.commands();
        match own.is_empty() {
            true => "this hook takes no reply: it returns actions such as `notify(…)`, or nothing".to_owned(),
            false => format!("this hook has {}", listed(own)),
        }
    }

    /// Whether the table documents anything of this type.
    pub(crate) fn describes(&self, receiver: &str) -> bool {
        !self.properties_of(receiver).is_empty() || !self.methods_of(receiver).is_empty()
    }

    /// Every name that can stand before `(`, operators left out.
    pub(crate) fn callable_names(&self) -> impl Iterator<Item = &str> {
        let standard = self.standard.functions.keys().map(String::as_str);
        let words = standard.filter(|name| name.starts_with(|first: char| first.is_ascii_alphabetic()));
        self.forms.keys().copied().chain(words)
    }

    pub(crate) fn is_command(&self, name: &str, arity: usize, method: bool) -> bool {
        let mut forms = self.forms(name).iter().filter(|form| form.signature.fits(arity, method));
        forms.any(|form| form.effect == Effect::Command)
    }

    /// Whether such a call asks the gateway for something, not the provider.
    pub(crate) fn is_action(&self, name: &str, arity: usize, method: bool) -> bool {
        let mut forms = self.forms(name).iter().filter(|form| form.signature.fits(arity, method));
        forms.any(|form| form.family == actions::FAMILY)
    }

    /// The known spelling of what other languages call `name`.
    pub(crate) fn translated(&self, name: &str) -> Option<&'static str> {
        let (_, ours) = FOREIGN_WORDS.iter().find(|(theirs, _)| *theirs == name)?;
        let exists = self.forms.contains_key(ours) || self.standard.functions.contains_key(*ours);
        exists.then_some(*ours)
    }
}

/// `"`a`, `b` and `c`"`, at most eight names.
pub(crate) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.dedup();
    let rest = names.len().saturating_sub(8);
    names.truncate(8);
    if rest > 0 {
        return format!("{} and {rest} more", names.join(", "));
    }
    match names.pop() {
        Some(last) if names.is_empty() => last,
        Some(last) => format!("{} and {last}", names.join(", ")),
        None => String::new(),
    }
}
