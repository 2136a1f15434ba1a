//! How a provider checks that an address is ours, before it sends calls there.

use std::fmt;

use http::{HeaderMap, Method, Uri};

use crate::{HookError, Reply};

/// How a provider checks that an address is ours. No script runs for it.
#[derive(Clone, Copy)]
pub struct Handshake {
    /// The methods that such a check may have, besides POST. HEAD goes with GET.
    pub methods: &'static [Method],
    /// Whether whoever checks must prove who it is, as for a call.
    pub needs_proof: bool,
    /// The reply to a check; nothing where the request is a call (POST), or no check of this hook.
    pub answer: fn(&Method, &HeaderMap, &Uri) -> Option<Result<Reply, HookError>>,
}

impl Handshake {
    /// Of hooks whose address nobody checks.
    pub const NONE: Self = Self { methods: &[], needs_proof: true, answer: |_, _, _| None };

    /// Whether a check may have this method.
    pub fn takes(&self, method: &Method) -> bool {
        let wanted = if *method == Method::HEAD { &Method::GET } else { method };
        self.methods.contains(wanted)
    }

    /// The methods that the address of such a hook takes, as in the header `allow` (RFC 9110, section 10.2.1).
    pub fn allowed(&self) -> String {
        let mut names: Vec<&str> = self.methods.iter().map(Method::as_str).collect();
        if names.contains(&"GET") {
            names.push("HEAD");
        }
        names.push("POST");
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("Handshake").field("methods", &self.methods).finish_non_exhaustive()
    }
}
