//! Values of a declaration as they are written out, each with its place.

use rhai::{Array, Dynamic, Expr, FnCallExpr, Map, Position};

use crate::lint::literal::written;

/// A value and where it stands.
pub(super) struct Literal {
    pub(super) place: Position,
    pub(super) value: Value,
}

pub(super) enum Value {
    Map(Vec<(String, Position, Literal)>),
    List(Vec<Literal>),
    Plain(Dynamic),
    /// Something that has to be run.
    Computed,
}

impl Literal {
    pub(super) fn of(expression: &Expr) -> Self {
        let value = match expression {
            Expr::Array(items, _) => Value::List(items.iter().map(Self::of).collect()),
            Expr::Map(map, _) => {
                let member = |(key, value): &(rhai::Ident, Expr)| (key.name.to_string(), key.pos, Self::of(value));
                Value::Map(map.0.iter().map(member).collect())
            }
            Expr::FnCall(call, _) if call.name == "+" => joined(call),
            plain => written(plain).map_or(Value::Computed, Value::Plain),
        };
        Self { place: expression.position(), value }
    }

    pub(super) fn text(&self) -> Option<String> {
        match &self.value {
            Value::Plain(value) => value.clone().into_string().ok(),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match &self.value {
            Value::Plain(value) => value.as_float().ok().or_else(|| value.as_int().ok().map(|whole| whole as f64)),
            _ => None,
        }
    }

    pub(super) fn truth(&self) -> Option<bool> {
        match &self.value {
            Value::Plain(value) => value.as_bool().ok(),
            _ => None,
        }
    }

    pub(super) fn texts(&self) -> Option<Vec<String>> {
        match &self.value {
            Value::List(items) => items.iter().map(Self::text).collect(),
            _ => None,
        }
    }

    /// The value as a script would have it; nothing where a part of it would have to be run.
    pub(super) fn dynamic(&self) -> Option<Dynamic> {
        match &self.value {
            Value::Plain(value) => Some(value.clone()),
            Value::List(items) => Some(items.iter().map(Self::dynamic).collect::<Option<Array>>()?.into()),
            Value::Map(members) => {
                let members = members.iter().map(|(name, _, value)| Some((name.as_str().into(), value.dynamic()?)));
                Some(Dynamic::from_map(members.collect::<Option<Map>>()?))
            }
            Value::Computed => None,
        }
    }
}

/// Two texts with `+` between them: one that is too long for a line.
fn joined(call: &FnCallExpr) -> Value {
    let texts: Option<Vec<String>> = call.args.iter().map(|part| Literal::of(part).text()).collect();
    texts.map_or(Value::Computed, |texts| Value::Plain(texts.concat().into()))
}
