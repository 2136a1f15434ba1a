//! Hashes of passwords that are written out: whether they could be verified.

use rhai::{FnCallExpr, Position};

use crate::lint::walk::Walker;
use crate::password;
use crate::password::Options;
use crate::signature::Signature;

impl Walker<'_, '_> {
    /// Looks at the argument that the table calls `hash`, or `like` where a hash is an example.
    pub(crate) fn hashes(&mut self, call: &FnCallExpr, method: bool) {
        let mut forms = self.input.known.forms(&call.name).iter();
        let receives = |signature: &Signature| {
            let [param] = signature.params() else { return false };
            signature.receiver == Some("Secret") && matches!(param.name, "hash" | "like")
        };
        if !forms.any(|form| form.signature.fits(call.args.len(), method) && receives(&form.signature)) {
            return;
        }
        let Some(argument) = call.args.last() else { return };
        let Some(text) = self.literal(argument).and_then(|value| value.into_immutable_string().ok()) else { return };
        let ceilings = self.input.ceilings;
        let read = password::recognise(&text, Options::default()).and_then(|stored| stored.affordable(ceilings));
        if let Err(problem) = read {
            let position: Position = argument.start_position();
            let message = format!("`{}` would fail at every call: {problem}", call.name);
            let help = "copy the whole hash as the other system stored it; one that does not say what it is needs a \
                        description (`hookgate docs verifies`)";
            self.report.error("script/hash", position, message, help.to_owned());
        }
    }
}
