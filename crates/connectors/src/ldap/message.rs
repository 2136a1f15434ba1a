//! The messages of LDAP (RFC 4511) that are needed here: three that ask, and what may come back.

use crate::ldap::ber;
use crate::ldap::ber::Reader;
use hookgate_model::secret::Secret;

/// StartTLS (RFC 4511, 4.14).
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";

/// What the server sends of its own accord before it closes (RFC 4511, 4.4.1).
const NOTICE: &str = "1.3.6.1.4.1.1466.20036";

/// What is asked, as the middle of a message.
pub(super) struct Request(Vec<u8>);

/// What came back.
#[derive(Debug, PartialEq)]
pub(super) enum Response {
    Entry {
        dn: String,
        attributes: Vec<(String, Vec<Vec<u8>>)>,
    },
    /// Part of the answer is elsewhere.
    Reference,
    /// The end of an answer.
    Done(Outcome),
    /// The server is about to close.
    Goodbye(Outcome),
}

/// How something ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) code: u32,
    /// For people; may hold anything.
    pub(super) said: String,
}

/// A search.
pub(super) struct Search<'a> {
    pub(super) base: &'a str,
    pub(super) scope: u32,
    /// On the wire.
    pub(super) filter: &'a [u8],
    pub(super) attributes: &'a [String],
    /// Entries; the server stops there.
    pub(super) most: u32,
    /// After so many seconds, too.
    pub(super) seconds: u32,
}

impl Request {
    pub(super) fn bind(dn: &str, password: &Secret) -> Self {
        let password = zeroize::Zeroizing::new(ber::element(0x80, password.expose()));
        let dn = ber::element(ber::OCTETS, dn.as_bytes());
        Self(ber::element(
            0x60,
            &zeroize::Zeroizing::new([ber::number(ber::INTEGER, 3), dn, password.to_vec()].concat()),
        ))
    }

    pub(super) fn start_tls() -> Self {
        Self(ber::element(0x77, &ber::element(0x80, START_TLS.as_bytes())))
    }

    pub(super) fn unbind() -> Self {
        Self(ber::element(0x42, &[]))
    }

    pub(super) fn search(search: &Search<'_>) -> Self {
        let attributes: Vec<u8> =
            search.attributes.iter().flat_map(|name| ber::element(ber::OCTETS, name.as_bytes())).collect();
        let parts = [
            ber::element(ber::OCTETS, search.base.as_bytes()),
            ber::number(ber::ENUMERATED, search.scope),
            // Aliases are not followed: they would lead out of the base.
            ber::number(ber::ENUMERATED, 0),
            ber::number(ber::INTEGER, search.most),
            ber::number(ber::INTEGER, search.seconds),
            ber::element(ber::BOOLEAN, &[0]),
            search.filter.to_vec(),
            ber::element(ber::SEQUENCE, &attributes),
        ];
        Self(ber::element(0x63, &parts.concat()))
    }

    /// The whole message.
    pub(super) fn numbered(&self, id: u32) -> zeroize::Zeroizing<Vec<u8>> {
        let inner = zeroize::Zeroizing::new([ber::number(ber::INTEGER, id).as_slice(), &self.0].concat());
        zeroize::Zeroizing::new(ber::element(ber::SEQUENCE, &inner))
    }
}

impl Drop for Request {
    /// It may hold a password.
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// Reads a message: its number and what it says. Nothing if it is none of LDAP.
pub(super) fn read(message: &[u8]) -> Option<(u32, Response)> {
    let mut outer = Reader(message);
    let mut message = Reader(outer.expect(ber::SEQUENCE)?);
    let id = message.number(ber::INTEGER)?;
    let (tag, contents) = message.next()?;
    let mut body = Reader(contents);
    let response = match tag {
        0x64 => entry(&mut body)?,
        0x73 => Response::Reference,
        0x61 | 0x65 => Response::Done(outcome(&mut body)?),
        0x78 => {
            let ended = outcome(&mut body)?;
            match name_of_answer(body) {
                Some(name) if name == NOTICE.as_bytes() => Response::Goodbye(ended),
                _ => Response::Done(ended),
            }
        }
        _ => return None,
    };
    Some((id, response))
}

fn entry(body: &mut Reader<'_>) -> Option<Response> {
    let dn = body.text()?.to_owned();
    let mut list = Reader(body.expect(ber::SEQUENCE)?);
    let mut attributes = Vec::new();
    while !list.is_at_end() {
        let mut attribute = Reader(list.expect(ber::SEQUENCE)?);
        let name = attribute.text()?.to_owned();
        let mut set = Reader(attribute.expect(ber::SET)?);
        let mut values = Vec::new();
        while !set.is_at_end() {
            values.push(set.expect(ber::OCTETS)?.to_vec());
        }
        attributes.push((name, values));
    }
    Some(Response::Entry { dn, attributes })
}

fn outcome(body: &mut Reader<'_>) -> Option<Outcome> {
    let code = body.number(ber::ENUMERATED)?;
    body.expect(ber::OCTETS)?;
    let said = String::from_utf8_lossy(body.expect(ber::OCTETS)?).into_owned();
    Some(Outcome { code, said })
}

/// `responseName`, behind referrals if there are any.
fn name_of_answer(mut body: Reader<'_>) -> Option<&[u8]> {
    while let Some((tag, contents)) = body.next() {
        if tag == 0x8a {
            return Some(contents);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_as_the_rfc_has_them() {
        let bind = Request::bind("cn=a", &Secret::new(*b"pw"));
        assert_eq!(hex::encode(&*bind.numbered(1)), "3012020101600d0201030404636e3d6180027077");
        assert_eq!(hex::encode(&*Request::unbind().numbered(2)), "30050201024200");
        let tls = Request::start_tls().numbered(1);
        assert_eq!(&tls[..7], [0x30, 29, 2, 1, 1, 0x77, 24]);
        let search =
            Search { base: "", scope: 2, filter: &[0x87, 1, b'x'], attributes: &["cn".into()], most: 5, seconds: 3 };
        assert_eq!(
            hex::encode(&*Request::search(&search).numbered(3)),
            "301f020103631a04000a01020a010002010502010301010087017830040402636e"
        );
    }

    #[test]
    fn answers_are_read_and_everything_else_is_not() {
        let read_hex = |text: &str| read(&hex::decode(text.replace(' ', "")).expect("digits"));
        let done = |code, said: &str| Response::Done(Outcome { code, said: said.to_owned() });
        assert_eq!(read_hex("300c 020101 6107 0a0100 0400 0400"), Some((1, done(0, ""))));
        assert_eq!(read_hex("300e 020101 6109 0a0131 0400 04026e6f"), Some((1, done(0x31, "no"))));
        assert_eq!(read_hex("3016 020102 6411 0404636e3d61 3009 3007 0402636e 310104"), None, "a value is cut off");
        assert_eq!(
            read_hex("3017 020102 6412 0404636e3d61 300a 3008 0402636e 3102 0400"),
            Some((2, Response::Entry { dn: "cn=a".into(), attributes: vec![("cn".into(), vec![vec![]])] }))
        );
        assert_eq!(read_hex("3009 020102 7304 0402 7878"), Some((2, Response::Reference)));
        let notice = format!("3024 020100 781f 0a0134 0400 0400 8a16{}", hex::encode(NOTICE));
        assert!(matches!(read_hex(&notice), Some((0, Response::Goodbye(_)))));
        for text in ["", "30", "3000", "3003020101", "3005020101 4200", "3007 020101 6102 0a01", "0403020101"] {
            assert_eq!(read_hex(text), None, "{text}");
        }
    }
}
