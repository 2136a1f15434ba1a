//! Variables, properties and assignments, with the type of each expression as far as reading tells it.

use rhai::{ASTFlags, Expr, ImmutableString, Position};

use crate::diagnose::{PARAMS_READ_ONLY, READ_ONLY};
use crate::lint::did_you_mean;
use crate::lint::known::listed;
use crate::lint::walk::{Role, Walker};
use crate::shape::Shape;

/// One piece of `request.user["x"].name`.
pub(crate) struct Link<'e> {
    pub(crate) expression: &'e Expr,
    pub(crate) index: bool,
}

/// The pieces of a chain, the root first.
pub(crate) fn links(expression: &Expr) -> Vec<Link<'_>> {
    let mut links = Vec::new();
    collect(expression, &mut links);
    links
}

fn collect<'e>(expression: &'e Expr, links: &mut Vec<Link<'e>>) {
    let (mut current, mut index, mut ended) = (expression, false, false);
    loop {
        match current {
            Expr::Dot(parts, flags, _) | Expr::Index(parts, flags, _) if !ended => {
                match (&parts.lhs, links.is_empty()) {
                    (lhs @ (Expr::Dot(..) | Expr::Index(..)), true) => collect(lhs, links),
                    (lhs, _) => links.push(Link { expression: lhs, index }),
                }
                index = matches!(current, Expr::Index(..));
                // What follows the flag is a whole expression of its own: `list[a.b]`.
                ended = index && flags.contains(ASTFlags::BREAK);
                current = &parts.rhs;
            }
            last => return links.push(Link { expression: last, index }),
        }
    }
}

/// Methods of arrays and maps that change them.
const MUTATORS: [&str; 14] = [
    "push", "append", "insert", "pop", "shift", "remove", "clear", "set", "truncate", "retain", "drain", "splice",
    "sort", "reverse",
];

