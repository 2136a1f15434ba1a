//! Arguments for native functions, by the type of the parameter: the smallest of each.

use std::any::TypeId;
use std::ops::{Range, RangeInclusive};

use rhai::{Array, Blob, Dynamic, FnPtr, ImmutableString, Map};

/// Stands where a function takes anything. It has a type of its own, so that no other form of the function fits better.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anything;

/// The smallest value of a type of Rhai's; nothing for types that it does not know.
pub fn smallest(shape: TypeId) -> Option<Dynamic> {
    macro_rules! numbers {
        ($($number:ty),*) => { $(if shape == TypeId::of::<$number>() { return Some(Dynamic::from(<$number>::default())); })* };
    }
    numbers!(i64, f64, bool, i8, i16, i32, u8, u16, u32, u64, i128, u128, f32);
    let rows: [(TypeId, fn() -> Dynamic); 11] = [
        (TypeId::of::<ImmutableString>(), || ImmutableString::default().into()),
        (TypeId::of::<char>(), || 'a'.into()),
        (TypeId::of::<()>(), || Dynamic::UNIT),
        (TypeId::of::<Array>(), || Dynamic::from_array(Array::new())),
        (TypeId::of::<Map>(), || Dynamic::from_map(Map::new())),
        (TypeId::of::<Blob>(), || Dynamic::from_blob(Blob::new())),
        (TypeId::of::<FnPtr>(), || FnPtr::new("is_empty").map_or(Dynamic::UNIT, Dynamic::from)),
        (TypeId::of::<Range<i64>>(), || Dynamic::from(0_i64..0)),
        (TypeId::of::<RangeInclusive<i64>>(), || Dynamic::from(0_i64..=0)),
        (TypeId::of::<Dynamic>(), || Dynamic::from(Anything)),
        (TypeId::of::<Anything>(), || Dynamic::from(Anything)),
    ];
    rows.into_iter().find(|(known, _)| *known == shape).map(|(_, make)| make())
}
