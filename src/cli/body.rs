//! What a person gives as a call: a file with its body or with the whole HTTP request, and values on the command line.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::Value;

/// The body in `file` (`-` is stdin).
///
/// # Errors
/// It cannot be read.
pub fn read(file: &Path) -> Result<Bytes> {
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).context("stdin cannot be read")?;
        bytes
    } else {
        std::fs::read(file).with_context(|| format!("`{}` cannot be read", file.display()))?
    };
    Ok(captured(&bytes).unwrap_or_else(|| bytes.into()))
}

/// The body of a capture: `{"method": …, "headers": …, "body": …}`, the body as JSON or as text.
fn captured(bytes: &[u8]) -> Option<Bytes> {
    let Ok(Value::Object(mut capture)) = serde_json::from_slice(bytes) else { return None };
    if !capture.contains_key("method") || !capture.contains_key("headers") {
        return None;
    }
    match capture.remove("body")? {
        Value::String(text) => Some(text.into()),
        Value::Null => Some(Bytes::new()),
        body => Some(body.to_string().into()),
    }
}

/// `key=value`: the value is JSON, or else the text itself.
///
/// # Errors
/// There is no `=`, or nothing before it.
pub fn assignment(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or("it must be KEY=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((key.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_capture_only_the_body_is_taken() {
        let capture = |body: &str| captured(format!(r#"{{"method":"POST","headers":{{}},"body":{body}}}"#).as_bytes());
        assert_eq!(capture(r#"{"a": 1}"#).as_deref(), Some(&br#"{"a":1}"#[..]));
        assert_eq!(capture(r#""{\"a\": 1}""#).as_deref(), Some(&br#"{"a": 1}"#[..]));
        assert_eq!(capture("null").as_deref(), Some(&b""[..]));
        assert_eq!(captured(br#"{"eventId":"a","body":{}}"#), None);
        assert_eq!(captured(b"no JSON"), None);
    }

    #[test]
    fn a_value_is_json_or_else_text() {
        assert_eq!(assignment("limit=3"), Ok(("limit".into(), json!(3))));
        assert_eq!(assignment("list=[\"a\"]"), Ok(("list".into(), json!(["a"]))));
        assert_eq!(assignment("name=a=b"), Ok(("name".into(), json!("a=b"))));
        assert!(assignment("=3").is_err());
        assert!(assignment("limit").is_err());
    }
}
