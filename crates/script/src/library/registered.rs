//! Whether the signatures of a library say what its Rust functions take and give.

use std::any::TypeId;
use std::collections::HashMap;

use rhai::{Array, Dynamic, ImmutableString, Map};

use crate::library::{Effect, Entry, Finished};
use crate::shape::{Shape, WrittenType};

/// A Rust function as it was registered.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) name: &'static str,
    /// The place of its row in the table; none for an overload.
    pub(crate) row: Option<usize>,
    /// The types of its arguments; that of the receiver comes first.
    pub(crate) takes: Vec<TypeId>,
    pub(crate) gives: TypeId,
}

/// What the signatures of a library say and its functions do not do, or the reverse. `others` have the types that it names
/// and does not register itself.
pub fn disagreements(library: &Finished, others: &[&Finished]) -> Vec<String> {
    let known = others.iter().flat_map(|other| &other.types).chain(&library.types);
    let types = Types(known.map(|(name, id)| (*name, *id)).collect());
    let rows = library.entries.iter().enumerate();
    let problems = rows.flat_map(|(row, entry)| Row { library, types: &types, entry, row }.problems());
    problems.collect()
}

/// A script's text may be any of them to a function.
const TEXTS: [TypeId; 3] = [TypeId::of::<ImmutableString>(), TypeId::of::<String>(), TypeId::of::<&'static str>()];

/// The Rust type of each type of the table.
struct Types(HashMap<&'static str, TypeId>);

impl Types {
    /// The Rust types that a shape stands for; none if it is any type.
    fn of(&self, shape: Shape<'static>) -> Option<Vec<TypeId>> {
        match shape {
            Shape::Unknown => None,
            Shape::Nothing => Some(vec![TypeId::of::<()>()]),
            Shape::Text => Some(TEXTS.to_vec()),
            Shape::Bool => Some(vec![TypeId::of::<bool>()]),
            Shape::Integer => Some(vec![TypeId::of::<i64>()]),
            Shape::Float => Some(vec![TypeId::of::<f64>()]),
            Shape::Array(_) => Some(vec![TypeId::of::<Array>(), TypeId::of::<Vec<Dynamic>>()]),
            Shape::Map => Some(vec![TypeId::of::<Map>()]),
            Shape::Value(name) => Some(self.0.get(name).copied().into_iter().collect()),
        }
    }

    /// Whether the Rust type may be what is written. A `Dynamic` may be anything: the function looks at it itself.
    fn may_be(&self, written: &WrittenType, rust: TypeId) -> bool {
        let is = |shape: &Shape<'static>| self.of(*shape).is_none_or(|types| types.contains(&rust));
        rust == TypeId::of::<Dynamic>() || written.shapes().iter().any(is)
    }

    /// Whether a function that takes the Rust type takes every value of the shape.
    fn takes(&self, rust: TypeId, shape: Shape<'static>) -> bool {
        rust == TypeId::of::<Dynamic>() || self.of(shape).is_some_and(|types| types.contains(&rust))
    }

    /// Whether the Rust type is a plain one, which every script has.
    fn is_plain(rust: TypeId) -> bool {
        let plain = [
            TypeId::of::<()>(),
            TypeId::of::<bool>(),
            TypeId::of::<i64>(),
            TypeId::of::<f64>(),
            TypeId::of::<Array>(),
            TypeId::of::<Map>(),
            TypeId::of::<Dynamic>(),
        ];
        plain.contains(&rust) || TEXTS.contains(&rust)
    }
}

/// One row and its functions.
struct Row<'l> {
    library: &'l Finished,
    types: &'l Types,
    entry: &'l Entry,
    row: usize,
}

impl Row<'_> {
    fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self.unknown_types();
        if let Some(registered) = self.library.registrations.iter().find(|one| one.row == Some(self.row)) {
            problems.extend(self.own_function(registered));
        }
        if self.entry.signature.is_called() {
            problems.extend(self.missing());
        }
        problems.into_iter().map(|problem| format!("`{}`: {problem}", self.entry.signature)).collect()
    }

    fn unknown_types(&self) -> Vec<String> {
        let signature = &self.entry.signature;
        let written = signature.params().iter().map(|param| &param.takes).chain(signature.result());
        let named = written.flat_map(WrittenType::shapes).filter_map(|shape| match shape {
            Shape::Value(name) | Shape::Array(name) if !name.is_empty() => Some(*name),
            _ => None,
        });
        let names = named.chain(signature.receiver);
        let unknown = names.filter(|name| !matches!(Shape::parse(name), Shape::Value(name) if self.is_known(name)));
        unknown
            .filter(|name| Shape::parse(name) == Shape::Value(name))
            .map(|name| format!("no type `{name}`"))
            .collect()
    }

    fn is_known(&self, name: &str) -> bool {
        self.types.0.contains_key(name)
    }

    /// What the function that was registered with the row takes and gives that the row does not say.
    fn own_function(&self, registered: &Registration) -> Vec<String> {
        let signature = &self.entry.signature;
        let mut problems = Vec::new();
        let arguments = match signature.receiver {
            Some(receiver) => match registered.takes.split_first() {
                Some((first, rest)) if self.types.takes(*first, Shape::Value(receiver)) => rest,
                _ => return vec![format!("its function does not begin with a {receiver}")],
            },
            None => &registered.takes[..],
        };
        if !signature.takes(arguments.len()) {
            problems.push(format!("its function takes {} arguments", arguments.len()));
        }
        for (param, rust) in signature.params().iter().zip(arguments) {
            if !self.types.may_be(&param.takes, *rust) {
                problems.push(format!("its function takes something else for `{}`", param.name));
            }
        }
        if !self.gives(registered.gives) {
            problems.push("its function gives something else".to_owned());
        }
        problems
    }

    fn gives(&self, rust: TypeId) -> bool {
        let Some(written) = self.entry.signature.result() else { return rust == TypeId::of::<()>() };
        match written.shapes() {
            // A command is a type of its hook's own; anything else that has no one type is a `Dynamic`.
            [Shape::Unknown] if self.entry.effect == Effect::Command => !Types::is_plain(rust),
            [Shape::Unknown] | [_, _, ..] => rust == TypeId::of::<Dynamic>(),
            _ => self.types.may_be(written, rust),
        }
    }

    /// What the row promises and no function of its name does.
    fn missing(&self) -> Vec<String> {
        let signature = &self.entry.signature;
        let mut problems = Vec::new();
        for arity in signature.required()..=signature.params().len() {
            let functions: Vec<&[TypeId]> = self.functions(arity).collect();
            if functions.is_empty() {
                problems.push(format!("no function takes {arity} arguments"));
            }
            for (index, param) in signature.params()[..arity].iter().enumerate() {
                for shape in param.takes.shapes() {
                    if !functions.iter().any(|arguments| self.types.takes(arguments[index], *shape)) {
                        problems
                            .push(format!("no function with {arity} arguments takes {shape:?} for `{}`", param.name));
                    }
                }
            }
        }
        problems
    }

    /// The arguments of each function of this name with so many of them, and with this receiver.
    fn functions(&self, arity: usize) -> impl Iterator<Item = &[TypeId]> {
        let (name, receiver) = (self.entry.name(), self.entry.receiver());
        let named = self.library.registrations.iter().filter(move |registered| registered.name == name);
        let arguments = named.filter_map(move |registered| match receiver {
            None => Some(&registered.takes[..]),
            Some(receiver) => {
                let (first, rest) = registered.takes.split_first()?;
                self.types.takes(*first, Shape::Value(receiver)).then_some(rest)
            }
        });
        arguments.filter(move |arguments| arguments.len() == arity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::{Doc, Library};

    #[derive(Clone)]
    struct Email;

    fn problems(register: impl FnOnce(&mut Library)) -> Vec<String> {
        let mut library = Library::new("Tests");
        library.value::<Email>("Email", "");
        register(&mut library);
        disagreements(&library.finish(), &[])
    }

    fn doc(signature: &'static str) -> Doc {
        Doc::new(signature, "", "")
    }

    #[test]
    fn what_a_signature_says_must_be_what_its_function_does() {
        let wrong = [
            (problems(|it| _ = it.function(doc("f(a: string)"), |_: &str, _: &str| ())), "takes 2 arguments"),
            (problems(|it| _ = it.function(doc("f(a: int)"), |_: &str| ())), "something else for `a`"),
            (problems(|it| _ = it.function(doc("f() -> int"), || true)), "gives something else"),
            (problems(|it| _ = it.function(doc("f()"), || true)), "gives something else"),
            (problems(|it| _ = it.function(doc("f() -> map or ()"), Map::new)), "gives something else"),
            (problems(|it| _ = it.command(doc("f() -> command"), || true)), "gives something else"),
            (problems(|it| _ = it.function(doc("f(a: string [, b: int])"), |_: &str| ())), "no function takes 2"),
            (problems(|it| _ = it.function(doc("f([a: string])"), |_: &str| ())), "no function takes 0"),
            (problems(|it| _ = it.function(doc("f(a: string or int)"), |_: &str| ())), "takes Integer for `a`"),
            (problems(|it| _ = it.function(doc("f(a: any)"), |_: &str| ())), "takes Unknown for `a`"),
            (problems(|it| _ = it.function(doc("f(a: Phone)"), |_: Dynamic| ())), "no type `Phone`"),
            (problems(|it| _ = it.function(doc("Email.f()"), |_: &str| ())), "does not begin with a Email"),
            (problems(|it| _ = it.property(doc("Email.f: int"), |_: &mut Email| true)), "gives something else"),
            (problems(|it| _ = it.property(doc("Email.f: int"), |_: &mut bool| 1_i64)), "does not begin with a Email"),
        ];
        for (found, part) in wrong {
            assert!(found.iter().any(|problem| problem.contains(part)), "{part}: {found:?}");
        }
    }

    #[test]
    fn overloads_and_values_of_any_type_agree() {
        let found = problems(|it| {
            it.function(doc("f(a: string or int [, b: Email])"), |_: &str| ());
            it.overload("f", |_: i64| ());
            it.overload("f", |_: Dynamic, _: Email| ());
            it.function(doc("Email.g(list: array or string) -> map or ()"), |_: &mut Email, _: Dynamic| Dynamic::UNIT);
            it.property(doc("Email.h: string"), |_: &mut Email| Dynamic::UNIT);
            it.command(doc("c(text: string) -> command"), |_: &str| Email);
        });
        assert!(found.is_empty(), "{found:?}");
    }
}
