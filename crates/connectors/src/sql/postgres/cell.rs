//! Values of PostgreSQL: as JSON when they come, as text when they go.

use std::error::Error;

use bytes::BytesMut;
use jiff::civil::{Date, DateTime, Time, date};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use crate::sql::reading;
use crate::sql::reading::bad_cell;
use hookgate_model::question::Trouble;
use hookgate_model::question::digits;

type Problem = Box<dyn Error + Sync + Send>;

/// A value that came.
pub(super) struct Cell(pub(super) Value);

/// A value that goes: the server reads it as whatever the statement wants there.
#[derive(Debug)]
pub(super) struct Parameter(Option<String>);

impl Parameter {
    pub(super) fn of(value: &Value) -> Self {
        Self(match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            // Lists and maps were refused before.
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        })
    }
}

impl ToSql for Parameter {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Problem> {
        let Some(text) = &self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// Whether columns of this type can be answered.
///
/// # Errors
/// They cannot; what to do instead.
pub(super) fn check(column: &str, kind: &Type) -> Result<(), Trouble> {
    match *kind {
        _ if is_known(kind) => Ok(()),
        Type::BYTEA => Err(bad_cell(column, reading::BINARY)),
        _ => Err(bad_cell(
            column,
            &format!("is of type `{}`: turn it into text in the statement, as with {column}::text", kind.name()),
        )),
    }
}

/// What is said of a value that cannot be answered. The values of an error never hold data.
pub(super) fn unreadable(column: &str, why: Option<&(dyn Error + 'static)>) -> Trouble {
    match why.and_then(|why| why.downcast_ref::<Unfit>()) {
        Some(Unfit(why)) => bad_cell(column, why),
        None => bad_cell(column, "holds a value that cannot be read"),
    }
}

/// Why a value has no form in JSON.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unfit(&'static str);

fn is_known(kind: &Type) -> bool {
    match kind.kind() {
        Kind::Enum(_) => true,
        Kind::Domain(inner) | Kind::Array(inner) => is_known(inner),
        _ => {
            matches!(
                *kind,
                Type::BOOL
                    | Type::INT2
                    | Type::INT4
                    | Type::INT8
                    | Type::OID
                    | Type::FLOAT4
                    | Type::FLOAT8
                    | Type::NUMERIC
                    | Type::TEXT
                    | Type::VARCHAR
                    | Type::BPCHAR
                    | Type::NAME
                    | Type::UNKNOWN
                    | Type::DATE
                    | Type::TIME
                    | Type::TIMESTAMP
                    | Type::TIMESTAMPTZ
                    | Type::UUID
                    | Type::JSON
                    | Type::JSONB
            ) || kind.name() == "citext"
        }
    }
}

impl<'a> FromSql<'a> for Cell {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Problem> {
        match kind.kind() {
            Kind::Domain(inner) => return Self::from_sql(inner, raw),
            Kind::Array(_) => {
                let cells = Vec::<Self>::from_sql(kind, raw)?;
                return Ok(Self(cells.into_iter().map(|cell| cell.0).collect()));
            }
            _ => {}
        }
        Ok(Self(match *kind {
            Type::BOOL => bool::from_sql(kind, raw)?.into(),
            Type::INT2 => i16::from_sql(kind, raw)?.into(),
            Type::INT4 => i32::from_sql(kind, raw)?.into(),
            Type::INT8 => i64::from_sql(kind, raw)?.into(),
            Type::OID => u32::from_sql(kind, raw)?.into(),
            // `0.1` as it was written, not `0.10000000149011612`.
            Type::FLOAT4 => float(f32::from_sql(kind, raw)?.to_string().parse()?)?,
            Type::FLOAT8 => float(f64::from_sql(kind, raw)?)?,
            Type::NUMERIC => numeric(raw)?.into(),
            Type::DATE => day(number(raw).map(i32::from_be_bytes)?)?.into(),
            Type::TIME => time(number(raw).map(i64::from_be_bytes)?)?.into(),
            Type::TIMESTAMP => moment(number(raw).map(i64::from_be_bytes)?, |time| Ok(time.to_string()))?.into(),
            Type::TIMESTAMPTZ => moment(number(raw).map(i64::from_be_bytes)?, in_utc)?.into(),
            Type::UUID => Uuid::from_slice(raw)?.to_string().into(),
            Type::JSON => json(raw)?,
            // Its first byte is a version.
            Type::JSONB => json(raw.strip_prefix(&[1]).ok_or(Unfit("holds JSON that cannot be read"))?)?,
            _ => std::str::from_utf8(raw).map_err(|_| Unfit(reading::NO_UTF8))?.into(),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Problem> {
        Ok(Self(Value::Null))
    }

    fn accepts(kind: &Type) -> bool {
        is_known(kind)
    }
}

fn number<const N: usize>(raw: &[u8]) -> Result<[u8; N], Problem> {
    Ok(raw.try_into()?)
}

fn float(number: f64) -> Result<Value, Problem> {
    let number = serde_json::Number::from_f64(number);
    Ok(number.map(Value::Number).ok_or(Unfit("holds a number that is infinite or none (NaN)"))?)
}

fn json(raw: &[u8]) -> Result<Value, Problem> {
    Ok(digits::read(raw).map_err(|_| Unfit("holds JSON that cannot be read"))?)
}

const BEYOND: Unfit = Unfit("holds a time beyond the year 9999");

/// Where PostgreSQL counts from.
fn origin() -> Date {
    date(2000, 1, 1)
}

fn day(days: i32) -> Result<String, Problem> {
    if let Some(word) = endless(days == i32::MAX, days == i32::MIN) {
        return Ok(word);
    }
    let day = origin().checked_add(SignedDuration::from_hours(i64::from(days) * 24)).map_err(|_| BEYOND)?;
    Ok(day.to_string())
}

fn time(micros: i64) -> Result<String, Problem> {
    // The end of a day is a time, too.
    if micros == 86_400_000_000 {
        return Ok("24:00:00".to_owned());
    }
    let time = Time::midnight().checked_add(SignedDuration::from_micros(micros)).map_err(|_| BEYOND)?;
    Ok(time.to_string())
}

fn moment(micros: i64, written: impl Fn(DateTime) -> Result<String, Problem>) -> Result<String, Problem> {
    if let Some(word) = endless(micros == i64::MAX, micros == i64::MIN) {
        return Ok(word);
    }
    let start = origin().to_datetime(Time::midnight());
    written(start.checked_add(SignedDuration::from_micros(micros)).map_err(|_| BEYOND)?)
}

fn in_utc(time: DateTime) -> Result<String, Problem> {
    let time: Timestamp = jiff::tz::TimeZone::UTC.to_timestamp(time).map_err(|_| BEYOND)?;
    Ok(time.to_string())
}

fn endless(after: bool, before: bool) -> Option<String> {
    let word = if after { "infinity" } else { "-infinity" };
    (after || before).then(|| word.to_owned())
}

/// A decimal with all its digits: groups of four, of which the first stands `weight` groups before the point.
fn numeric(raw: &[u8]) -> Result<String, Problem> {
    let words: Vec<i16> = raw.chunks_exact(2).map(|two| i16::from_be_bytes([two[0], two[1]])).collect();
    let [_, weight, sign, scale, groups @ ..] = words.as_slice() else {
        return Err(Box::new(Unfit("holds a broken number")));
    };
    let sign = match *sign {
        0 => "",
        0x4000 => "-",
        _ => return Err(Box::new(Unfit("holds a number that is infinite or none (NaN)"))),
    };
    let group = |place: i32| {
        let index = usize::try_from(i32::from(*weight) - place).ok();
        index.and_then(|index| groups.get(index)).copied().unwrap_or(0)
    };
    let whole: String = (0..=i32::from(*weight).max(0)).rev().map(|place| format!("{:04}", group(place))).collect();
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let scale = usize::try_from(*scale).unwrap_or(0);
    if scale == 0 {
        return Ok(format!("{sign}{whole}"));
    }
    let places = i32::try_from(scale.div_ceil(4)).unwrap_or(0);
    let part: String = (1..=places).map(|place| format!("{:04}", group(-place))).collect();
    Ok(format!("{sign}{whole}.{}", part.get(..scale).unwrap_or(&part)))
}
