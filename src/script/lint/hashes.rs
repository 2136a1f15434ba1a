//! Hashes of passwords that are written out: whether they could be verified.

use rhai::{FnCallExpr, Position};

use crate::password;
use crate::password::Options;
use crate::script::lint::walk::Walker;

impl Walker<'_, '_> {
    /// Looks at the argument that the table calls `hash`, or `like` where a hash is an example.
    pub(crate) fn hashes(&mut self, call: &FnCallExpr, method: bool) {
        let forms = self.input.known.forms(&call.name).iter().filter(|form| form.fits(call.args.len(), method));
        let receives = |signature: &str| {
            signature.starts_with("Secret.")
                && (signature.contains("(hash: string)") || signature.contains("(like: string)"))
        };
        if !forms.map(|form| form.entry.doc.signature).any(receives) {
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
