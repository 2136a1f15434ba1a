//! How deep values may nest that outlive a run, and without what closures hold: such a value may be dropped, cloned and printed
//! on any thread.
//!
//! Inside a run values may nest deeper; its stack is made for that ([`stack`](crate::stack)).

use rhai::{Dynamic, EvalAltResult, FnPtr};

/// Levels of arrays, maps and closures.
pub const MAX_LEVELS: usize = 64;

/// Parts that the constants of one file may have together.
const MAX_PARTS: usize = 1_000_000;

/// A value nests deeper than [`MAX_LEVELS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooDeep;

/// The value as it may leave its run: variables that closures share become plain values, and closures lose what they have
/// captured.
///
/// # Errors
/// It nests too deep. What there was of it is dropped.
pub fn bounded(value: Dynamic) -> Result<Dynamic, TooDeep> {
    bounded_to(value, MAX_LEVELS)
}

fn bounded_to(value: Dynamic, left: usize) -> Result<Dynamic, TooDeep> {
    let mut value = value.flatten();
    if value.is_fnptr() {
        if let Some(mut function) = value.write_lock::<FnPtr>() {
            function.set_curry([]);
        }
        return Ok(value);
    }
    if !value.is_array() && !value.is_map() {
        return Ok(value);
    }
    let left = left.checked_sub(1).ok_or(TooDeep)?;
    if let Ok(mut items) = value.as_array_mut() {
        for item in items.iter_mut() {
            *item = bounded_to(item.take(), left)?;
        }
    } else if let Ok(mut members) = value.as_map_mut() {
        for member in members.values_mut() {
            *member = bounded_to(member.take(), left)?;
        }
    }
    Ok(value)
}

/// Bounds what a script threw: a value that nests too deep is replaced by a text that says so.
#[must_use]
pub(crate) fn bounded_error(mut error: Box<EvalAltResult>) -> Box<EvalAltResult> {
    let mut innermost = &mut *error;
    loop {
        match innermost {
            EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) => {
                innermost = &mut **inner;
            }
            EvalAltResult::ErrorRuntime(value, _)
            | EvalAltResult::ErrorTerminated(value, _)
            | EvalAltResult::Return(value, _)
            | EvalAltResult::Exit(value, _)
            | EvalAltResult::LoopBreak(_, value, _) => {
                *value = bounded(value.take())
                    .unwrap_or_else(|TooDeep| format!("a value with more than {MAX_LEVELS} levels was thrown").into());
                return error;
            }
            _ => return error,
        }
    }
}

/// Makes constants fit to be kept for all runs: what closures have captured becomes a copy of their own, so that no run can
/// leave anything in it for another one.
pub(crate) struct Constants {
    parts: usize,
}

impl Constants {
    /// For the constants of one file.
    pub(crate) fn of_a_file() -> Self {
        Self { parts: MAX_PARTS }
    }

    /// Makes one fit.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn fix(&mut self, name: &str, value: &mut Dynamic) -> Result<(), Box<EvalAltResult>> {
        self.fix_to(value, MAX_LEVELS).map_err(|wrong| {
            let text = match wrong {
                Unfit::TooDeep => format!("has more than {MAX_LEVELS} levels of arrays, maps and closures"),
                Unfit::TooLarge => format!("makes more than {MAX_PARTS} parts of all constants of this file"),
            };
            format!("the constant `{name}` {text}: write it with fewer").into()
        })
    }

    fn fix_to(&mut self, value: &mut Dynamic, left: usize) -> Result<(), Unfit> {
        self.parts = self.parts.checked_sub(1).ok_or(Unfit::TooLarge)?;
        if value.is_shared() {
            let read_only = value.is_read_only();
            let copy = value.flatten_clone();
            *value = if read_only { copy.into_read_only() } else { copy };
        }
        if !value.is_array() && !value.is_map() && !value.is_fnptr() {
            return Ok(());
        }
        let left = left.checked_sub(1).ok_or(Unfit::TooDeep)?;
        if let Ok(mut items) = value.as_array_mut() {
            return items.iter_mut().try_for_each(|item| self.fix_to(item, left));
        }
        if let Ok(mut members) = value.as_map_mut() {
            return members.values_mut().try_for_each(|member| self.fix_to(member, left));
        }
        if let Some(mut function) = value.write_lock::<FnPtr>() {
            return function.iter_curry_mut().try_for_each(|captured| self.fix_to(captured, left));
        }
        Ok(())
    }
}

