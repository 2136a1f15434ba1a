//! The shape of maps: `without_empty`, for documents that another system stores and that must say nothing where nothing is known.

use rhai::{Array, Dynamic, ImmutableString, Map};

use crate::depth;
use crate::library::{Doc, Library};

/// Removes members that say nothing, at most [`depth::MAX_LEVELS`] levels down. What nests deeper stays as it is.
fn without_empty(mut map: Map) -> Map {
    prune(&mut map, 1);
    map
}

fn prune(map: &mut Map, level: usize) {
    map.retain(|_, value| !says_nothing(value, level));
}

/// Whether a value is `()` or has nothing in it, once that is removed from the maps inside it.
fn says_nothing(value: &mut Dynamic, level: usize) -> bool {
    if value.is_shared() {
        // Others hold it, too.
        *value = value.flatten_clone();
    }
    if value.is_unit() {
        return true;
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return text.is_empty();
    }
    let goes_on = level < depth::MAX_LEVELS;
    if let Some(mut map) = value.write_lock::<Map>() {
        if goes_on {
            prune(&mut map, level + 1);
        }
        return map.is_empty();
    }
    let Some(mut items) = value.write_lock::<Array>() else { return false };
    for item in items.iter_mut().filter(|_| goes_on) {
        // Items keep their places.
        let _ = says_nothing(item, level + 1);
    }
    items.is_empty()
}

pub(super) fn register(library: &mut Library) {
    library.function(
        Doc::new(
            "without_empty(value: map) -> map",
            "The map without members that say nothing: `()`, empty texts, lists and maps, also inside of other maps and lists. Items of lists keep their places.",
            r#"without_empty(#{ a: 1, b: (), c: #{ d: "" }, e: [#{ f: () }] }) == #{ a: 1, e: [#{}] }"#,
        ),
        without_empty,
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::prelude::json::{dynamic_from_json, json_from_dynamic};

    fn pruned(value: &serde_json::Value) -> serde_json::Value {
        let map = dynamic_from_json(value).cast::<Map>();
        json_from_dynamic(&Dynamic::from_map(without_empty(map))).expect("JSON")
    }

    #[test]
    fn only_what_says_nothing_goes() {
        for (value, expected) in [
            (json!({}), json!({})),
            (json!({"a": null, "b": "", "c": [], "d": {}}), json!({})),
            (
                json!({"a": 0, "b": false, "c": " ", "d": [null], "e": [""]}),
                json!({"a": 0, "b": false, "c": " ", "d": [null], "e": [""]}),
            ),
            (json!({"a": {"b": {"c": null}}}), json!({})),
            (json!({"a": [{"b": null, "c": 1}, []]}), json!({"a": [{"c": 1}, []]})),
        ] {
            assert_eq!(pruned(&value), expected);
        }
    }

    #[test]
    fn what_others_hold_stays_as_it_is() {
        let mut inner = Map::new();
        inner.insert("empty".into(), Dynamic::UNIT);
        let shared = Dynamic::from_map(inner).into_shared();
        let mut map = Map::new();
        map.insert("held".into(), shared.clone());
        assert!(without_empty(map).is_empty());
        assert_eq!(shared.flatten().cast::<Map>().len(), 1);
    }

    #[test]
    fn deep_maps_end_somewhere() {
        let nested = (0..1000).fold(Dynamic::UNIT, |inner, _| {
            let mut map = Map::new();
            map.insert("a".into(), inner);
            Dynamic::from_map(map)
        });
        assert_eq!(without_empty(nested.cast::<Map>()).len(), 1);
    }
}
