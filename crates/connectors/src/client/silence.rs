//! What a request without an answer means: for an order, that may have been done or not, and for a question.

use std::error::Error;
use std::io;

use rustls::AlertDescription;

use crate::Trouble;
use crate::egress::NoAddress;
use hookgate_model::question;
use hookgate_model::question::Reason;

const NO_ANSWER: &str = "it did not answer in time";

/// No answer came.
pub(super) enum Broken {
    /// There is no client to send with.
    Made(reqwest::Error),
    Sent(reqwest::Error),
    /// The time was over.
    Late,
}

impl Broken {
    /// The connection ended before an answer began.
    pub(super) fn is_reset(&self) -> bool {
        let Self::Sent(error) = self else { return false };
        if error.is_timeout() || error.is_connect() || error.is_builder() {
            return false;
        }
        let ended = |error: &io::Error| {
            use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
        };
        source::<hyper::Error>(error).is_some_and(|error| error.is_incomplete_message() || error.is_canceled())
            || source::<io::Error>(error).is_some_and(ended)
    }

    pub(super) fn for_an_order(self) -> Trouble {
        let error = match self {
            Self::Made(error) => return Trouble::not_delivered(causes(error)),
            Self::Late => return Trouble::maybe_delivered(NO_ANSWER),
            Self::Sent(error) => error,
        };
        if let Some(refused) = refused(&error) {
            return Trouble::refused(refused);
        }
        let (connecting, building) = (error.is_connect(), error.is_builder());
        let told = told(error);
        match (connecting, building) {
            (true, _) => Trouble::not_delivered(told),
            (false, true) => Trouble::refused(told),
            (false, false) => Trouble::maybe_delivered(told),
        }
    }

    pub(super) fn for_a_question(self) -> question::Trouble {
        let error = match self {
            Self::Made(error) => return question::Trouble::new(Reason::Unreachable, causes(error)),
            Self::Late => return question::Trouble::new(Reason::Timeout, NO_ANSWER),
            Self::Sent(error) => error,
        };
        if let Some(refused) = refused(&error) {
            return question::Trouble::new(Reason::Forbidden, refused);
        }
        let reason = match source::<rustls::Error>(&error) {
            Some(rustls::Error::InvalidCertificate(_)) => Reason::Forbidden,
            Some(rustls::Error::AlertReceived(alert)) if is_about_us(*alert) => Reason::Denied,
            _ if error.is_timeout() => Reason::Timeout,
            _ if error.is_builder() => Reason::Rejected,
            _ if wants_to_know_us(&error) => Reason::Denied,
            _ => Reason::Unreachable,
        };
        question::Trouble::new(reason, told(error))
    }
}

fn told(error: reqwest::Error) -> String {
    if wants_to_know_us(&error) {
        return "the proxy wants to know who we are, or does not know us: give `proxy` the right `auth`".to_owned();
    }
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => "it did not accept a connection in time".to_owned(),
        (true, false) => format!("there is no connection: {}", causes(error)),
        (false, _) if error.is_builder() => format!("the request cannot be made: {}", causes(error)),
        (false, true) => NO_ANSWER.to_owned(),
        (false, false) => format!("it broke off before it answered: {}", causes(error)),
    }
}

fn refused(error: &reqwest::Error) -> Option<String> {
    let found = source::<NoAddress>(error).filter(|found| matches!(found, NoAddress::Refused));
    found.map(ToString::to_string)
}

/// The other side does not like the certificate that we showed, or misses one.
fn is_about_us(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
    )
}

/// A proxy answered 407 before there was a connection; its error has no type of its own that could be asked for.
fn wants_to_know_us(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = next {
        if error.to_string().contains("proxy authorization required") {
            return true;
        }
        next = error.source();
    }
    false
}

fn source<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An error of I/O gives the source of what is in it, not what is in it.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

/// The causes of an error, of which reqwest's own is the least useful; without the address, which may be secret.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut told = Vec::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        told.push(inner.to_string());
        cause = inner.source();
    }
    told.dedup();
    if told.is_empty() { error.to_string() } else { told.join(": ") }
}
