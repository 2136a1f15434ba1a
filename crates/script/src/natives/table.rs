//! Which of Rhai's functions cost what, and which of ours are special. A test fails for a function that is not here.

use std::any::TypeId;

use rhai::{Array, Blob, Dynamic, FnPtr, FuncMetadata, ImmutableString, Map};

use crate::natives::{Cost, estimates};

/// What the first parameter is that can be large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Large {
    Text,
    Array,
    Map,
    Blob,
    /// A function with values that it captured.
    Function,
    Any,
}

use Large::{Any, Text};

const PAD_TEXT: Cost = Cost::Estimated(estimates::pad_text);
const PAD_LIST: Cost = Cost::Estimated(estimates::pad_list);
const NEW_BLOB: Cost = Cost::Estimated(estimates::new_blob);
const REPLACE: Cost = Cost::Estimated(estimates::replace);
const SPLIT: Cost = Cost::Estimated(estimates::split);
const TO_CHARS: Cost = Cost::Estimated(estimates::to_chars);
const JOIN: Cost = Cost::Estimated(estimates::join);
const CALLS: Cost = Cost::Estimated(estimates::calls);
const SORT: Cost = Cost::Estimated(estimates::sort);

/// What prints a value.
const PRINTING: &[&str] = &["print", "debug", "to_string", "to_debug"];

/// The names of functions, by what they take first and what that costs.
#[rustfmt::skip]
const ROWS: &[(Large, Cost, &[&str])] = &[
    (Text, Cost::Constant, &["is_empty", "bytes", "clear", "starts_with", "ends_with", "print", "to_string"]),
    (Text, Cost::Text, &[
        "+", "+=", "append", "-", "-=", "==", "!=", "<", "<=", ">", ">=", "len", "contains", "crop", "get", "set",
        "index_of", "max", "min", "parse_float", "parse_int", "parse_json", "pop", "remove", "sub_string", "to_blob", "trim",
        "truncate",
    ]),
    (Text, Cost::Widening, &["chars", "make_lower", "make_upper", "to_lower", "to_upper"]),
    (Text, Cost::Shown, &["debug", "to_debug"]),
    (Text, PAD_TEXT, &["pad"]),
    (Text, REPLACE, &["replace"]),
    (Text, SPLIT, &["split", "split_rev"]),
    (Text, TO_CHARS, &["to_chars"]),
    // Listed for the names alone: ours refuses.
    (Text, Cost::Constant, &["get_fn_metadata_list"]),

    (Large::Array, Cost::Constant, &["len", "is_empty", "get", "set", "push", "pop", "shift", "insert", "remove", "clear", "truncate"]),
    (Large::Array, Cost::Values, &[
        "+", "+=", "append", "==", "!=", "all", "chop", "contains", "dedup", "drain", "extract", "filter", "find", "find_map",
        "for_each", "index_of", "map", "order_by", "reduce", "reduce_rev", "retain", "reverse", "some", "sort_by",
        "splice", "split", "zip",
    ]),
    (Large::Array, SORT, &["sort", "sort_desc", "order", "order_desc"]),
    (Large::Array, PAD_LIST, &["pad"]),
    (Large::Array, Cost::Shown, PRINTING),

    (Large::Map, Cost::Constant, &["len", "is_empty", "contains", "get", "set", "remove", "clear"]),
    (Large::Map, Cost::Values, &["+=", "mixin", "fill_with", "filter", "map", "drain", "retain", "==", "!=", "values"]),
    (Large::Map, Cost::Own, &["+", "keys"]),
    (Large::Map, Cost::Shown, PRINTING),
    (Large::Map, Cost::Printed, &["to_json"]),

    (Large::Blob, Cost::Constant, &[
        "len", "is_empty", "get", "set", "push", "pop", "shift", "insert", "remove", "clear", "truncate", "parse_le_int",
        "parse_be_int", "parse_le_float", "parse_be_float", "write_le", "write_be",
    ]),
    (Large::Blob, Cost::Text, &[
        "append", "contains", "chop", "drain", "extract", "retain", "reverse", "splice", "split", "write_utf8", "write_ascii",
        "==", "!=", "+=",
    ]),
    (Large::Blob, Cost::Widening, &["+", "as_string"]),
    (Large::Blob, Cost::Shown, PRINTING),
    (Large::Blob, Cost::Printed, &["to_array"]),
    (Large::Blob, PAD_LIST, &["pad"]),

    (Large::Function, Cost::Constant, &["name", "is_anonymous", "debug", "to_debug"]),

    (Any, Cost::Constant, &["exit", "take", "tag", "set_tag"]),
    (Any, Cost::Shown, PRINTING),
    (Any, Cost::Printed, &["+"]),
];

