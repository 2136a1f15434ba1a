//! How large a value is, as a native function meets it: counted without copying, printing or following it for ever.

use rhai::{Dynamic, FnPtr};

use crate::script::prelude::email::Email;
use crate::script::prelude::net::Ip;
use crate::script::prelude::phone::Phone;
use crate::script::prelude::set::Set;
use crate::script::prelude::url::Address;

/// The size of one value or of all arguments of a call. A text that stands in a list twice counts twice, though it is in
/// memory once: that is what copying it out costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Values, those inside arrays and maps included.
    pub nodes: u64,
    /// Bytes of texts, keys of maps and blobs.
    pub text: u64,
}

/// Deeper values and larger ones count as [`BEYOND`]: no limit of a run lets them pass.
const MAX_LEVELS: usize = 100;
const MAX_NODES: u64 = 1_000_000;

/// More than any run may use, and far from an overflow in what is computed of it.
const BEYOND: u64 = 1 << 40;

impl Size {
    /// The size of one value.
    pub fn of(value: &Dynamic) -> Self {
        let mut size = Self::default();
        size.add(value, MAX_LEVELS);
        size
    }

    /// The size of all arguments of a call.
    pub fn of_all(arguments: &[&mut Dynamic]) -> Self {
        let mut size = Self::default();
        for argument in arguments {
            size.add(argument, MAX_LEVELS);
        }
        size
    }

    fn add(&mut self, value: &Dynamic, levels: usize) {
        self.nodes += 1;
        let Some(levels) = levels.checked_sub(1) else {
            self.nodes = BEYOND;
            return;
        };
        if let Ok(text) = value.as_immutable_string_ref() {
            self.text = self.text.saturating_add(text.len() as u64);
        } else if let Ok(items) = value.as_array_ref() {
            for item in items.iter() {
                if self.is_beyond() {
                    return;
                }
                self.add(item, levels);
            }
        } else if let Ok(members) = value.as_map_ref() {
            for (key, member) in members.iter() {
                if self.is_beyond() {
                    return;
                }
                self.text = self.text.saturating_add(key.len() as u64);
                self.add(member, levels);
            }
        } else if let Ok(blob) = value.as_blob_ref() {
            self.text = self.text.saturating_add(blob.len() as u64);
        } else if value.is_variant() || value.is_fnptr() {
            self.add_custom(value, levels);
        }
    }

    fn add_custom(&mut self, value: &Dynamic, levels: usize) {
        if let Some(function) = value.read_lock::<FnPtr>() {
            for captured in function.curry().iter().filter(|captured| !captured.is_shared()) {
                if self.is_beyond() {
                    return;
                }
                self.add(captured, levels);
            }
            return;
        }
        let text = if let Some(email) = value.read_lock::<Email>() {
            email.text().len()
        } else if let Some(address) = value.read_lock::<Address>() {
            address.text().len()
        } else if let Some(ip) = value.read_lock::<Ip>() {
            ip.text().len()
        } else if let Some(phone) = value.read_lock::<Phone>() {
            phone.shown().len()
        } else if let Some(set) = value.read_lock::<Set>() {
            self.nodes += set.items().len() as u64;
            set.text_bytes()
        } else {
            0
        };
        self.text = self.text.saturating_add(text as u64);
    }

    fn is_beyond(&mut self) -> bool {
        if self.nodes > MAX_NODES {
            self.nodes = BEYOND;
        }
        self.nodes >= BEYOND
    }
}

#[cfg(test)]
mod tests {
    use rhai::Map;

    use super::*;

    #[test]
    fn nested_values_count_with_their_texts_and_keys() {
        let inner = Dynamic::from_array(vec!["abc".into(), 1_i64.into()]);
        let map: Map = [("key".into(), inner.clone()), ("k".into(), inner)].into_iter().collect();
        assert_eq!(Size::of(&Dynamic::from_map(map)), Size { nodes: 7, text: 10 });
        assert_eq!(Size::of(&Dynamic::from_blob(vec![0; 9])), Size { nodes: 1, text: 9 });
        assert_eq!(Size::of(&Dynamic::from(Email::parse("ann@example.com"))), Size { nodes: 1, text: 15 });
    }

    #[test]
    fn what_is_too_deep_or_too_large_is_beyond_every_limit() {
        let nested = |levels| (0..levels).fold(Dynamic::UNIT, |inner, _| Dynamic::from_array(vec![inner]));
        assert_eq!(Size::of(&nested(MAX_LEVELS - 1)).nodes, MAX_LEVELS as u64);
        assert!(Size::of(&nested(MAX_LEVELS + 1)).nodes >= BEYOND);
        let row = Dynamic::from_array(vec![Dynamic::UNIT; 1_000]);
        assert!(Size::of(&Dynamic::from_array(vec![row; 1_100])).nodes >= BEYOND);
    }
}
