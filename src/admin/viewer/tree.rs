//! JSON as a tree that folds, without a script: `details` within `details`.

use maud::{Markup, html};
use serde_json::Value;

use crate::admin::viewer::parts;

/// Members and items that a tree shows.
const MAX_NODES: usize = 4_000;

/// Deeper values are shown as text: nobody unfolds that far, and a hostile body must not make a page that deep.
const MAX_DEPTH: usize = 32;

/// A tree is unfolded to this depth at first.
const OPEN_DEPTH: usize = 4;

/// A value as a tree; members for whose JSON Pointer `is_marked` holds are highlighted.
pub(super) fn tree(value: &Value, is_marked: &dyn Fn(&str) -> bool) -> Markup {
    let mut tree = Tree { left: MAX_NODES, is_marked, pointer: String::new() };
    let body = tree.node(None, value, 0);
    html! {
        div.json { (body) }
        @if tree.left == 0 { p.dim { "The rest is left out: a page shows " (parts::number(MAX_NODES as u64)) " values." } }
    }
}

struct Tree<'a> {
    left: usize,
    is_marked: &'a dyn Fn(&str) -> bool,
    pointer: String,
}

impl Tree<'_> {
    fn node(&mut self, name: Option<&str>, value: &Value, depth: usize) -> Markup {
        if self.left == 0 {
            return html! {};
        }
        self.left -= 1;
        let class = if !self.pointer.is_empty() && (self.is_marked)(&self.pointer) { "node read" } else { "node" };
        let key = html! { @if let Some(name) = name { span.key { (parts::text(&parts::text_only(name))) } " " } };
        let (open, count, close) = match value {
            Value::Object(members) if !members.is_empty() => ("{", members.len(), "}"),
            Value::Array(items) if !items.is_empty() => ("[", items.len(), "]"),
            plain => return html! { div class=(class) { (key) (leaf(plain)) } },
        };
        if depth >= MAX_DEPTH {
            return html! { div class=(class) { (key) (parts::long(&shallow(value))) } };
        }
        let inner = self.inner(value, depth);
        html! {
            details class=(class) open[depth < OPEN_DEPTH && count <= 60] {
                summary { (key) span.dim { (open) " " (count) " " (close) } }
                div { (inner) }
            }
        }
    }

    fn inner(&mut self, value: &Value, depth: usize) -> Markup {
        let mut nodes = Vec::new();
        let length = self.pointer.len();
        let mut each = |tree: &mut Self, name: &str, value: &Value| {
            tree.pointer.push('/');
            tree.pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
            nodes.push(tree.node(Some(name), value, depth + 1));
            tree.pointer.truncate(length);
        };
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| each(self, name, value)),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate().take(MAX_NODES) {
                    each(self, &index.to_string(), item);
                }
            }
            _ => {}
        }
        html! { @for node in nodes { (node) } }
    }
}

/// What is too deep, without going deeper: writing it as JSON would recurse as far as it goes.
fn shallow(value: &Value) -> String {
    match value {
        Value::Object(members) => format!("{{ {} more below }}", members.len()),
        Value::Array(items) => format!("[ {} more below ]", items.len()),
        plain => plain.to_string(),
    }
}

fn leaf(value: &Value) -> Markup {
    match value {
        Value::String(text) => html! { span.string { (parts::long(text)) } },
        Value::Null => html! { span.null { "null" } },
        Value::Object(_) => html! { span.null { "{ }" } },
        Value::Array(_) => html! { span.null { "[ ]" } },
        plain => html! { span.plain { (plain.to_string()) } },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(value: &Value, marked: &str) -> String {
        tree(value, &|pointer| pointer == marked).into_string()
    }

    #[test]
    fn members_are_named_marked_and_escaped() {
        let value = json!({"data": {"a/b": "<script>", "list": [1, null, {}]}});
        let page = page(&value, "/data/a~1b");
        assert!(page.contains(r#"<div class="node read"><span class="key"><bdi>a/b</bdi></span>"#), "{page}");
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
        assert_eq!(page.matches("node read").count(), 1);
    }

    #[test]
    fn deep_and_wide_values_stay_small_pages() {
        let mut deep = json!(1);
        for _ in 0..1_000 {
            deep = Value::Array(vec![deep]);
        }
        assert!(page(&deep, "").len() < 10_000);
        let wide = Value::Array((0..50_000).map(Value::from).collect());
        let page = page(&wide, "");
        assert!(page.contains("The rest is left out") && page.len() < 600_000, "{}", page.len());
    }
}
