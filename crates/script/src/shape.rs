//! Types as signatures write them: `string`, `map or ()`, `array of User`.

/// What is known of a value's type from reading alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape<'a> {
    Unknown,
    Nothing,
    Text,
    Bool,
    Integer,
    Float,
    /// With the written shape of its items, or nothing.
    Array(&'a str),
    Map,
    /// A type of the table.
    Value(&'a str),
}

/// Words for what can be of more than one type.
const ANY: [&str; 3] = ["any", "value", "command"];

impl<'a> Shape<'a> {
    /// One type: `string`, `Email`, `()`, `array of User`. None for what is no type.
    fn one(text: &'a str) -> Option<Self> {
        match text {
            "string" => Some(Self::Text),
            "bool" => Some(Self::Bool),
            "int" => Some(Self::Integer),
            "float" => Some(Self::Float),
            "array" => Some(Self::Array("")),
            "map" => Some(Self::Map),
            "()" => Some(Self::Nothing),
            word if ANY.contains(&word) => Some(Self::Unknown),
            name if is_type_name(name) => Some(Self::Value(name)),
            _ => {
                let items = text.strip_prefix("array of ")?;
                Self::one(items)?;
                Some(Self::Array(items))
            }
        }
    }

    /// The shape of a written type; unknown where it is one of several.
    ///
    /// The `or ()` is dropped: using the value is what the author means; whether it is there shows at run time.
    pub fn parse(text: &'a str) -> Self {
        single(text.split(" or ").map(|part| Self::one(part).unwrap_or(Self::Unknown)))
    }

    /// The word that messages use.
    pub fn word(self) -> &'a str {
        match self {
            Shape::Unknown => "anything",
            Shape::Nothing => "nothing",
            Shape::Text => "string",
            Shape::Bool => "bool",
            Shape::Integer => "integer",
            Shape::Float => "float",
            Shape::Array(_) => "array",
            Shape::Map => "map",
            Shape::Value(name) => name,
        }
    }

    /// Whether both are plain values and `==` can never hold between them.
    pub(crate) fn never_equals(self, other: Self) -> bool {
        let scalar = |shape| matches!(shape, Shape::Bool | Shape::Integer | Shape::Float);
        let plain = |shape| scalar(shape) || matches!(shape, Shape::Text | Shape::Array(_) | Shape::Map);
        let number = |shape| matches!(shape, Shape::Integer | Shape::Float);
        // A value of the table may compare with its text, but none does with a number.
        let value = |shape| matches!(shape, Shape::Value(_));
        let plains = plain(self) && plain(other) && !self.is_like(other) && !(number(self) && number(other));
        plains || (value(self) && scalar(other)) || (scalar(self) && value(other))
    }

    fn is_like(self, other: Shape) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// Whether a value that is surely of the shape `given` can stand where this one is wanted.
    fn accepts(self, given: Shape) -> bool {
        match self {
            Shape::Unknown | Shape::Value(_) => true,
            Shape::Float if given == Shape::Integer => true,
            wanted => given == Shape::Unknown || wanted.is_like(given),
        }
    }
}

fn is_type_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_uppercase()) && text.chars().all(char::is_alphanumeric)
}

/// The only shape besides `()`, if there is one.
fn single<'a>(shapes: impl Iterator<Item = Shape<'a>> + Clone) -> Shape<'a> {
    let mut others = shapes.clone().filter(|shape| *shape != Shape::Nothing);
    match (others.next(), others.next()) {
        (Some(shape), None) => shape,
        (Some(_), Some(_)) => Shape::Unknown,
        (None, _) => Shape::Nothing,
    }
}

/// A type as a signature writes it: one shape, or several with `or` between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenType {
    text: &'static str,
    shapes: Vec<Shape<'static>>,
}

impl WrittenType {
    /// # Errors
    /// A part of it is no type.
    pub(crate) fn parse(text: &'static str) -> Result<Self, String> {
        let one = |part: &'static str| Shape::one(part).ok_or_else(|| format!("`{part}` is no type"));
        Ok(Self { text, shapes: text.split(" or ").map(one).collect::<Result<_, _>>()? })
    }

    pub(crate) fn text(&self) -> &'static str {
        self.text
    }

    /// Each shape that it may have.
    pub(crate) fn shapes(&self) -> &[Shape<'static>] {
        &self.shapes
    }

    /// Its one shape; unknown where there are several. `()` does not count beside another.
    pub fn shape(&self) -> Shape<'static> {
        single(self.shapes.iter().copied())
    }

    /// Whether a value that is surely of this shape can stand for it.
    pub(crate) fn accepts(&self, given: Shape) -> bool {
        self.shapes.iter().any(|shape| shape.accepts(given))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_read_with_everything_it_may_be() {
        let read = |text| WrittenType::parse(text).expect("a type");
        assert_eq!(read("map or ()").shapes(), [Shape::Map, Shape::Nothing]);
        assert_eq!(read("map or ()").shape(), Shape::Map);
        assert_eq!(read("string or Email").shape(), Shape::Unknown);
        assert_eq!(read("array of User").shape(), Shape::Array("User"));
        assert_eq!(read("()").shape(), Shape::Nothing);
        assert!(read("string or array").accepts(Shape::Array("")) && !read("string or array").accepts(Shape::Map));
        assert!(read("float").accepts(Shape::Integer) && !read("int").accepts(Shape::Float));
        for wrong in ["strng", "string or", "array of", "array of nothing", "", "list", "Email?", "[User]"] {
            assert!(WrittenType::parse(wrong).is_err(), "{wrong}");
        }
    }
}