impl<'a> Walker<'a, '_> {
    pub(crate) fn expression(&mut self, expression: &Expr) -> Shape<'a> {
        match expression {
            Expr::StringConstant(text, position) => {
                self.interpolation(text, *position);
                Shape::Text
            }
            Expr::InterpolatedString(parts, _) => {
                for part in parts.iter().filter(|part| !matches!(part, Expr::StringConstant(..))) {
                    self.expression(part);
                }
                Shape::Text
            }
            Expr::IntegerConstant(..) => Shape::Integer,
            Expr::FloatConstant(..) => Shape::Float,
            Expr::BoolConstant(..) => Shape::Bool,
            Expr::Unit(_) => Shape::Nothing,
            Expr::Array(items, _) => {
                self.all(items.iter());
                Shape::Array("")
            }
            Expr::Map(map, _) => {
                self.all(map.0.iter().map(|(_, value)| value));
                Shape::Map
            }
            Expr::Variable(variable, _, position) if variable.2.is_empty() => self.variable(&variable.1, *position),
            Expr::Variable(variable, _, position) => self.qualified_variable(&variable.2, &variable.1, *position),
            Expr::DynamicConstant(value, _) => {
                if let Some(pointer) = value.clone().try_cast::<rhai::FnPtr>() {
                    self.references.insert(pointer.fn_name().to_owned());
                }
                Shape::Unknown
            }
            Expr::FnCall(call, position) => self.call(call, *position, None),
            Expr::Dot(..) | Expr::Index(..) => self.chain(&links(expression)).1,
            Expr::And(parts, _) | Expr::Or(parts, _) => {
                parts.iter().for_each(|part| self.tested(part));
                Shape::Bool
            }
            Expr::Coalesce(parts, _) => {
                self.all(parts.iter());
                Shape::Unknown
            }
            Expr::Stmt(block) => {
                let answers = std::mem::replace(&mut self.answers, false);
                self.block(block.statements(), true);
                self.answers = answers;
                Shape::Unknown
            }
            _ => Shape::Unknown,
        }
    }

    pub(crate) fn all<'e>(&mut self, expressions: impl Iterator<Item = &'e Expr>) {
        for expression in expressions {
            self.expression(expression);
        }
    }

    fn interpolation(&mut self, text: &str, position: Position) {
        if let Some((_, rest)) = text.split_once("${")
            && rest.contains('}')
        {
            let root = rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next();
            self.scope
                .iter_mut()
                .filter(|variable| Some(variable.name.as_str()) == root)
                .for_each(|variable| variable.used = true);
            let message = "`${…}` is plain text between double quotes".to_owned();
            self.report.warning("script/interpolation", position, message, "use backticks: `text ${value}`".to_owned());
        }
        self.braces_without_dollar(text, position);
    }

    fn variable(&mut self, name: &ImmutableString, position: Position) -> Shape<'a> {
        if let Some(variable) = self.scope.iter_mut().rev().find(|variable| variable.name == name.as_str()) {
            variable.used = true;
            return variable.shape;
        }
        if let Some(constant) = self.top.constants.get_mut(name.as_str()) {
            constant.used = true;
            return constant.shape;
        }
        if let Some(shape) = self.input.known.constant(name) {
            return shape;
        }
        if self.functions.iter().any(|function| function.name == name.as_str()) {
            self.references.insert(name.to_string());
            return Shape::Unknown;
        }
        self.unknown_variable(name, position);
        Shape::Unknown
    }

    fn qualified_variable(&mut self, namespace: &rhai::Namespace, name: &str, position: Position) -> Shape<'a> {
        let root = namespace.root();
        if root == "global" {
            match self.top.constants.get_mut(name) {
                Some(constant) => {
                    constant.used = true;
                    return constant.shape;
                }
                None => self.unknown_variable(name, position),
            }
        } else if self.module(root, namespace.position())
            && let Some(module) = self.input.imports.get(root)
            && !module.constants.contains(name)
        {
            let message = format!("`{}` has no constant `{name}`", module.file);
            let near = self.report.nearest(name, module.constants.iter().map(String::as_str));
            self.report.error("script/unknown-variable", position, message, did_you_mean(near));
        }
        Shape::Unknown
    }

    /// Whether `alias` names an import; complains if not.
    pub(crate) fn module(&mut self, alias: &str, position: Position) -> bool {
        if let Some((_, used)) = self.top.imports.get_mut(alias) {
            *used = true;
            return true;
        }
        let near = self.report.nearest(alias, self.top.imports.keys().map(String::as_str));
        let help =
            did_you_mean(near).or_else(|| Some(format!("write `import \"lib/{alias}\" as {alias};` at the top")));
        self.report.error("script/unknown-module", position, format!("nothing is imported as `{alias}`"), help);
        false
    }

    /// Walks a chain and gives what its last piece belongs to, the type of the whole, and whether it goes through a
    /// value of the host.
    pub(crate) fn chain(&mut self, links: &[Link]) -> (Shape<'a>, Shape<'a>, bool) {
        let mut shape = links.first().map_or(Shape::Unknown, |root| self.expression(root.expression));
        if self.is_lost(links) {
            links.iter().skip(1).for_each(|link| self.arguments_of(link.expression));
            return (Shape::Unknown, Shape::Unknown, false);
        }
        let (mut owner, mut through) = (shape, self.is_host_value(shape));
        let mut path = root_name(links);
        for (index, link) in links.iter().enumerate().skip(1) {
            let parent = std::mem::replace(&mut owner, shape);
            shape = match link.expression {
                key if link.index => self.index(shape, key),
                Expr::Property(property, position) => self.property(shape, &property.2, *position, &mut path),
                Expr::MethodCall(call, position) => {
                    // A method of that name on a value of ours, such as `kv.set`, does what its page says.
                    let changes = MUTATORS.contains(&call.name.as_str()) && !self.is_host_value(shape);
                    if let (1, true, Some(root)) =
                        (index, changes, root_name(links).filter(|root| self.is_constant(root)))
                    {
                        self.constant_assigned(&root, links[0].expression.position());
                    }
                    if through && index > 1 && MUTATORS.contains(&call.name.as_str()) && !self.is_host_value(shape) {
                        self.read_only(&path, *position);
                    }
                    path = None;
                    through = false;
                    if shape == Shape::Value("Action") {
                        self.action_method(call, *position);
                    } else if index == 1 {
                        self.command(call, Some(links[0].expression), *position);
                    }
                    self.address_as_text(call, &links[..index], parent, shape, *position);
                    self.call(call, *position, Some(shape))
                }
                other => self.expression(other),
            };
            through |= self.is_host_value(shape);
        }
        (owner, shape, through)
    }

    fn is_host_value(&self, shape: Shape) -> bool {
        matches!(shape, Shape::Value(name) if self.input.known.describes(name))
    }

    fn index(&mut self, of: Shape<'a>, key: &Expr) -> Shape<'a> {
        self.expression(key);
        match of {
            Shape::Array(items) => Shape::parse(items),
            _ => Shape::Unknown,
        }
    }

    fn property(&mut self, of: Shape<'a>, name: &str, position: Position, path: &mut Option<String>) -> Shape<'a> {
        let known = self.input.known;
        let owner = path.clone();
        if let Some(path) = path {
            path.push('.');
            path.push_str(name);
        }
        match of {
            Shape::Value(receiver) => {
                let rows = known.properties_of(receiver);
                if let Some(shape) = known.property(receiver, name) {
                    return shape;
                }
                if !rows.is_empty() {
                    self.unknown_property(receiver, name, position, owner);
                }
            }
            // `profile` of anything is a map, whose names are the provider's.
            Shape::Unknown if known.is_always_a_map(name) => return Shape::Map,
            Shape::Unknown => self.suspicious_property(name, position),
            Shape::Map | Shape::Nothing => {}
            plain if !known.standard().has_property(name) => {
                let word = plain.word();
                let message = format!("{} {word} has no property `{name}`", article(word));
                let help = self.method_instead(name);
                self.report.error("script/unknown-property", position, message, help);
            }
            _ => {}
        }
        Shape::Unknown
    }

    fn unknown_property(&mut self, receiver: &'a str, name: &str, position: Position, owner: Option<String>) {
        let known = self.input.known;
        let names = || known.properties_of(receiver).iter().map(|row| row.name());
        let owner = owner.unwrap_or_else(|| receiver.to_owned());
        // `userProfile` is how a provider calls what is `profile` here.
        let tail = names()
            .filter(|known| known.len() > 2 && name.to_lowercase().ends_with(known))
            .max_by_key(|known| known.len());
        let help = match tail.or_else(|| self.report.nearest(name, names())) {
            _ if known.methods_of(receiver).contains(name) => {
                format!("it is a method: write `{owner}.{name}(…)`")
            }
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has {}", listed(names())),
        };
        self.report.error("script/unknown-property", position, format!("`{owner}` has no property `{name}`"), help);
    }

    /// On a value of unknown type only a name that nothing has and that is nearly a known one is worth a word.
    fn suspicious_property(&mut self, name: &str, position: Position) {
        let known = self.input.known;
        let taken = known.property_names().any(|known| known == name) || known.standard().has_property(name);
        if taken || self.map_keys.contains(name) {
            return;
        }
        let near = self.report.nearest(name, known.property_names()).filter(|near| {
            let plural = name.trim_end_matches('s') == near.trim_end_matches('s');
            // `debugContext` is how a provider calls in its JSON what is `debug_context` here.
            let raw = near.contains('_')
                && near.replace('_', "").eq_ignore_ascii_case(name)
                && name.contains(char::is_uppercase);
            !plural && !raw && strsim::damerau_levenshtein(name, near) <= 2 && name.len().abs_diff(near.len()) <= 1
        });
        if let Some(near) = near {
            let message = format!("nothing that is known here has a property `{name}`");
            self.report.warning("script/suspicious-property", position, message, did_you_mean(Some(near)));
        }
    }

    fn method_instead(&self, name: &str) -> Option<String> {
        let known = self.input.known;
        let ours = known.translated(name).unwrap_or(name);
        let method = known.standard().has_method(ours) || !known.forms(ours).is_empty();
        method.then(|| format!("it is a method: write `.{ours}{}`", known.standard().brackets(ours)))
    }

    pub(crate) fn assignment(&mut self, target: &Expr) {
        match target {
            Expr::Variable(variable, _, position) if variable.2.is_empty() => {
                self.assign_variable(&variable.1, *position)
            }
            Expr::Dot(..) | Expr::Index(..) => {
                let links = links(target);
                if let [root, .., last] = links.as_slice() {
                    let before = &links[..links.len() - 1];
                    let (_, _, through) = self.chain(before);
                    if last.index {
                        self.expression(last.expression);
                    }
                    let constant = matches!(root.expression, Expr::Variable(name, ..) if self.is_constant(&name.1));
                    if through {
                        let mut path = written(before);
                        if let (Some(path), Expr::Property(property, _)) = (&mut path, last.expression) {
                            path.push('.');
                            path.push_str(&property.2);
                        }
                        self.read_only(&path, last.expression.position());
                    } else if constant {
                        self.constant_assigned(&root_name(&links).unwrap_or_default(), root.expression.position());
                    }
                }
            }
            other => {
                self.expression(other);
            }
        }
    }

    fn read_only(&mut self, path: &Option<String>, position: Position) {
        let what = path.as_ref().map_or("this value".to_owned(), |path| format!("`{path}`"));
        let help = if what.starts_with("`params") { PARAMS_READ_ONLY } else { READ_ONLY };
        self.report.error("script/read-only", position, format!("{what} cannot be changed"), help.to_owned());
    }

    fn is_constant(&self, name: &str) -> bool {
        match self.scope.iter().rev().find(|variable| variable.name == name) {
            Some(variable) => variable.role == Role::Constant,
            None => self.top.constants.contains_key(name) || self.input.known.constant(name).is_some(),
        }
    }

    fn assign_variable(&mut self, name: &str, position: Position) {
        if self.is_constant(name) {
            return self.constant_assigned(name, position);
        }
        if !self.scope.iter().any(|variable| variable.name == name) {
            let near = self.report.nearest(name, self.scope.iter().map(|variable| variable.name.as_str()));
            let help = did_you_mean(near).or_else(|| Some(format!("declare it first: `let {name} = …;`")));
            self.report.error("script/unknown-variable", position, format!("unknown variable `{name}`"), help);
            // One complaint about each is enough, and a thousand of them are.
            if self.scope.len() < MOST_UNKNOWN {
                self.give(name, position, Shape::Unknown);
            }
        }
    }

    fn constant_assigned(&mut self, name: &str, position: Position) {
        let help = "use a variable inside the function: nothing is kept from one call to the next".to_owned();
        self.report.error("script/constant-assigned", position, format!("constant `{name}` cannot be changed"), help);
    }
}

/// Unknown variables that are remembered at once: every name is looked for among them.
const MOST_UNKNOWN: usize = 1_024;

/// `an` before a vowel.
pub(crate) fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) { "an" } else { "a" }
}

pub(crate) fn root_name(links: &[Link]) -> Option<String> {
    match links.first()?.expression {
        Expr::Variable(variable, ..) if variable.2.is_empty() => Some(variable.1.to_string()),
        _ => None,
    }
}

/// `request.user.name` as written, if it is variables and properties only.
pub(crate) fn written(links: &[Link]) -> Option<String> {
    let mut path = root_name(links)?;
    for link in &links[1..] {
        let Expr::Property(property, _) = link.expression else { return None };
        path.push('.');
        path.push_str(&property.2);
    }
    Some(path)
}
