//! Comparing and printing arrays and maps, which may hold others: Rhai's own functions call themselves through the engine for
//! every level, with more than a kilobyte of stack each, and print closures with everything that they hold.
//!
//! These go [`MAX_LEVELS`] down. They are registered in place of Rhai's and have no row of their own.

use std::cell::Cell;

use rhai::{Array, Dynamic, EvalAltResult, FnPtr, ImmutableString, Map, NativeCallContext};

use crate::depth::MAX_LEVELS;
use crate::library::Library;
use crate::prelude::Fallible;

thread_local! {
    /// How many of these functions are at work inside one another.
    static LEVEL: Cell<usize> = const { Cell::new(0) };
}

/// Runs `body` one level further down; nothing if that is too far.
fn deeper<R>(body: impl FnOnce() -> R) -> Option<R> {
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            LEVEL.set(self.0);
        }
    }
    let level = LEVEL.get();
    if level >= MAX_LEVELS {
        return None;
    }
    LEVEL.set(level + 1);
    let _restore = Restore(level);
    Some(body())
}

fn compared(body: impl FnOnce() -> Fallible<bool>) -> Fallible<bool> {
    let too_deep = || Err(format!("only {MAX_LEVELS} levels of arrays and maps can be compared").into());
    deeper(body).unwrap_or_else(too_deep)
}

/// Whether two parts are equal. Parts of different types without a comparison are not, as in Rhai.
fn same(context: &NativeCallContext, left: &mut Dynamic, right: &mut Dynamic) -> Fallible<bool> {
    match context.call_native_fn_raw("==", true, &mut [left, right]) {
        Ok(equal) => Ok(equal.as_bool().unwrap_or(false)),
        Err(error) => match *error {
            EvalAltResult::ErrorFunctionNotFound(ref signature, _)
                if signature.starts_with("==") && left.type_id() != right.type_id() =>
            {
                Ok(false)
            }
            _ => Err(error),
        },
    }
}

fn arrays_equal(context: &NativeCallContext, left: &mut Array, mut right: Array) -> Fallible<bool> {
    if left.len() != right.len() {
        return Ok(false);
    }
    compared(|| {
        for (one, other) in left.iter_mut().zip(right.iter_mut()) {
            if !same(context, one, other)? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

fn maps_equal(context: &NativeCallContext, left: &mut Map, mut right: Map) -> Fallible<bool> {
    if left.len() != right.len() {
        return Ok(false);
    }
    compared(|| {
        for (name, one) in left {
            let Some(other) = right.get_mut(name) else { return Ok(false) };
            if !same(context, one, other)? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// Adds a part as Rhai prints it inside an array or map.
fn print_part(context: &NativeCallContext, part: &mut Dynamic, text: &mut String) {
    match context.call_native_fn_raw("to_debug", true, &mut [part]).map(Dynamic::into_immutable_string) {
        Ok(Ok(printed)) => text.push_str(&printed),
        // Its own function failed; what it would print without one may be all that is in it.
        _ => text.push_str(context.engine().map_type_name(part.type_name())),
    }
}

/// Whether more would be refused anyway.
fn is_full(context: &NativeCallContext, text: &str) -> bool {
    let most = context.engine().max_string_size();
    most > 0 && text.len() > most
}

fn print_array(context: &NativeCallContext, items: &mut Array) -> ImmutableString {
    let mut text = "[".to_owned();
    let printed = deeper(|| {
        for (index, item) in items.iter_mut().enumerate() {
            if index > 0 {
                text.push_str(", ");
            }
            if is_full(context, &text) {
                break;
            }
            print_part(context, item, &mut text);
        }
    });
    text.push_str(if printed.is_some() { "]" } else { "…]" });
    text.into()
}

fn print_map(context: &NativeCallContext, members: &mut Map) -> ImmutableString {
    let mut text = "#{".to_owned();
    let printed = deeper(|| {
        for (index, (name, member)) in members.iter_mut().enumerate() {
            if index > 0 {
                text.push_str(", ");
            }
            if is_full(context, &text) {
                break;
            }
            text.push_str(&format!("{name:?}: "));
            print_part(context, member, &mut text);
        }
    });
    text.push_str(if printed.is_some() { "}" } else { "…}" });
    text.into()
}

pub(super) fn register(library: &mut Library) {
    library.overload("==", |context: NativeCallContext, left: &mut Array, right: Array| {
        arrays_equal(&context, left, right)
    });
    library.overload("!=", |context: NativeCallContext, left: &mut Array, right: Array| {
        arrays_equal(&context, left, right).map(|equal| !equal)
    });
    library.overload("==", |context: NativeCallContext, left: &mut Map, right: Map| maps_equal(&context, left, right));
    library.overload("!=", |context: NativeCallContext, left: &mut Map, right: Map| {
        maps_equal(&context, left, right).map(|equal| !equal)
    });
    for name in ["to_string", "to_debug"] {
        library.overload(name, |context: NativeCallContext, items: &mut Array| print_array(&context, items));
        library.overload(name, |context: NativeCallContext, members: &mut Map| print_map(&context, members));
        library.overload(name, |function: &mut FnPtr| ImmutableString::from(function.to_string()));
    }
    for name in ["print", "debug"] {
        library.overload(name, |function: &mut FnPtr| ImmutableString::from(function.to_string()));
    }
}
