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

/// Functions and methods of other languages that are more than another name here, and what to write.
pub(crate) const FOREIGN_CALLS: [(&str, &str); 21] = [
    ("slice", "of a text write `.sub_string(start, length)`, of an array `.extract(start, length)`"),
    ("fetch", ASK),
    ("axios", ASK),
    ("urlopen", ASK),
    ("typeof", "write `type_of(value)`; whether something is set: `value != ()`"),
    ("isinstance", "write `type_of(value) == \"string\"`"),
    ("hasOwnProperty", "write `\"name\" in map`"),
    ("has_key", "write `\"name\" in map`"),
    ("encodeURIComponent", "write `url_encode(text)`"),
    ("encodeURI", "write `url_encode(text)`"),
    ("atob", "write `base64_decode(text)`"),
    ("btoa", "write `base64(text)`"),
    ("push_back", "write `.push(value)`"),
    ("forEach", "write `for item in list { … }`"),
    ("every", "write `list.all(|item| …)`"),
    ("format", "put values into a text in backticks: `` `hello ${name}` ``"),
    ("sprintf", "put values into a text in backticks: `` `hello ${name}` ``"),
    ("match_all", "write `matches(text, pattern)`, or `capture(text, pattern)` for its parts"),
    ("test", "write `matches(text, pattern)`"),
    ("setTimeout", "what is to be done later is an action with `.after(\"10m\")`"),
    ("sleep", "a script cannot wait; what is to be done later is an action with `.after(\"10m\")`"),
];

const ASK: &str = "outside systems are asked through a connector: `http(\"name\").get(\"/path\")`";

/// Objects and modules of other languages, and what to write.
pub(crate) const FOREIGN_OBJECTS: [(&str, &str); 21] = [
    ("JSON", "write `parse_json(text)` or `to_json(value)`"),
    ("json", "write `parse_json(text)` or `to_json(value)`"),
    ("Date", "write `now()`"),
    ("datetime", "write `now()`"),
    ("moment", "write `now()`"),
    ("Object", "write `map.keys()` or `map.values()`"),
    ("Array", "whether a value is a list: `type_of(value) == \"array\"`"),
    ("Math", "numbers have these functions themselves: `x.abs()`, `x.floor()`"),
    ("String", "write `value.to_string()`"),
    ("Number", "write `parse_int(text)` or `parse_float(text)`"),
    ("RegExp", PATTERN),
    ("re", PATTERN),
    ("console", "write `log(text)`"),
    ("logger", "write `log(text)`"),
    ("logging", "write `log(text)`"),
    ("axios", ASK),
    ("requests", ASK),
    ("process", SURROUNDINGS),
    ("os", SURROUNDINGS),
    ("self", "use the parameter of the function"),
    ("crypto", "write `sha256(text)`, `hmac_sha256(key, text)` or `uuid()`"),
];

pub(crate) const PATTERN: &str = "write `matches(text, pattern)`, or `capture(text, pattern)` for its parts";
const SURROUNDINGS: &str = "what a script knows of its surroundings is in `params`";

/// What to write in place of something of another language.
pub(crate) fn instead_of<'t>(table: &'t [(&str, &str)], name: &str) -> Option<&'t str> {
    table.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours)
}
