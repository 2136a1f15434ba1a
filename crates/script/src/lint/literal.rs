//! Values that are written out in the text: literals, and the file's own constants that hold one.

use rhai::{Array, Dynamic, Expr, Map};

use crate::lint::walk::Walker;

impl Walker<'_, '_> {
    /// The value of an expression, if the text alone tells it.
    pub(crate) fn literal(&self, expression: &Expr) -> Option<Dynamic> {
        match expression {
            Expr::Variable(variable, ..) if variable.2.is_empty() || variable.2.root() == "global" => {
                let hidden = self.scope.iter().any(|local| local.name == variable.1.as_str());
                if hidden { None } else { self.top.values.get(variable.1.as_str()).cloned() }
            }
            Expr::Array(items, _) => {
                let items = items.iter().map(|item| self.literal(item)).collect::<Option<Array>>()?;
                Some(items.into())
            }
            Expr::Map(map, _) => {
                let members = map.0.iter().map(|(key, value)| Some((key.name.as_str().into(), self.literal(value)?)));
                Some(Dynamic::from_map(members.collect::<Option<Map>>()?))
            }
            scalar => written(scalar),
        }
    }
}

/// A single value as it is written, constants left out.
pub(crate) fn written(expression: &Expr) -> Option<Dynamic> {
    match expression {
        Expr::StringConstant(text, _) => Some(text.clone().into()),
        Expr::IntegerConstant(number, _) => Some((*number).into()),
        Expr::FloatConstant(number, _) => Some(Dynamic::from_float(**number)),
        Expr::BoolConstant(truth, _) => Some((*truth).into()),
        Expr::Unit(_) => Some(Dynamic::UNIT),
        _ => None,
    }
}
