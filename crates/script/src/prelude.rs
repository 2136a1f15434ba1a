//! What every script can use that is not its hook's own: one family per file, all of it in one [`library`].
//!
//! Nothing here reaches a network, a file or a provider. Functions that look at the run (its clock, parameters, tables
//! and log) are registered as readers, those that ask for something to be done as commands, all others are pure.

use std::sync::LazyLock;

use rhai::{EvalAltResult, ImmutableString, Variant};

use crate::library::{Finished, Library};
use crate::table;

pub(crate) mod actions;
pub(crate) mod crypto;
pub(crate) mod domain;
pub mod email;
pub mod json;
pub mod lookups;
mod nested;
pub mod net;
pub(crate) mod pattern;
pub mod phone;
pub(crate) mod run;
pub mod secret;
pub(crate) mod set;
mod shape;
pub mod text;
pub mod time;
pub mod url;
pub(crate) mod verify;

/// What a function that can fail gives back to the engine; the engine adds the position of the call.
type Fallible<T> = Result<T, Box<EvalAltResult>>;

static LIBRARY: LazyLock<Finished> = LazyLock::new(|| {
    let mut library = Library::new("Values");
    email::register(library.family("Email"));
    net::register(library.family("IP addresses"));
    url::register(library.family("URLs"));
    phone::register(library.family("Phone numbers"));
    time::register(library.family("Time"));
    secret::register(library.family("Secrets"));
    verify::register(&mut library);
    text::register(library.family("Text"));
    set::register(library.family("Lists"));
    crypto::register(library.family("Hashes and encodings"));
    json::register(library.family("JSON"));
    nested::register(&mut library);
    shape::register(&mut library);
    table::register(library.family("Tables"));
    run::register(library.family("The run"));
    lookups::register(library.family(lookups::FAMILY));
    actions::register(library.family(actions::FAMILY));
    library.finish()
});

/// The prelude, made once per process. Register its module **after** Rhai's packages: it replaces some of their functions.
pub fn library() -> &'static Finished {
    &LIBRARY
}

/// Registers how values of `T` print, in `print`, `"${value}"`, `"text" + value` and inside arrays and maps.
fn printed<T: Variant + Clone>(library: &mut Library, show: fn(&T) -> ImmutableString) {
    library.overload("to_string", move |value: &mut T| show(value));
    library.overload("to_debug", move |value: &mut T| show(value));
}

/// Registers `==` and `!=` between two values of `T`, and between `T` and text, both ways round.
fn compared<T: Variant + Clone>(library: &mut Library, same: fn(&T, &T) -> bool, is_text: fn(&T, &str) -> bool) {
    library.overload("==", move |left: T, right: T| same(&left, &right));
    library.overload("!=", move |left: T, right: T| !same(&left, &right));
    library.overload("==", move |left: T, right: &str| is_text(&left, right));
    library.overload("!=", move |left: T, right: &str| !is_text(&left, right));
    library.overload("==", move |left: ImmutableString, right: T| is_text(&right, &left));
    library.overload("!=", move |left: ImmutableString, right: T| !is_text(&right, &left));
}

#[cfg(test)]
mod tests;
