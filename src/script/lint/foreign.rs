//! What other languages call the functions that scripts have.

/// What people type who come from JavaScript, Python or Go.
pub(crate) const FOREIGN_WORDS: [(&str, &str); 24] = [
    ("toLowerCase", "to_lower"),
    ("lower", "to_lower"),
    ("lowercase", "to_lower"),
    ("toUpperCase", "to_upper"),
    ("upper", "to_upper"),
    ("uppercase", "to_upper"),
    ("startsWith", "starts_with"),
    ("startswith", "starts_with"),
    ("endsWith", "ends_with"),
    ("endswith", "ends_with"),
    ("includes", "contains"),
    ("has", "contains"),
    ("length", "len"),
    ("size", "len"),
    ("count", "len"),
    ("strip", "trim"),
    ("substr", "sub_string"),
    ("substring", "sub_string"),
    ("indexOf", "index_of"),
    ("toString", "to_string"),
    ("str", "to_string"),
    ("parseInt", "parse_int"),
    ("println", "log"),
    ("isEmpty", "is_empty"),
];