enum Unfit {
    TooDeep,
    TooLarge,
}

#[cfg(test)]
mod tests {
    use rhai::{Array, Map, Position};

    use super::*;

    fn in_array(value: Dynamic) -> Dynamic {
        Dynamic::from_array(vec![value])
    }

    fn in_map(value: Dynamic) -> Dynamic {
        Dynamic::from_map(Map::from([("a".into(), value)]))
    }

    fn in_closure(value: Dynamic) -> Dynamic {
        let mut function = FnPtr::new("f").expect("a name");
        function.add_curry(value.into_shared());
        function.into()
    }

    fn nested(levels: usize, level: fn(Dynamic) -> Dynamic) -> Dynamic {
        (0..levels).fold(7_i64.into(), |inner, _| level(inner))
    }

    #[test]
    fn values_leave_as_they_are_up_to_the_limit() {
        for level in [in_array, in_map] {
            let value = nested(MAX_LEVELS, level);
            let text = value.to_string();
            assert_eq!(bounded(value).expect("it fits").to_string(), text);
            assert_eq!(bounded(nested(MAX_LEVELS + 1, level)).expect_err("too deep"), TooDeep);
        }
        let read_only = bounded(in_array(1_i64.into()).into_read_only()).expect("it fits");
        assert!(read_only.is_read_only());
    }

    #[test]
    fn closures_leave_without_what_they_captured() {
        let value = bounded(in_array(nested(100, in_closure).into_shared())).expect("it fits");
        let items: Array = value.cast();
        assert!(!items[0].is_shared());
        assert_eq!(items[0].clone().cast::<FnPtr>().curry().len(), 0);
    }

    #[test]
    fn what_was_thrown_is_bounded_too() {
        let thrown = EvalAltResult::ErrorRuntime(nested(MAX_LEVELS + 1, in_array), Position::NONE);
        let inside = EvalAltResult::ErrorInFunctionCall("f".into(), String::new(), thrown.into(), Position::NONE);
        let text = bounded_error(inside.into()).to_string();
        assert!(text.contains("more than 64 levels was thrown"), "{text}");
        let short = EvalAltResult::ErrorRuntime(in_closure(1_i64.into()), Position::NONE);
        assert_eq!(bounded_error(short.into()).to_string(), "Runtime error: Fn(f)");
    }

    #[test]
    fn constants_share_nothing_and_are_bounded() {
        let mut constant = in_map(in_closure(in_closure(7_i64.into())));
        let mut constants = Constants::of_a_file();
        constants.fix("F", &mut constant).expect("it fits");
        let members: Map = constant.cast();
        let outer: FnPtr = members["a"].clone().cast();
        assert!(!outer.curry()[0].is_shared());
        let inner: FnPtr = outer.curry()[0].clone().cast();
        assert_eq!((inner.curry()[0].is_shared(), inner.curry()[0].as_int()), (false, Ok(7)));
        for level in [in_array, in_map, in_closure] {
            let error = constants.fix("F", &mut nested(MAX_LEVELS + 1, level)).expect_err("too deep");
            assert!(error.to_string().contains("the constant `F` has more than 64 levels"), "{error}");
        }
        // A closure that two others share, again and again: as many copies as there are ways to it.
        let twice = |value: Dynamic| Dynamic::from_array(vec![value.clone(), value]).into_shared();
        let mut wide = in_closure((0..40).fold(7_i64.into(), |inner: Dynamic, _| in_closure(twice(inner))));
        assert!(constants.fix("F", &mut wide).is_err());
    }
}
