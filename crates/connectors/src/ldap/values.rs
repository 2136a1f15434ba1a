//! Entries as JSON: values are texts, but of attributes that are known to hold bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use hookgate_model::question::{Reason, Trouble};

/// Attributes of bytes that every directory may have, in lower case; beside them all with the option `;binary`.
const KNOWN: &[&str] = &[
    "audio",
    "cacertificate",
    "jpegphoto",
    "logonhours",
    "ms-ds-consistencyguid",
    "msexchmailboxguid",
    "objectguid",
    "objectsid",
    "photo",
    "sidhistory",
    "thumbnaillogo",
    "thumbnailphoto",
    "tokengroups",
    "usercertificate",
    "userpkcs12",
    "usersmimecertificate",
];

/// Which attributes hold bytes. It is decided by the name: what a value looks like would change from user to user.
pub(super) struct Binary(Vec<String>);

impl Binary {
    pub(super) fn new(more: &[String]) -> Self {
        Self(more.iter().map(|name| name.to_lowercase()).collect())
    }

    fn has(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let mut parts = name.split(';');
        let plain = parts.next().unwrap_or_default();
        parts.any(|option| option == "binary") || KNOWN.contains(&plain) || self.0.iter().any(|known| known == plain)
    }

    /// `{ dn, attributes: { name: [value, …] } }`.
    ///
    /// # Errors
    /// A value is no text; named without the value.
    pub(super) fn entry(&self, dn: String, attributes: Vec<(String, Vec<Vec<u8>>)>) -> Result<Value, Trouble> {
        let mut all = Map::new();
        for (name, values) in attributes {
            let bytes = self.has(&name);
            let text = |value: Vec<u8>| match bytes {
                true => Ok(Value::String(STANDARD.encode(value))),
                false => String::from_utf8(value).map(Value::String).map_err(|_| unreadable(&name)),
            };
            let values = values.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
            all.insert(name, Value::Array(values));
        }
        Ok(json!({ "dn": dn, "attributes": all }))
    }
}

fn unreadable(name: &str) -> Trouble {
    let text = format!("attribute `{name}` holds what is not UTF-8: list it under `binary` to get base64");
    Trouble::new(Reason::BadAnswer, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_what_is_text() {
        let binary = Binary::new(&["badgePhoto".to_owned()]);
        let of = |name: &str, value: &[u8]| binary.entry("cn=a".into(), vec![(name.into(), vec![value.to_vec()])]);
        for (name, value, expected) in [
            ("cn", "J\u{f6}rg".as_bytes(), "J\u{f6}rg"),
            ("objectGUID", b"plain", "cGxhaW4="),
            ("userCertificate;binary", b"\x30\x82", "MII="),
            ("anything;binary", b"\xff", "/w=="),
            ("BADGEPHOTO", b"\xff", "/w=="),
        ] {
            let entry = of(name, value).unwrap_or_else(|trouble| panic!("{name}: {trouble}"));
            assert_eq!(entry, json!({ "dn": "cn=a", "attributes": { name: [expected] } }));
        }
        let trouble = of("cn", b"canary\xff").expect_err("no text");
        assert_eq!((trouble.reason, trouble.message.contains("canary")), (Reason::BadAnswer, false));
        assert!(trouble.message.contains("attribute `cn`"), "{trouble}");
    }
}
