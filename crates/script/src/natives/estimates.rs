//! What a call costs whose result can be larger than its arguments: worked out before it begins.

use rhai::{Blob, Dynamic, EvalAltResult, FnPtr, ImmutableString, NativeCallContext, Position};

use crate::budget;
use crate::natives::size::Size;
use crate::natives::{Refusable, Work};

type Arguments<'a, 'b> = &'a [&'b mut Dynamic];

/// Nanoseconds that looking at a byte of text takes.
const SCAN: u64 = 4;

/// Memory of an entry of an array with a text of its own: the entry, with room to grow, and the text's head.
const PIECE: u64 = 96;

fn too_large(what: &str) -> Box<EvalAltResult> {
    EvalAltResult::ErrorDataTooLarge(what.to_owned(), Position::NONE).into()
}

/// Refuses a text of so many bytes, as Rhai does after it has made one.
pub(super) fn text_of(context: &NativeCallContext, bytes: u64) -> Refusable {
    let most = context.engine().max_string_size() as u64;
    if most > 0 && bytes > most { Err(too_large("Length of string")) } else { Ok(()) }
}

/// Refuses an array of so many items.
fn array_of(context: &NativeCallContext, items: u64) -> Refusable {
    let most = context.engine().max_array_size() as u64;
    if most > 0 && items > most { Err(too_large("Size of array/BLOB")) } else { Ok(()) }
}

/// The text of an argument: a string, or a single character.
fn text(argument: &Dynamic) -> ImmutableString {
    if let Ok(letter) = argument.as_char() {
        return letter.to_string().into();
    }
    argument.as_immutable_string_ref().map(|text| text.clone()).unwrap_or_default()
}

fn number(arguments: Arguments, place: usize) -> Option<i64> {
    arguments.get(place)?.as_int().ok()
}

/// `text.pad(len, what)`
pub(super) fn pad_text(context: &NativeCallContext, arguments: Arguments) -> Result<Work, Box<EvalAltResult>> {
    let padding = text(arguments[2]);
    if padding.is_empty() {
        return Err("`pad` needs something to pad with: the text is empty".into());
    }
    let len = u64::try_from(number(arguments, 1).unwrap_or(0)).unwrap_or(0);
    text_of(context, len)?;
    let widest = if padding.is_ascii() { 1 } else { 4 };
    Ok(Work { bytes: len * widest + text(arguments[0]).len() as u64, nanos: len * 10 })
}

/// `array.pad(len, item)` and `blob.pad(len, byte)`
pub(super) fn pad_list(context: &NativeCallContext, arguments: Arguments) -> Result<Work, Box<EvalAltResult>> {
    let len = u64::try_from(number(arguments, 1).unwrap_or(0)).unwrap_or(0);
    array_of(context, len)?;
    let is_blob = arguments[0].is::<Blob>();
    let each = if is_blob { 1 } else { 24 * Size::of(arguments[2])?.nodes };
    Ok(Work { bytes: len * each, nanos: len * each })
}

/// `blob(len)` and `blob(len, byte)`
pub(super) fn new_blob(context: &NativeCallContext, arguments: Arguments) -> Result<Work, Box<EvalAltResult>> {
    let len = u64::try_from(number(arguments, 0).unwrap_or(0)).unwrap_or(0);
    array_of(context, len)?;
    Ok(Work { bytes: len, nanos: len })
}

/// `text.replace(find, with)`
pub(super) fn replace(context: &NativeCallContext, arguments: Arguments) -> Result<Work, Box<EvalAltResult>> {
    let (whole, find, with) = (text(arguments[0]), text(arguments[1]), text(arguments[2]));
    budget::charge(whole.len() as u64 * SCAN)?;
    let found = whole.matches(find.as_str()).count() as u64;
    let made = whole.len() as u64 - found * find.len() as u64 + found * with.len() as u64;
    text_of(context, made)?;
    Ok(Work { bytes: 2 * made, nanos: whole.len() as u64 * SCAN + made })
}

/// `text.split(…)` and `text.split_rev(…)` in all their forms.
pub(super) fn split(context: &NativeCallContext, arguments: Arguments) -> Result<Work, Box<EvalAltResult>> {
    let whole = text(arguments[0]);
    let len = whole.len() as u64;
    budget::charge(len * SCAN)?;
    let pieces = match arguments.get(1) {
        None => whole.split_whitespace().count() as u64,
        // At a place, so into two.
        Some(place) if place.is_int() => 2,
        Some(separator) => whole.matches(text(separator).as_str()).count() as u64 + 1,
    };
    let most = number(arguments, 2).map_or(u64::MAX, |most| u64::try_from(most).unwrap_or(0).max(1));
    let pieces = pieces.min(most);
    array_of(context, pieces)?;
    Ok(Work { bytes: len + pieces * PIECE, nanos: len * SCAN + pieces * 100 })
}

/// `text.to_chars()`
pub(super) fn to_chars(context: &NativeCallContext, arguments: Arguments) -> Result<Work, Box<EvalAltResult>> {
    let whole = text(arguments[0]);
    let len = whole.len() as u64;
    budget::charge(len)?;
    let letters = whole.chars().count() as u64;
    array_of(context, letters)?;
    Ok(Work { bytes: 32 * letters, nanos: letters * 10 })
}

/// `join(list, separator)`
pub(super) fn join(context: &NativeCallContext, arguments: Arguments) -> Result<Work, Box<EvalAltResult>> {
    let size = Size::of(arguments[0])?;
    let separators = size.nodes.saturating_sub(2).saturating_mul(text(arguments[1]).len() as u64);
    // Numbers are short; a float is written with all its digits.
    let made = size.text.saturating_add(separators);
    text_of(context, made)?;
    Ok(Work { bytes: 3 * made + 64 * size.nodes, nanos: made + 100 * size.nodes })
}

/// What calls a function, given as such or by its name, for each item of a list or map: Rhai looks it up by its name each time.
pub(super) fn calls(_: &NativeCallContext, arguments: Arguments) -> Result<Work, Box<EvalAltResult>> {
    let size = Size::of_all(arguments)?;
    let name = |argument: &Dynamic| match argument.read_lock::<FnPtr>() {
        Some(function) => function.fn_name().len() as u64,
        None => text(argument).len() as u64,
    };
    let names: u64 = arguments.iter().skip(1).map(|argument| name(argument)).sum();
    let nanos = size.nodes.saturating_mul(60 + 4 * names).saturating_add(size.text / 4);
    Ok(Work { bytes: 64 * size.nodes, nanos })
}

/// Sorting by Rhai's own order: every step compares two values whole.
pub(super) fn sort(_: &NativeCallContext, arguments: Arguments) -> Result<Work, Box<EvalAltResult>> {
    let size = Size::of_all(arguments)?;
    let rounds = u64::from(64 - size.nodes.leading_zeros());
    let nanos = (size.nodes.saturating_mul(40)).saturating_add(size.text / 4).saturating_mul(rounds);
    Ok(Work { bytes: 64 * size.nodes, nanos })
}