/// Functions of ours that are no [`Cost::Own`]: by name, and by whether a list or map comes first where that matters.
#[rustfmt::skip]
const OURS: &[(Cost, &[&str])] = &[
    // They work out themselves what they may cost, from what they find on the way.
    (Cost::Constant, &["matches", "capture", "parse_json", "verifies", "verify_nothing"]),
    (Cost::Printed, &["to_json"]),
    (Cost::Shown, PRINTING),
    (Cost::Widening, &["ascii_fold", "url_encode", "ldap_escape", "dn_escape"]),
    (JOIN, &["join"]),
    (Cost::Values, &["without_empty"]),
];

/// What one of Rhai's functions costs; nothing if it is not classified.
pub(crate) fn of(row: &FuncMetadata) -> Option<Cost> {
    let name = plain_name(&row.name);
    let Some(large) = row.param_types.iter().find_map(|shape| large(*shape)) else {
        // Numbers and letters only.
        return Some(if name == "blob" { NEW_BLOB } else { Cost::Constant });
    };
    // `text + anything` prints what is added.
    if matches!(name, "+" | "+=" | "append") && large == Text && row.param_types.contains(&TypeId::of::<Dynamic>()) {
        return Some(Cost::Printed);
    }
    // With a function of the script, as a value or by its name, that is what costs.
    let calls = |shape: &TypeId| [TypeId::of::<FnPtr>(), TypeId::of::<ImmutableString>()].contains(shape);
    let listed = ROWS.iter().find(|(kind, _, names)| *kind == large && names.contains(&name));
    if matches!(large, Large::Array | Large::Map) && row.param_types[1..].iter().any(calls) {
        // `map.contains(key)` and its like take a text that is no name of a function.
        let constant = listed.is_some_and(|(_, cost, _)| matches!(cost, Cost::Constant));
        return listed.map(|_| if constant { Cost::Constant } else { CALLS });
    }
    ROWS.iter().find(|(kind, _, names)| *kind == large && names.contains(&name)).map(|(_, cost, _)| *cost)
}

/// What a function of ours costs that takes such parameters.
pub(crate) fn of_ours(name: &str, parameters: &[TypeId]) -> Cost {
    let getter = name.starts_with("get$");
    // A property is there already, or says itself what it costs to make.
    if getter || parameters.is_empty() {
        return Cost::Constant;
    }
    OURS.iter().find(|(_, names)| names.contains(&name)).map_or(Cost::Own, |(cost, _)| *cost)
}

/// The name without what marks a property.
fn plain_name(name: &str) -> &str {
    name.strip_prefix("get$").or_else(|| name.strip_prefix("set$")).unwrap_or(name)
}

fn large(shape: TypeId) -> Option<Large> {
    let kinds = [
        (TypeId::of::<ImmutableString>(), Text),
        (TypeId::of::<Array>(), Large::Array),
        (TypeId::of::<Map>(), Large::Map),
        (TypeId::of::<Blob>(), Large::Blob),
        (TypeId::of::<FnPtr>(), Large::Function),
        (TypeId::of::<Dynamic>(), Any),
    ];
    kinds.into_iter().find(|(known, _)| *known == shape).map(|(_, kind)| kind)
}
