//! What a script declares: functions, constants and imports, also while it does not parse.

use std::ops::Range;

use crate::editor::tokens::{Kind, Token, closer, tokens};

#[derive(Clone, Debug, Default)]
pub(super) struct Outline {
    pub(super) tokens: Vec<Token>,
    pub(super) functions: Vec<Function>,
    pub(super) constants: Vec<Constant>,
    pub(super) imports: Vec<Import>,
}

#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) parameters: Vec<Named>,
    pub(super) private: bool,
    /// Its `///` lines.
    pub(super) about: String,
    pub(super) name_span: Range<usize>,
    /// From its first word to its last brace.
    pub(super) span: Range<usize>,
    /// Token of the `{`.
    pub(super) body: Option<usize>,
}

/// A name and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct Constant {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) name_span: Range<usize>,
    pub(super) span: Range<usize>,
    /// Token of the value's first word.
    pub(super) value: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Import {
    pub(super) path: String,
    pub(super) alias: String,
    pub(super) path_span: Range<usize>,
    pub(super) alias_span: Range<usize>,
}

impl Function {
    /// `helper(user, domain)`
    pub(super) fn signature(&self) -> String {
        let names: Vec<&str> = self.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        format!("{}({})", self.name, names.join(", "))
    }
}

impl Outline {
    pub(super) fn of(source: &str) -> Self {
        let mut outline = Self { tokens: tokens(source), ..Self::default() };
        let mut index = 0;
        while index < outline.tokens.len() {
            index = outline.declaration(source, index).unwrap_or(index + 1).max(index + 1);
        }
        outline
    }

