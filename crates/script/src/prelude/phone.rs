//! The value `Phone`: a number as somebody typed it, and what Google's metadata knows about it (crate `phonenumber`).
//!
//! Making one costs nothing; the number is looked up when a script first asks. The metadata takes a tenth of a second and
//! 20 MiB: it loads at the first look-up, or before, where [`warm_up`] was called.

use std::sync::{Arc, Once, OnceLock};

use phonenumber::Type;
use phonenumber::country::Id;
use phonenumber::metadata::DATABASE;
use rhai::{EvalAltResult, ImmutableString};

use crate::library::{Doc, Library};
use crate::prelude::{Fallible, compared, printed};

/// A phone number. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Phone(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    text: ImmutableString,
    region: Option<Id>,
    found: OnceLock<Found>,
}

/// What is known about a number; empty texts if it is not valid.
#[derive(Debug, Default)]
struct Found {
    e164: ImmutableString,
    country: ImmutableString,
    kind: &'static str,
}

/// No number is longer, with all its blanks and its extension; what is longer is not looked at.
const MAX_TEXT: usize = 64;

/// Begins loading the metadata on a thread of its own, so that no call waits for it.
pub fn warm_up() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        // Without a thread the first look-up loads it.
        let _ = std::thread::Builder::new().name("phone-metadata".into()).spawn(|| {
            let _ = &*DATABASE;
        });
    });
}

impl Phone {
    /// A number; without `region` (ISO 3166, such as `US`) only international spellings are valid.
    ///
    /// # Errors
    /// There is no such region.
    pub fn new(text: impl Into<ImmutableString>, region: Option<&str>) -> Result<Self, String> {
        let region = match region {
            Some(code) => Some(
                code.trim()
                    .to_uppercase()
                    .parse()
                    .map_err(|_| format!("`{code}` is not a country code such as `US`"))?,
            ),
            None => None,
        };
        Ok(Self(Arc::new(Parts { text: text.into(), region, found: OnceLock::new() })))
    }

    /// As it was given.
    pub(crate) fn text(&self) -> &ImmutableString {
        &self.0.text
    }

    /// `+14155552671`, without extension; empty if the number is not valid.
    pub fn e164(&self) -> &ImmutableString {
        &self.found().e164
    }

    /// ISO 3166 in capitals, within `+1` by area; empty if not valid or of no country (satellites).
    pub(crate) fn country(&self) -> &ImmutableString {
        &self.found().country
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.found().kind
    }

    pub fn is_valid(&self) -> bool {
        !self.e164().is_empty()
    }

    /// The number in its comparable form, or else its text.
    pub(crate) fn shown(&self) -> &ImmutableString {
        if self.is_valid() { self.e164() } else { self.text() }
    }

    fn found(&self) -> &Found {
        self.0.found.get_or_init(|| look_up(&self.0.text, self.0.region))
    }

    fn is_text(&self, text: &str) -> bool {
        let other = Self(Arc::new(Parts { text: text.into(), region: self.0.region, found: OnceLock::new() }));
        self.shown() == other.shown()
    }
}

fn look_up(text: &str, region: Option<Id>) -> Found {
    let unknown = Found { kind: "unknown", ..Found::default() };
    let text = text.trim();
    if text.len() > MAX_TEXT {
        return unknown;
    }
    // `00` is what most of the world dials for `+`; no country's own numbers begin with it.
    let written = match text.strip_prefix("00") {
        Some(rest) => format!("+{}", rest.trim_start()),
        None => text.to_owned(),
    };
    let Ok(number) = phonenumber::parse(region, &written) else { return unknown };
    if !number.is_valid() {
        return unknown;
    }
    let e164 = format!("+{}{}", number.code().value(), number.national());
    let country = number.country().id().map(|id| id.as_ref().to_owned()).unwrap_or_default();
    Found { e164: e164.into(), country: country.into(), kind: kind_name(number.number_type(&DATABASE)) }
}

fn kind_name(kind: Type) -> &'static str {
    match kind {
        Type::FixedLine => "fixed_line",
        Type::Mobile => "mobile",
        Type::FixedLineOrMobile => "fixed_or_mobile",
        Type::TollFree => "toll_free",
        Type::PremiumRate => "premium",
        Type::SharedCost => "shared_cost",
        Type::PersonalNumber => "personal",
        Type::Voip => "voip",
        Type::Pager => "pager",
        Type::Uan => "company",
        Type::Emergency => "emergency",
        Type::Voicemail => "voicemail",
        Type::ShortCode => "short_code",
        _ => "unknown",
    }
}

