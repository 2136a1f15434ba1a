//! Calls: does the function exist, with so many arguments, for these arguments?

use rhai::{Expr, FnCallExpr, Position};

use crate::diagnose::foreign_command;
use crate::library::Entry;
use crate::lint::foreign::{FOREIGN_CALLS, instead_of};
use crate::lint::known::listed;
use crate::lint::values::article;
use crate::lint::walk::Walker;
use crate::lint::{arguments, did_you_mean};
use crate::shape::Shape;

/// A call as written: the receiver is not among the arguments.
struct Call<'c, 'a> {
    name: &'c str,
    position: Position,
    receiver: Option<Shape<'a>>,
    given: Vec<Shape<'a>>,
}

impl Call<'_, '_> {
    fn arity(&self) -> usize {
        self.given.len()
    }

    fn is_method(&self) -> bool {
        self.receiver.is_some()
    }
}

impl<'a> Walker<'a, '_> {
    /// Checks a call; `receiver` is the type before the dot. Gives the type of the result.
    pub(crate) fn call(&mut self, call: &FnCallExpr, position: Position, receiver: Option<Shape<'a>>) -> Shape<'a> {
        let given: Vec<Shape> = call.args.iter().map(|argument| self.expression(argument)).collect();
        if call.is_operator_call() {
            self.operator_traps(call, &given, position);
            self.same_on_both_sides(call, position);
            return self.operator(call, &given, position);
        }
        if !call.namespace.is_empty() {
            self.qualified(call, position);
            return Shape::Unknown;
        }
        if call.name == "Fn"
            && let [Expr::StringConstant(name, position)] = call.args.as_slice()
        {
            self.pointer(name, *position);
            return Shape::Unknown;
        }
        if call.name == "eval" {
            let message = "`eval` is not available: what a script does must be readable in its text".to_owned();
            self.report.error("script/eval", position, message, None);
            return Shape::Unknown;
        }
        if let ("contains", Some(Shape::Value(right))) = (call.name.as_str(), given.first())
            && self.report.around(position).word() == "in"
            && !self.input.known.methods_of(right).contains("contains")
        {
            self.looked_into(right, position);
            return Shape::Bool;
        }
        if receiver.is_none() {
            self.swapped(call, position);
            self.address_in_text(call, position);
            self.command(call, None, position);
        }
        self.patterns(call, receiver.is_some());
        self.hashes(call, receiver.is_some());
        self.plain(&Call { name: &call.name, position, receiver, given })
    }

    /// `value in right`, which has nothing that `in` could ask.
    fn looked_into(&mut self, right: &str, position: Position) {
        let has = self.input.known.methods_of(right).contains("has");
        let help = if has { "write `.has(value)`" } else { "put an array, a map, a string or a range on its right" };
        let message = format!("`in` cannot look into {} {right}", article(&right.to_lowercase()));
        self.report.error("script/wrong-argument", position, message, help.to_owned());
    }

    fn plain(&mut self, call: &Call<'_, 'a>) -> Shape<'a> {
        let own = |function: &&crate::lint::source::Function| function.name == call.name;
        if self.functions.iter().filter(own).any(|function| function.parameters.len() == call.arity()) {
            self.references.insert(call.name.to_owned());
            return Shape::Unknown;
        }
        let known = self.input.known;
        let forms: Vec<&'a Entry> =
            known.forms(call.name).iter().copied().filter(|form| matches_receiver(form, call)).collect();
        let fitting: Vec<&Entry> =
            forms.iter().copied().filter(|form| form.signature.fits(call.arity(), call.is_method())).collect();
        if !fitting.is_empty() {
            self.argument_types(call, &fitting);
            let result = fitting[0].signature.result_shape();
            let same = fitting.iter().all(|form| form.signature.result_shape() == result);
            return if same { result } else { Shape::Unknown };
        }
        let all = call.arity() + usize::from(call.is_method());
        if known.standard().takes(call.name, all) {
            if let Some(Shape::Value(receiver)) = call.receiver
                && forms.is_empty()
                && known.describes(receiver)
                && !known.standard().takes_any_value(call.name, all)
            {
                self.unknown_method(call, receiver);
            }
            return standard_result(call.name);
        }
        self.refuse(call, &forms);
        Shape::Unknown
    }

    /// Nothing fits: say why.
    fn refuse(&mut self, call: &Call<'_, 'a>, forms: &[&Entry]) {
        if let Some(hook) = self.input.known.hook_of(call.name) {
            let (message, help) = foreign_command(call.name, hook, self.input.known);
            return self.report.error("script/unknown-function", call.position, message, help);
        }
        let own: Vec<String> = self
            .functions
            .iter()
            .filter(|function| function.name == call.name)
            .map(super::source::Function::signature)
            .collect();
        if !own.is_empty() {
            self.references.insert(call.name.to_owned());
            return self.wrong_arity(call, &own);
        }
        if !forms.is_empty() {
            let signatures: Vec<String> = forms.iter().map(|form| form.signature.call()).collect();
            return self.wrong_arity(call, &signatures);
        }
        if let Some(Shape::Value(receiver)) = call.receiver
            && self.input.known.describes(receiver)
        {
            return self.unknown_method(call, receiver);
        }
        if let Some(arities) = self.input.known.standard().arities(call.name) {
            return self.wrong_standard_arity(call, &arities.iter().copied().collect::<Vec<_>>());
        }
        let message = format!("unknown function `{}`", call.name);
        let help = self.remedy(call);
        if let Some(variable) = self.scope.iter_mut().rev().find(|variable| variable.name == call.name) {
            variable.used = true;
        }
        self.report.error("script/unknown-function", call.position, message, help);
    }

    fn remedy(&self, call: &Call) -> Option<String> {
        let known = self.input.known;
        if matches!(call.name, "env" | "getenv") {
            return Some("what a script knows of its surroundings is in `params`".to_owned());
        }
        if matches!(call.name, "require" | "include") {
            return Some("write `import \"lib/name\" as name;` at the top".to_owned());
        }
        if let Some(ours) = known.translated(call.name) {
            return Some(format!("did you mean `{ours}`?"));
        }
        if let Some(ours) = instead_of(&FOREIGN_CALLS, call.name) {
            return Some(ours.to_owned());
        }
        if !call.is_method() && self.scope.iter().any(|variable| variable.name == call.name) {
            return Some(format!("`{0}` is a variable; if it holds a function, write `{0}.call(…)`", call.name));
        }
        let functions =
            self.functions.iter().filter(|function| !function.is_closure()).map(|function| function.name.as_str());
        did_you_mean(self.report.nearest(call.name, functions.chain(known.callable_names())))
            .or_else(|| Some("`hookgate docs` lists what scripts can call".to_owned()))
    }

    fn wrong_arity(&mut self, call: &Call, signatures: &[String]) {
        let message = format!("`{}` is called with {}", call.name, arguments(call.arity()));
        let help = format!("it is {}", alternatives(signatures));
        self.report.error("script/wrong-arity", call.position, message, help);
    }

    fn wrong_standard_arity(&mut self, call: &Call, arities: &[usize]) {
        let receiver = usize::from(call.is_method());
        let counts: Vec<String> =
            arities.iter().filter_map(|arity| arity.checked_sub(receiver)).map(|count| count.to_string()).collect();
        let message = format!("`{}` is called with {}", call.name, arguments(call.arity()));
        let help = format!("it takes {}{}", counts.join(" or "), if call.is_method() { " here" } else { "" });
        self.report.error("script/wrong-arity", call.position, message, help);
    }

    fn unknown_method(&mut self, call: &Call, receiver: &str) {
        let known = self.input.known;
        let methods = known.methods_of(receiver);
        let properties = || known.properties_of(receiver).iter().map(|row| row.name());
        let near = self.report.nearest(call.name, methods.iter().copied().chain(properties()));
        let help = if properties().any(|name| name == call.name) {
            format!("it is a property: write `.{}` without parentheses", call.name)
        } else if let Some(owner) = known.owner_of_method(call.name).filter(|_| !known.standard().has_method(call.name))
        {
            format!("it is {owner}")
        } else if let Some(near) = near {
            format!("did you mean `{near}`?")
        } else if let Some(text) = properties().find(|name| *name == "text") {
            let ours = known.translated(call.name).unwrap_or(call.name);
            format!(
                "it has {}; for its text write `.{text}.{ours}(…)`",
                listed(methods.iter().copied().chain(properties()))
            )
        } else {
            format!("it has {}", listed(methods.iter().copied().chain(properties())))
        };
        let message = format!("{} {receiver} has no method `{}`", article(&receiver.to_lowercase()), call.name);
        self.report.error("script/unknown-function", call.position, message, help);
    }

    /// Complains about literals that no form of the function takes.
    fn argument_types(&mut self, call: &Call, forms: &[&Entry]) {
        let accepts = |form: &&Entry| {
            let skipped = usize::from(form.receiver().is_none() && call.is_method());
            let extra = usize::from(form.receiver().is_some() && !call.is_method());
            let given = call.given.iter().skip(extra).enumerate();
            given.into_iter().all(|(index, shape)| form.signature.accepts(index + skipped, *shape))
        };
        if forms.iter().any(accepts) {
            return;
        }
        let given: Vec<&str> = call.given.iter().map(|shape| shape.word()).collect();
        let signatures: Vec<String> = forms.iter().map(|form| form.signature.call()).collect();
        let message = format!("`{}` does not take ({})", call.name, given.join(", "));
        let with_text = given.iter().find(|word| self.input.known.property(word, "text").is_some());
        let text = with_text.map_or(String::new(), |word| format!("; the text of the {word} is `.text`"));
        let help = format!("it is {}{text}", alternatives(&signatures));
        self.report.error("script/wrong-argument", call.position, message, help);
    }

    fn qualified(&mut self, call: &FnCallExpr, position: Position) {
        let root = call.namespace.root();
        if root == "global" || !self.module(root, call.namespace.position()) {
            return;
        }
        let Some(module) = self.input.imports.get(root) else { return };
        match module.functions.get(call.name.as_str()) {
            Some(arities) if arities.contains(&call.args.len()) => {}
            Some(arities) => {
                let counts: Vec<String> = arities.iter().map(ToString::to_string).collect();
                let message = format!("`{root}::{}` is called with {}", call.name, arguments(call.args.len()));
                let help = format!("in `{}` it takes {}", module.file, counts.join(" or "));
                self.report.error("script/wrong-arity", position, message, help);
            }
            None => {
                let names = module.functions.keys().map(String::as_str);
                let near = did_you_mean(self.report.nearest(&call.name, names.clone()));
                let help = near.or_else(|| (!module.functions.is_empty()).then(|| format!("it has {}", listed(names))));
                let message = format!("`{}` has no function `{}`", module.file, call.name);
                self.report.error("script/unknown-function", position, message, help);
            }
        }
    }

    /// `Fn("name")`
    fn pointer(&mut self, name: &str, position: Position) {
        let own = self.functions.iter().map(|function| function.name.as_str());
        let known = self.input.known;
        if own.clone().chain(known.callable_names()).any(|known| known == name) {
            self.references.insert(name.to_owned());
            return;
        }
        let near = self.report.nearest(name, own.chain(known.callable_names()));
        self.report.error(
            "script/unknown-function",
            position,
            format!("unknown function `{name}`"),
            did_you_mean(near),
        );
    }

    fn operator(&mut self, call: &FnCallExpr, given: &[Shape<'a>], position: Position) -> Shape<'a> {
        let comparison = matches!(call.name.as_str(), "==" | "!=" | "<" | ">" | "<=" | ">=");
        if let ([left, right], true) = (given, comparison) {
            if left.never_equals(*right) {
                let (a, b) = (left.word(), right.word());
                let result = if call.name == "!=" { "true" } else { "false" };
                let message = format!("comparing {} {a} with {} {b} is always {result}", article(a), article(b));
                let text = given.contains(&Shape::Text)
                    && given.iter().any(|shape| matches!(shape, Shape::Integer | Shape::Float));
                let help = text.then(|| "convert first: `parse_int(text)`".to_owned());
                self.report.warning("script/comparison", position, message, help);
            }
            return Shape::Bool;
        }
        match (call.name.as_str(), given) {
            ("!", _) => Shape::Bool,
            ("+" | "-" | "*" | "/" | "%", [left, right]) if left == right && *left != Shape::Nothing => *left,
            _ => Shape::Unknown,
        }
    }
}

/// A method of another type is not meant.
fn matches_receiver(form: &Entry, call: &Call) -> bool {
    match (form.receiver(), call.receiver) {
        (Some(wanted), Some(Shape::Value(receiver))) => wanted == receiver,
        _ => true,
    }
}

/// `` `a(x)` or `a(x, y)` ``
pub(crate) fn alternatives(signatures: &[String]) -> String {
    let quoted: Vec<String> = signatures.iter().map(|signature| format!("`{signature}`")).collect();
    quoted.join(" or ")
}

fn standard_result(name: &str) -> Shape<'static> {
    match name {
        "to_lower" | "to_upper" | "sub_string" | "to_string" | "type_of" => Shape::Text,
        "len" => Shape::Integer,
        "starts_with" | "ends_with" | "contains" | "is_empty" => Shape::Bool,
        _ => Shape::Unknown,
    }
}
