//! Which events are meant: by id, or by what they have in common.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use hookgate_model::moment::{When, when};
use hookgate_store::{EventRef, JobState, Millis, Query};

/// What wanted events have in common; all conditions hold together.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Filter {
    /// Events of this route.
    #[arg(long, value_name = "NAME")]
    pub(super) route: Option<String>,
    /// Events with a job of this rule.
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Events with a job through this connector.
    #[arg(long, value_name = "NAME")]
    connector: Option<String>,
    /// Events with a job in this state.
    #[arg(long, value_name = "STATE", value_parser = states())]
    pub(super) state: Option<JobState>,
    /// Events with a job in the dead letters: `--state dead`.
    #[arg(long, conflicts_with = "state")]
    dead: bool,
    /// Events of this type, or of a family that ends with `.*`.
    #[arg(long = "type", value_name = "TYPE", value_parser = kind)]
    kind: Option<String>,
    /// Received at this time or later: RFC 3339, or an age such as `2h` or `7d`.
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: Option<When>,
    /// Received before this time, or longer ago than this age.
    #[arg(long, value_name = "TIME", value_parser = when)]
    until: Option<When>,
}

fn states() -> impl TypedValueParser<Value = JobState> {
    PossibleValuesParser::new(JobState::ALL.map(JobState::name)).map(|name| {
        JobState::ALL.into_iter().find(|state| state.name() == name).expect("only names of states are possible")
    })
}

/// A type of event, or a family of types.
fn kind(written: &str) -> Result<String, String> {
    let name = written.strip_suffix(".*").unwrap_or(written);
    if name.is_empty() || name.contains('*') {
        return Err(format!(
            "`{written}` is neither a type nor a family that ends with `.*`, such as `user.session.*`"
        ));
    }
    Ok(written.to_owned())
}

/// An event: our number, or the provider's id.
pub(super) fn event(written: &str) -> EventRef {
    match written.parse() {
        Ok(number) if written.bytes().all(|byte| byte.is_ascii_digit()) => EventRef::Id(number),
        _ => EventRef::Key(written.to_owned()),
    }
}

impl Filter {
    pub(super) fn is_empty(&self) -> bool {
        !self.dead && self.query(0).is_open()
    }

    /// In the words of the store. Ages end `now`.
    pub(super) fn query(&self, now: Millis) -> Query {
        Query {
            route: self.route.clone(),
            rule: self.rule.clone(),
            connector: self.connector.clone(),
            state: if self.dead { Some(JobState::Dead) } else { self.state },
            kind: self.kind.clone(),
            since: self.since.map(|time| time.millis(now)),
            until: self.until.map(|time| time.millis(now)),
            after: None,
            limit: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        filter: Filter,
    }

    fn filter(args: &[&str]) -> Result<Filter, clap::Error> {
        <Line as clap::Parser>::try_parse_from([&["x"], args].concat()).map(|line| line.filter)
    }

    #[test]
    fn times_are_dates_or_ages() {
        let day = 86_400_000;
        let query = filter(&["--since", "7d", "--until", "1970-01-03T00:00:00Z"]).unwrap().query(10 * day);
        assert_eq!((query.since, query.until), (Some(3 * day), Some(2 * day)));
        for wrong in ["yesterday", "7", "2026-03", ""] {
            assert!(filter(&["--since", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn types_are_exact_or_families() {
        for good in ["user.session.start", "user.*", "user.session.*"] {
            assert_eq!(filter(&["--type", good]).unwrap().query(0).kind.as_deref(), Some(good));
        }
        for wrong in ["*", ".*", "user.*.start", "user*", ""] {
            assert!(filter(&["--type", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn dead_is_short_for_a_state() {
        assert_eq!(filter(&["--dead"]).unwrap().query(0).state, Some(JobState::Dead));
        assert!(filter(&["--dead", "--state", "done"]).is_err());
        assert!(filter(&["--state", "asleep"]).unwrap_err().to_string().contains("suppressed"), "states are listed");
        assert!(filter(&[]).unwrap().is_empty() && !filter(&["--dead"]).unwrap().is_empty());
    }

    #[test]
    fn digits_are_our_number_and_all_else_is_an_id() {
        assert_eq!(event("42"), EventRef::Id(42));
        for id in ["+42", "-1", "0b7e4c1a-15f3-11f1-9c1d-5f1a4c7d2e10", "99999999999999999999"] {
            assert_eq!(event(id), EventRef::Key(id.into()));
        }
    }

    #[test]
    fn what_was_looked_for_can_be_said() {
        let args =
            ["--route", "events", "--rule", "watch", "--type", "user.*", "--dead", "--since", "1970-01-01T00:00:01Z"];
        let words = "of type `user.*`, of route `events`, with a job of rule `watch`, with a job that is dead, \
                     received since 1970-01-01T00:00:01Z";
        assert_eq!(filter(&args).unwrap().query(0).words(), words);
    }
}
