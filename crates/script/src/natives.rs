//! What native functions may cost. Rhai counts an operation for a call, whatever the function does: `text.replace(…)` of two
//! texts of a megabyte would allocate a terabyte in one operation, and no limit is looked at before it is done.
//!
//! So each function has a [`Cost`]. One that is not constant is wrapped: what the call will allocate and how long it will
//! take is estimated from its arguments, refused if the run may not use so much ([`budget::reserve`]), charged as operations,
//! and not begun on an async worker if it takes long ([`budget::charge`]). Rhai's own functions are classified in
//! [`table`], ours are taken as [`Cost::Own`] unless the table says otherwise. A test walks all of them with arguments near
//! the limits.

use rhai::{Caches, Dynamic, Engine, EvalAltResult, EvalContext, FuncMetadata, FuncRegistration};
use rhai::{Module, NativeCallContext, RhaiFunc, Scope, Shared};

use crate::budget;
use crate::budget::Stopped;
use crate::natives::size::Size;

mod estimates;
pub mod samples;
pub(crate) mod size;
pub mod table;

/// `Err` refuses the call.
type Refusable = Result<(), Box<EvalAltResult>>;

/// Works out the cost of a call that is about to begin.
type Estimate = fn(&NativeCallContext, &[&mut Dynamic]) -> Result<Work, Box<EvalAltResult>>;

/// What a call will need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) bytes: u64,
    pub(crate) nanos: u64,
}

/// How the cost of a native function depends on its arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cost {
    /// Always about the same, and little.
    Constant,
    /// Grows with the bytes of its texts; the result is no larger than they are.
    Text,
    /// The same, and the result may be three times as large.
    Widening,
    /// Grows with the number of values in its arguments, which it may copy. Texts inside are shared. What it calls back in
    /// the script is counted there.
    Values,
    /// Writes its arguments out as text. A byte may take six (`\u{1}`).
    Printed,
    /// The same for a function by which Rhai shows a value. If that fails, Rhai writes the value out itself, whatever its size.
    /// So a refused call gives a short text, and the run ends with its next operation.
    Shown,
    /// A function of ours that is nothing special: its texts and values are copied a few times.
    Own,
    /// As the estimate says.
    Estimated(Estimate),
}

impl Cost {
    fn admit(self, context: &NativeCallContext, arguments: &[&mut Dynamic]) -> Refusable {
        let work = match self {
            Self::Constant => return Ok(()),
            Self::Estimated(estimate) => estimate(context, arguments)?,
            _ => self.work(context, Size::of_all(arguments)?)?,
        };
        budget::reserve(work.bytes)?;
        budget::charge(work.nanos)
    }

    fn work(self, context: &NativeCallContext, size: Size) -> Result<Work, Box<EvalAltResult>> {
        let Size { nodes, text } = size;
        Ok(match self {
            Self::Text => Work { bytes: text + 64 * nodes, nanos: text },
            Self::Widening => Work { bytes: 4 * text, nanos: 12 * text },
            Self::Values => Work { bytes: 64 * nodes, nanos: 60 * nodes + text / 4 },
            Self::Printed | Self::Shown => {
                estimates::text_of(context, text)?;
                Work { bytes: 6 * text + 64 * nodes, nanos: 10 * text + 1_000 * nodes }
            }
            _ => Work { bytes: 3 * text + 64 * nodes, nanos: 6 * text + 100 * nodes },
        })
    }
}

/// The function with the check of its cost before it.
pub(crate) fn guarded(function: RhaiFunc, cost: Cost) -> RhaiFunc {
    if matches!(cost, Cost::Constant) {
        return function;
    }
    let (is_method, is_pure, is_volatile) = (function.is_method(), function.is_pure(), function.is_volatile());
    let func = native(move |context, arguments| {
        if let Some(context) = &context
            && let Err(refused) = cost.admit(context, arguments)
        {
            if matches!(cost, Cost::Shown) {
                budget::end_soon(Stopped::Memory);
                // Rhai looks at the size of what was shown, and where that is over the limit it writes it out itself.
                if let Some(value) = arguments.first_mut() {
                    **value = UNSHOWN.into();
                }
                return Ok(UNSHOWN.into());
            }
            return Err(refused);
        }
        if let Some(plugin) = function.get_plugin_fn() {
            return plugin.call(context, arguments);
        }
        match function.get_native_fn() {
            Some(native) => native(context, arguments),
            None => Err("this function is no native one".into()),
        }
    });
    if is_method {
        RhaiFunc::Method { func, has_context: true, is_pure, is_volatile }
    } else {
        RhaiFunc::Pure { func, has_context: true, is_pure, is_volatile }
    }
}

/// What stands for a value that is too large to be shown, in a run that ends.
const UNSHOWN: &str = "(too large to be shown)";

type Native =
    dyn Fn(Option<NativeCallContext>, &mut [&mut Dynamic]) -> Result<Dynamic, Box<EvalAltResult>> + Send + Sync;

fn native<F>(function: F) -> Shared<Native>
where
    F: Fn(Option<NativeCallContext>, &mut [&mut Dynamic]) -> Result<Dynamic, Box<EvalAltResult>>
        + Send
        + Sync
        + 'static,
{
    Shared::new(function)
}

/// Rhai's own functions that are not constant, guarded: a module that hides them. A test finds functions that cannot be taken
/// out of Rhai.
pub(crate) fn standard(engine: &Engine) -> Module {
    let mut module = Module::new();
    let metadata = engine.collect_fn_metadata(None, |info| Some(info.metadata.clone()), true);
    for row in metadata {
        let cost = table::of(&row).unwrap_or(Cost::Own);
        if matches!(cost, Cost::Constant) {
            continue;
        }
        let Some(function) = original(engine, &row) else { continue };
        FuncRegistration::new(row.name.as_str()).in_global_namespace().set_into_module_raw(
            &mut module,
            &row.param_types,
            guarded(function, cost),
        );
    }
    module.build_index();
    module
}

/// One of Rhai's own functions itself. Rhai hands out its functions nowhere but in the cache in which a run keeps those that
/// it has resolved, and it keeps them there at the second call.
fn original(engine: &Engine, row: &FuncMetadata) -> Option<RhaiFunc> {
    let (mut global, mut caches, mut scope) = (engine.new_global_runtime_state(), Caches::new(), Scope::new());
    for _ in 0..2 {
        let mut values: Vec<Dynamic> =
            row.param_types.iter().map(|shape| samples::smallest(*shape)).collect::<Option<_>>()?;
        let mut arguments: Vec<&mut Dynamic> = values.iter_mut().collect();
        // What it gives for nothing does not matter, not even an error.
        let _ = EvalContext::new(engine, &mut global, &mut caches, &mut scope, None).call_native_fn_raw(
            &row.name,
            true,
            &mut arguments,
        );
    }
    let resolved = caches.fn_resolution_cache_mut().dict.values().flatten().map(|entry| entry.func.clone());
    resolved.into_iter().find(RhaiFunc::is_native)
}

#[cfg(test)]
mod tests;
