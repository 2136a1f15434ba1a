//! The types of events that a provider sends, as far as it matters here: a text file, one type a line.

/// A provider's types that hooks can subscribe to, and some of the others. The first line of its text says whose it is, of which release and of which day.
#[derive(Clone, Copy, Debug)]
pub struct Catalogue {
    text: &'static str,
    /// How many types one subscription may have.
    pub most: usize,
}

/// A type of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventType {
    pub name: &'static str,
    /// Whether a hook can subscribe to it. The others are in the provider's log only.
    pub eligible: bool,
}

impl Catalogue {
    /// Of hooks whose calls carry no events.
    pub(crate) const NONE: Self = Self { text: "", most: 0 };

    /// The catalogue in a text: `+ type` can be subscribed to, `  type` cannot, `#` begins a remark.
    pub(crate) const fn of(text: &'static str, most: usize) -> Self {
        Self { text, most }
    }

    /// `Okta's types for event hooks, catalogue 2026.08.1 (2026-08-21)`
    pub fn source(&self) -> &'static str {
        let first = self.text.lines().next().unwrap_or_default();
        first.trim_start_matches("# ").split(':').next().unwrap_or_default()
    }

    /// All types, in alphabetical order.
    pub fn types(&self) -> impl Iterator<Item = EventType> + use<> {
        self.text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (eligible, name) = (line.starts_with('+'), line.trim_start_matches(['+', ' ']).trim_end());
            (!name.is_empty()).then_some(EventType { name, eligible })
        })
    }
}
