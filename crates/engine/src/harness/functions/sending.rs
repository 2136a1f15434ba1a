//! Sending messages in tests: nothing is sent, and a test says which connectors fail.

use std::collections::BTreeMap;

use crate::harness::session;
use crate::harness::session::Fallible;
use crate::harness::stage::Fails;
use hookgate_model::message::{Outcome, Sending, Tried};
use hookgate_script::library::{Doc, Library};

const WORDS: [(&str, Option<Fails>); 4] = [
    ("taken", None),
    ("timeout", Some(Fails::Timeout)),
    ("refused", Some(Fails::Refused)),
    ("not_delivered", Some(Fails::NotDelivered)),
];

/// The provider's id of a message in tests.
const ID: &str = "test-1";

/// How sending ends when nobody is asked: as the gateway does it, with providers that take everything but as the test says.
pub(in crate::harness) fn pretend(sending: &Sending, fails: &BTreeMap<String, Option<Fails>>) -> Outcome {
    let mut tried = Vec::new();
    for connector in &sending.ways {
        let connector = connector.clone();
        let reason = match fails.get(&connector).copied().flatten() {
            None => return Outcome::Delivered { connector, id: ID.to_owned() },
            Some(Fails::Timeout) => return Outcome::Unknown { connector },
            Some(Fails::Refused) => "refused",
            Some(Fails::NotDelivered) => "not delivered",
        };
        tried.push(Tried { connector, reason: reason.to_owned() });
    }
    Outcome::Failed(tried)
}

fn mock_send(connector: &str, how: &str) -> Fallible<()> {
    let fails = WORDS.iter().find(|(word, _)| *word == how).map(|(_, fails)| *fails);
    let fails = fails.ok_or_else(|| {
        let words: Vec<String> = WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        format!("`mock_send` knows {}, not \"{how}\"", words.join(", "))
    })?;
    session::with("mock_send", |session| {
        // Others need not be configured: a test says what is outside.
        if session.connectors.get(connector).is_some() {
            session.connectors.check_way(connector)?;
        }
        session.sends.insert(connector.to_owned(), fails);
        Ok(())
    })?
}

pub(crate) fn register(library: &mut Library) {
    library.reader(
        Doc::new(
            "mock_send(connector: string, how: string)",
            "How a connector takes what the gateway is to `send` through it: `taken`, `timeout` (nobody knows whether it was sent, and \
             no other is tried), `refused`, `not_delivered` (both: the next one is tried). It need not be configured; those that are \
             take what they get until a test says otherwise. Nothing is ever sent in a test.",
            r#"mock_send("codes", "refused"); run().failure == ()"#,
        ),
        mock_send,
    );
}
