//! A one-time code on its way to one person: what is sent, through whom, and how that ended.
//!
//! It holds a code that opens an account. So it is never kept, never logged and never in an error; it prints `***`, and its
//! memory is overwritten when it goes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// What one person is to get.
#[derive(Clone)]
pub struct Message {
    /// The number in E.164: `+14155552671`.
    pub to: String,
    pub channel: Channel,
    /// What a text message says, with the code in it.
    pub text: Secret,
    /// The code alone, for connectors with a text of their own.
    pub code: Secret,
    /// The person's language, as the provider of the call has it: `EN-US`, `en`.
    pub locale: Option<String>,
    /// The same for the same message, whoever asks for it again: for providers that can tell repetitions.
    pub key: String,
}

/// How it gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Sms,
    Voice,
}

/// A provider took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The provider's id of the message.
    pub id: String,
}

/// A message to send, and the connectors to try in order.
#[derive(Clone, Debug)]
pub struct Sending {
    pub message: Message,
    pub ways: Vec<String>,
}

/// How sending through connectors ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Taken by the provider of that connector, with its id of the message.
    Delivered { connector: String, id: String },
    /// The request went out and no answer came in time: the person may have the message.
    Unknown { connector: String },
    /// Certainly not sent by any of them.
    Failed(Vec<Tried>),
}

/// One connector that did not send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    pub connector: String,
    /// Without the number and the code.
    pub reason: String,
}

impl Channel {
    /// The word for it in scripts and settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Voice => "voice",
        }
    }
}

impl Outcome {
    /// Each connector with why it did not send.
    pub fn reasons(tried: &[Tried]) -> String {
        let tried: Vec<String> = tried.iter().map(|one| format!("{}: {}", one.connector, one.reason)).collect();
        tried.join("; ")
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Message")
            .field("channel", &self.channel)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