    pub(super) fn function(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.name == name)
    }

    pub(super) fn constant(&self, name: &str) -> Option<&Constant> {
        self.constants.iter().find(|constant| constant.name == name)
    }

    pub(super) fn import(&self, alias: &str) -> Option<&Import> {
        self.imports.iter().find(|import| import.alias == alias)
    }

    /// The function around a byte of the text.
    pub(super) fn around(&self, offset: usize) -> Option<&Function> {
        self.functions.iter().rev().find(|function| function.span.start <= offset && offset <= function.span.end)
    }

    /// The token that holds the byte, or ends there.
    pub(super) fn token_at(&self, offset: usize) -> Option<usize> {
        let next = self.tokens.partition_point(|token| token.span.start <= offset);
        let touching = |index: &usize| self.tokens[*index].span.end >= offset;
        let found = next.checked_sub(1).filter(touching)?;
        // Between a word and a sign, people mean the word.
        let before = found.checked_sub(1).filter(|before| {
            let (token, sign) = (&self.tokens[*before], &self.tokens[found]);
            sign.kind == Kind::Sign && sign.span.start == offset && token.span.end == offset && token.kind == Kind::Word
        });
        Some(before.unwrap_or(found))
    }

    pub(super) fn word<'t>(&self, source: &'t str, index: usize) -> Option<&'t str> {
        self.tokens.get(index).map(|token| token.text(source))
    }

    /// Reads what is declared at a token of the top level; gives the token to go on with.
    fn declaration(&mut self, source: &str, index: usize) -> Option<usize> {
        match self.word(source, index)? {
            "fn" => self.function_at(source, index),
            "const" | "let" => self.constant_at(source, index),
            "import" => self.import_at(source, index),
            "{" | "(" | "[" | "#{" => closer(&self.tokens, source, index),
            _ => None,
        }
    }

    fn named(&self, source: &str, index: usize) -> Option<Named> {
        let token = self.tokens.get(index).filter(|token| token.kind == Kind::Word)?;
        Some(Named { name: token.text(source).to_owned(), span: token.span.clone() })
    }

    fn function_at(&mut self, source: &str, index: usize) -> Option<usize> {
        let name = self.named(source, index + 1)?;
        let private = index > 0 && self.word(source, index - 1) == Some("private");
        let first = if private { index - 1 } else { index };
        let mut function = Function {
            name: name.name,
            parameters: Vec::new(),
            private,
            about: self.about(source, first),
            span: self.tokens[first].span.start..name.span.end,
            name_span: name.span,
            body: None,
        };
        let mut next = index + 2;
        if self.word(source, next) == Some("(") {
            let close = closer(&self.tokens, source, next).filter(|close| {
                // Of brackets that are not closed yet, the next brace is no parameter.
                (next..*close).all(|inner| self.word(source, inner) != Some("{"))
            });
            let end = close.unwrap_or(next);
            function.parameters = (next + 1..end).filter_map(|inner| self.named(source, inner)).collect();
            function.span.end = self.tokens[end].span.end;
            next = end + 1;
        }
        if self.word(source, next) == Some("{") {
            let end = self.end_of_body(source, next);
            function.body = Some(next);
            function.span.end = self.tokens.get(end).map_or(source.len(), |token| token.span.end);
            next = end + 1;
        }
        self.functions.push(function);
        Some(next)
    }

    /// The closing brace; of a body that is not closed, the token before the next function.
    fn end_of_body(&self, source: &str, open: usize) -> usize {
        let next = (open + 1..self.tokens.len()).find(|index| {
            let start = self.tokens[*index].span.start;
            let first_of_line = source[..start].ends_with('\n');
            first_of_line && matches!(self.word(source, *index), Some("fn" | "private" | "const" | "import"))
        });
        let limit = next.unwrap_or(self.tokens.len());
        closer(&self.tokens, source, open).filter(|close| *close < limit).unwrap_or(limit.saturating_sub(1))
    }

    fn constant_at(&mut self, source: &str, index: usize) -> Option<usize> {
        let name = self.named(source, index + 1)?;
        let mut next = index + 2;
        while let Some(word) = self.word(source, next).filter(|word| !matches!(*word, ";" | "fn" | "const" | "import"))
        {
            let inner = matches!(word, "{" | "(" | "[" | "#{").then(|| closer(&self.tokens, source, next)).flatten();
            next = inner.unwrap_or(next) + 1;
        }
        let end = self.tokens[next.min(self.tokens.len()) - 1].span.end;
        self.constants.push(Constant {
            name: name.name,
            about: self.about(source, index),
            name_span: name.span,
            span: self.tokens[index].span.start..end,
            value: index + 3,
        });
        Some(next)
    }

    fn import_at(&mut self, source: &str, index: usize) -> Option<usize> {
        let path = self.tokens.get(index + 1).filter(|token| token.kind == Kind::Text)?.clone();
        let text = path.text(source).trim_matches(['"', '`', '\'']).to_owned();
        let alias = (self.word(source, index + 2) == Some("as")).then(|| self.named(source, index + 3)).flatten();
        let none = || Named { name: String::new(), span: path.span.clone() };
        let alias = alias.unwrap_or_else(none);
        self.imports.push(Import { path: text, alias: alias.name, path_span: path.span, alias_span: alias.span });
        Some(index + 2)
    }

    /// The `///` lines right above a token.
    fn about(&self, source: &str, first: usize) -> String {
        let docs = self.tokens[..first].iter().rev().take_while(|token| token.kind == Kind::Doc);
        let mut lines: Vec<&str> = docs.map(|token| token.text(source)).collect();
        lines.reverse();
        let plain = lines.iter().map(|line| {
            let line = line.trim_start_matches("/**").trim_start_matches("///").trim_end_matches("*/");
            line.strip_prefix(' ').unwrap_or(line).trim_end()
        });
        plain.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "import \"lib/domains\" as domains;\n\n/// Closed\n/// for good.\nconst CLOSED = [\"a\", #{ b: 1 }];\n\n\
        /// Says no.\nfn on_registration(request) {\n    let x = 1;\n    if x == 1 { allow() }\n}\n\nprivate fn inner(a, b) {}\n";

    #[test]
    fn declarations_are_found_with_their_comments() {
        let outline = Outline::of(SCRIPT);
        let names: Vec<String> = outline.functions.iter().map(Function::signature).collect();
        assert_eq!(names, ["on_registration(request)", "inner(a, b)"]);
        assert_eq!(outline.functions[0].about, "Says no.");
        assert!(outline.functions[1].private);
        assert_eq!(outline.constants[0].about, "Closed\nfor good.");
        assert_eq!(&SCRIPT[outline.constants[0].span.clone()], "const CLOSED = [\"a\", #{ b: 1 }]");
        assert_eq!((outline.imports[0].path.as_str(), outline.imports[0].alias.as_str()), ("lib/domains", "domains"));
    }

    #[test]
    fn a_function_that_is_half_written_does_not_swallow_the_next() {
        let outline = Outline::of("fn first(a) {\n    if a. {\n\nfn second(b) { b }\nfn third(");
        let names: Vec<&str> = outline.functions.iter().map(|function| function.name.as_str()).collect();
        assert_eq!(names, ["first", "second", "third"]);
    }

    #[test]
    fn every_beginning_of_a_script_has_an_outline() {
        for end in (0..=SCRIPT.len()).filter(|end| SCRIPT.is_char_boundary(*end)) {
            let outline = Outline::of(&SCRIPT[..end]);
            for offset in 0..=end {
                outline.token_at(offset);
                outline.around(offset);
            }
        }
    }
}
