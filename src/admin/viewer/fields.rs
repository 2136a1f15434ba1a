//! What somebody wrote into a form or an address.

use hookgate_model::moment;
use hookgate_model::moment::When;
use hookgate_store::Millis;

/// Names and values, in order; a name may stand there more than once.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn of_query(query: Option<&str>) -> Self {
        Self::of(query.unwrap_or_default().as_bytes())
    }

    /// A form as browsers send it.
    pub(super) fn of(form: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(form);
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// The first value of a name without the space around it; nothing if there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim()).unwrap_or_default()
    }

    /// A text of several lines, with the line ends that files have: forms send others.
    pub(super) fn text(&self, name: &str) -> String {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.replace("\r\n", "\n")).unwrap_or_default()
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A value, if there is one.
    pub(super) fn some(&self, name: &str) -> Option<String> {
        Some(self.get(name).to_owned()).filter(|value| !value.is_empty())
    }

    /// A time: RFC 3339, a date, or how long ago.
    ///
    /// # Errors
    /// It is none; how to write it.
    pub(super) fn time(&self, name: &str, now: Millis) -> Result<Option<Millis>, String> {
        Ok(self.when(name)?.map(|when| when.millis(now)))
    }

    /// The same, before it is known what time it is now.
    ///
    /// # Errors
    /// It is none; how to write it.
    pub(super) fn when(&self, name: &str) -> Result<Option<When>, String> {
        Some(self.get(name)).filter(|written| !written.is_empty()).map(moment::when).transpose()
    }

    /// A place in a list.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn cursor(&self) -> Result<Option<i64>, String> {
        match self.get("cursor") {
            "" => Ok(None),
            written => {
                written.parse().map(Some).map_err(|_| "this place of the list is not known: begin anew".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let table = [
            ("2026-03-02T08:30:00Z", Some(1_772_440_200_000)),
            ("2026-03-02T09:30:00+01:00", Some(1_772_440_200_000)),
            ("2026-03-02", Some(1_772_409_600_000)),
            ("15m", Some(-900_000)),
            ("7d", Some(-604_800_000)),
            ("", None),
        ];
        for (written, expected) in table {
            let fields = Fields(vec![("since".to_owned(), written.to_owned())]);
            assert_eq!(fields.time("since", 0), Ok(expected), "{written}");
        }
        for written in ["yesterday", "5", "m", "-1h", "99999999999999999999h", "\u{202e}"] {
            let fields = Fields(vec![("since".to_owned(), written.to_owned())]);
            assert!(fields.time("since", 0).is_err(), "{written}");
        }
    }

    #[test]
    fn forms_are_read_as_browsers_send_them() {
        let fields = Fields::of(b"a=1&a=%3Cb%3E&text=x%0D%0Ay+z");
        assert_eq!((fields.get("a"), fields.text("text").as_str()), ("1", "x\ny z"));
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["1", "<b>"]);
        assert!(fields.cursor() == Ok(None) && Fields::of(b"cursor=x").cursor().is_err());
    }
}