fn make(text: ImmutableString, region: Option<&str>) -> Fallible<Phone> {
    Phone::new(text, region).map_err(Box::<EvalAltResult>::from)
}

pub(super) fn register(library: &mut Library) {
    library.value::<Phone>("Phone", "A phone number, valid or not.");
    library.function(
        Doc::new(
            "phone(text: string, region: string) -> Phone",
            "Reads a number as dialled in a country (`US`). `+` and `00` make it international. Never fails for a wrong number: ask `.is_valid`.",
            r#"phone("(415) 555-2671", "US").e164 == "+14155552671""#,
        ),
        |text: ImmutableString, region: &str| make(text, Some(region)),
    );
    library.function(
        Doc::new(
            "phone(text: string) -> Phone",
            "Reads a number in international form; any other is not valid.",
            r#"phone("+44 20 7946 0018").country == "GB" && !phone("9876543210").is_valid"#,
        ),
        |text: ImmutableString| make(text, None),
    );
    library.property(
        Doc::new("Phone.text: string", "As it was given.", r#"phone("12", "US").text == "12""#),
        |phone: &mut Phone| phone.text().clone(),
    );
    library.property(
        Doc::new(
            "Phone.e164: string",
            "`+` and digits, without extension; empty if the number is not valid.",
            r#"phone("0049 30 123456", "US").e164 == "+4930123456" && phone("12", "US").e164 == """#,
        ),
        |phone: &mut Phone| phone.e164().clone(),
    );
    library.property(
        Doc::new(
            "Phone.country: string",
            "The country's ISO code; within `+1` by area. Empty if not valid, or of no country such as satellite numbers.",
            r#"phone("+1 876 922 1234").country == "JM" && phone("+1 416 967 1111").country == "CA""#,
        ),
        |phone: &mut Phone| phone.country().clone(),
    );
    library.property(
        Doc::new(
            "Phone.kind: string",
            "`mobile`, `fixed_line`, `fixed_or_mobile`, `toll_free`, `premium`, `shared_cost`, `personal`, `voip`, `pager`, `company`, `voicemail`, `unknown`.",
            r#"phone("+49 1512 3456789").kind == "mobile" && phone("+1 900 555 1234").kind == "premium""#,
        ),
        |phone: &mut Phone| ImmutableString::from(phone.kind()),
    );
    library.property(
        Doc::new(
            "Phone.is_valid: bool",
            "Whether the number can exist in its country.",
            r#"phone("+14155552671").is_valid && !phone("+999123456").is_valid"#,
        ),
        |phone: &mut Phone| phone.is_valid(),
    );
    printed::<Phone>(library, |phone| phone.text().clone());
    compared::<Phone>(library, |left, right| left.shown() == right.shown(), Phone::is_text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, region: Option<&str>) -> (String, String, &'static str) {
        let phone = Phone::new(text, region).expect("a region");
        (phone.e164().to_string(), phone.country().to_string(), phone.kind())
    }

    #[test]
    fn spellings_of_one_number_are_one_number() {
        for text in [
            "(415) 555-2671",
            "+1 415 555 2671",
            "1-415-555-2671",
            "001 415 555 2671",
            "415.555.2671 x12",
            " 4155552671 ",
        ] {
            assert_eq!(parts(text, Some("US")).0, "+14155552671", "{text}");
        }
    }

    #[test]
    fn numbers_name_country_and_kind() {
        let table = [
            ("9876543210", Some("IN"), "+919876543210", "IN", "mobile"),
            ("+12125552368", None, "+12125552368", "US", "fixed_or_mobile"),
            ("+14169671111", None, "+14169671111", "CA", "fixed_or_mobile"),
            ("+18769221234", None, "+18769221234", "JM", "fixed_line"),
            ("+18002255288", Some("DE"), "+18002255288", "US", "toll_free"),
            ("+19005551234", None, "+19005551234", "US", "premium"),
            ("+881612345678", None, "+881612345678", "", "mobile"),
            ("+4915123456789", None, "+4915123456789", "DE", "mobile"),
        ];
        for (text, region, e164, country, kind) in table {
            assert_eq!(parts(text, region), (e164.to_owned(), country.to_owned(), kind), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_not_valid() {
        let long = "1".repeat(10_000);
        for text in ["", "abc", "+", "00", "+999123456", "12", "+1", "4155552671", &long] {
            assert_eq!(parts(text, None), (String::new(), String::new(), "unknown"), "{text}");
        }
        assert!(Phone::new("1", Some("XX")).expect_err("no country").contains("`XX`"));
        assert!(Phone::new("1", Some("us")).is_ok());
    }
}
