//! An answer as it came over the wire, and what a provider makes of it.

use crate::Reply;

/// What a server answered to a call.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub status: u16,
    /// The header `content-type`, if it is text.
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
}

/// What the provider makes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Why it is no valid reply, one sentence each. None: the provider takes it.
    pub violations: Vec<String>,
    /// What the provider does now, in one sentence.
    pub effect: String,
}

impl Judgement {
    /// Whether the provider takes the answer.
    pub fn is_valid(&self) -> bool {
        self.violations.is_empty()
    }
}

impl Reply {
    /// The reply as the caller receives it.
    pub(crate) fn as_answer(&self) -> Answer<'_> {
        let content_type = (!self.body.is_empty()).then_some(&*self.content_type);
        Answer { status: self.status, content_type, body: &self.body }
    }
}
