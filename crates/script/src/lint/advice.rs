//! What a hook knows about its own commands and the checks cannot: which are unwise, which exclude one another, and which
//! a provider would not take.
//!
//! The last is asked of the hook's own constructors: a command whose arguments are written out is made on trial while the
//! script is read, so there is one rule for both. They are pure; nothing happens.

use rhai::{AST, Dynamic, Engine, EvalAltResult, FnPtr};

use crate::budget::Limits;
use crate::engine;
use crate::engine::Dialect;
use crate::library::{Entry, Finished};
use crate::lint::codes::Code;
use crate::modules::Modules;
use crate::prelude;
use crate::shape::Shape;
use crate::signature::Param;
use hookgate_model::command::Action;

/// The advice of one hook. Data only.
#[derive(Clone, Copy, Debug)]
pub struct Advice {
    /// What the codes below mean.
    pub codes: &'static [&'static Code],
    pub hints: &'static [Hint],
    pub conflicts: &'static [Conflict],
    pub refusals: &'static [Refusal],
}

/// A command that is probably not the best one, whatever its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Hint {
    pub command: &'static str,
    pub code: &'static str,
    pub message: &'static str,
    pub help: &'static str,
}

/// Commands that should not stand beside others in one returned array.
#[derive(Clone, Copy, Debug)]
pub struct Conflict {
    pub commands: &'static [&'static str],
    /// Beside which; empty means any other command.
    pub beside: &'static [&'static str],
    pub code: &'static str,
    /// Whether the gateway would refuse the reply: then it is an error, else a warning.
    pub refused: bool,
    pub message: &'static str,
    pub help: &'static str,
}

/// A refusal of a constructor that has a page of its own; the others are `script/refused-argument`.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// A part of the constructor's text.
    pub says: &'static str,
    pub code: &'static str,
}

impl Advice {
    /// For a hook that has nothing to say.
    pub const NONE: Self = Self { codes: &[], hints: &[], conflicts: &[], refusals: &[] };
}

/// The advice of a hook with an engine that makes its commands on trial.
pub(crate) struct Review {
    pub(crate) advice: &'static Advice,
    engine: Engine,
    constants: Vec<(&'static str, Dynamic)>,
}

/// What a constructor says to arguments that are written out.
pub(crate) struct Refused {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Review {
    pub(crate) fn of(library: &'static Finished, advice: &'static Advice) -> Self {
        let engine = engine::sandbox(
            &[prelude::library(), library],
            &Limits::default(),
            Modules::new([].into()),
            Dialect::Script,
        );
        Self { advice, engine, constants: library.constants.clone() }
    }

    /// The host's constant of that name.
    pub(crate) fn constant(&self, name: &str) -> Option<Dynamic> {
        self.constants.iter().find(|(constant, _)| *constant == name).map(|(_, value)| value.clone())
    }

    /// Makes a command on trial. An argument that is not known stands for anything: it is tried with two values, and only
    /// what is refused in the same words for both, and for a path, too, is a refusal of the others.
    pub(crate) fn refused(
        &self,
        form: &Entry,
        receiver: Option<Dynamic>,
        given: &[Option<Dynamic>],
    ) -> Option<Refused> {
        if given.iter().all(Option::is_none) {
            return None;
        }
        let filled = |which: usize| -> Option<Vec<Dynamic>> {
            let known = given.iter().enumerate().map(|(index, value)| match value {
                Some(value) => Some(value.clone()),
                None => anything(form.signature.params().get(index)?, which),
            });
            receiver.clone().map(Some).into_iter().chain(known).collect()
        };
        let text = self.text(form, filled(0)?)?;
        if given.iter().any(Option::is_none) {
            if self.text(form, filled(1)?)? != text {
                return None;
            }
            // What is a path, and no name, may be taken.
            self.text(form, filled(2)?)?;
        }
        let code = self.advice.refusals.iter().find(|refusal| text.contains(refusal.says));
        let (message, help) = match text.split_once("; ") {
            Some((message, help)) => (message.to_owned(), Some(help.to_owned())),
            None => (text, None),
        };
        Some(Refused { code: code.map_or("script/refused-argument", |refusal| refusal.code), message, help })
    }

    /// What the constructor says is wrong: its error, or the problem of an action that cannot be made.
    fn text(&self, form: &Entry, arguments: Vec<Dynamic>) -> Option<String> {
        let pointer = FnPtr::new(form.name()).ok()?;
        match pointer.call::<Dynamic>(&self.engine, &AST::empty(), arguments) {
            Ok(made) => made.read_lock::<Action>().and_then(|action| action.problem().map(str::to_owned)),
            Err(error) => own_text(*error),
        }
    }
}

fn own_text(error: EvalAltResult) -> Option<String> {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) => own_text(*inner),
        EvalAltResult::ErrorRuntime(value, _) => value.into_string().ok(),
        _ => None,
    }
}

/// One of three values that a parameter takes.
fn anything(param: &Param, which: usize) -> Option<Dynamic> {
    match param.takes.shapes().first()? {
        Shape::Text | Shape::Unknown => Some(["one", "two", "/three"][which].into()),
        Shape::Integer => Some(Dynamic::from([1_i64, 2, 3][which])),
        _ => None,
    }
}
