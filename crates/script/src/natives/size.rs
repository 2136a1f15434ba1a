//! How large a value is, as a native function meets it: counted without copying, printing or following it for ever.

use rhai::{Dynamic, EvalAltResult, FnPtr};

use crate::budget;
use crate::budget::Stopped;
use crate::depth::{MAX_LEVELS, TooDeep};
use crate::prelude::email::Email;
use crate::prelude::net::Ip;
use crate::prelude::phone::Phone;
use crate::prelude::set::Set;
use crate::prelude::url::Address;

/// The size of one value or of all arguments of a call. A text that stands in a list twice counts twice, though it is in
/// memory once: that is what copying it out costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// Values, those inside arrays and maps included.
    pub(crate) nodes: u64,
    /// Bytes of texts, keys of maps and blobs.
    pub(crate) text: u64,
}

/// Larger values count as [`BEYOND`]: no limit of a run lets them pass.
const MAX_NODES: u64 = 1_000_000;

/// More than any run may use, and far from an overflow in what is computed of it.
const BEYOND: u64 = 1 << 40;

impl Size {
    /// The size of one value.
    ///
    /// # Errors
    /// It nests deeper than [`MAX_LEVELS`]: [`Stopped::Levels`]. No script can catch that.
    pub(crate) fn of(value: &Dynamic) -> Result<Self, Box<EvalAltResult>> {
        Self::measure([value])
    }

    /// The size of all arguments of a call.
    ///
    /// # Errors
    /// As [`Size::of`], for any of them.
    pub(crate) fn of_all(arguments: &[&mut Dynamic]) -> Result<Self, Box<EvalAltResult>> {
        Self::measure(arguments.iter().map(|argument| &**argument))
    }

    fn measure<'v>(values: impl IntoIterator<Item = &'v Dynamic>) -> Result<Self, Box<EvalAltResult>> {
        let mut size = Self::default();
        let measured = values.into_iter().try_for_each(|value| size.add(value, MAX_LEVELS));
        measured.map(|()| size).map_err(|TooDeep| budget::end(Stopped::Levels))
    }

    fn add(&mut self, value: &Dynamic, left: usize) -> Result<(), TooDeep> {
        self.nodes += 1;
        if let Ok(text) = value.as_immutable_string_ref() {
            self.text = self.text.saturating_add(text.len() as u64);
        } else if let Ok(items) = value.as_array_ref() {
            return self.add_parts(items.iter(), left);
        } else if let Ok(members) = value.as_map_ref() {
            self.text = members.keys().fold(self.text, |text, key| text.saturating_add(key.len() as u64));
            return self.add_parts(members.values(), left);
        } else if let Ok(blob) = value.as_blob_ref() {
            self.text = self.text.saturating_add(blob.len() as u64);
        } else if let Some(function) = value.read_lock::<FnPtr>() {
            return self.add_parts(function.curry().iter().filter(|captured| !captured.is_shared()), left);
        } else if value.is_variant() {
            self.add_custom(value);
        }
        Ok(())
    }

    /// What an array, a map or a closure holds.
    fn add_parts<'v>(&mut self, parts: impl Iterator<Item = &'v Dynamic>, left: usize) -> Result<(), TooDeep> {
        let left = left.checked_sub(1).ok_or(TooDeep)?;
        for part in parts {
            if self.is_beyond() {
                break;
            }
            self.add(part, left)?;
        }
        Ok(())
    }

    fn add_custom(&mut self, value: &Dynamic) {
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
    use crate::depth;

    #[test]
    fn nested_values_count_with_their_texts_and_keys() {
        let inner = Dynamic::from_array(vec!["abc".into(), 1_i64.into()]);
        let map: Map = [("key".into(), inner.clone()), ("k".into(), inner)].into_iter().collect();
        let size = |value: Dynamic| Size::of(&value).expect("it is not deep");
        assert_eq!(size(Dynamic::from_map(map)), Size { nodes: 7, text: 10 });
        assert_eq!(size(Dynamic::from_blob(vec![0; 9])), Size { nodes: 1, text: 9 });
        assert_eq!(size(Dynamic::from(Email::parse("ann@example.com"))), Size { nodes: 1, text: 15 });
    }

    #[test]
    fn what_is_too_large_is_beyond_every_limit() {
        let row = Dynamic::from_array(vec![Dynamic::UNIT; 1_000]);
        assert!(Size::of(&Dynamic::from_array(vec![row; 1_100])).expect("it is not deep").nodes >= BEYOND);
    }

    /// #13: as deep as a value may be that leaves its run, and no deeper.
    #[test]
    fn a_function_takes_values_as_deep_as_a_run_may_return_them() {
        let nested = |levels| (0..levels).fold(Dynamic::UNIT, |inner, _| Dynamic::from_array(vec![inner]));
        assert_eq!(Size::of(&nested(MAX_LEVELS)).expect("it fits").nodes, MAX_LEVELS as u64 + 1);
        assert!(depth::bounded(nested(MAX_LEVELS)).is_ok());
        assert!(Size::of(&nested(MAX_LEVELS + 1)).is_err());
        assert!(depth::bounded(nested(MAX_LEVELS + 1)).is_err());
    }
}
