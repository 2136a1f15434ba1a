//! The registration table: every function, property, value and constant that a script can name, with its documentation.
//!
//! One call registers the Rust function in a Rhai module *and* records its [`Entry`]; the engine, the lint, the error
//! messages ("did you mean"), the reference pages and the completion lists are all made from these two.

use std::any::TypeId;

use rhai::{Dynamic, EvalAltResult, FuncRegistration, Module, RhaiNativeFunc, Shared, Variant};

use crate::library::registered::Registration;
use crate::natives;
use crate::signature::Signature;

pub mod registered;

/// What an [`Entry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A type of value, such as `Email`.
    Value,
    /// `email.domain`.
    Property,
    /// `email.domain_in(list)`.
    Method,
    /// `matches(text, pattern)`.
    Function,
    /// `params`, `id_token`.
    Constant,
}

/// What calling an entry means for purity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// The same arguments give the same result.
    Pure,
    /// Reads something of the run: its clock, parameters, tables, log.
    Reads,
    /// Makes a command for the script to return.
    Command,
}

/// The documentation of one registration.
#[derive(Clone, Copy, Debug)]
pub struct Doc {
    /// As it is written; [`Entry::signature`] is what it says.
    signature: &'static str,
    pub about: &'static str,
    /// Rhai that a test runs. What has a value of its own: an expression that is true; in a hook, of one of its samples; of
    /// what tests use, in a test. A command: what a script returns. Empty for types.
    pub example: &'static str,
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Entry {
    pub kind: Kind,
    pub effect: Effect,
    /// With the name of its type where the registration says `Self`.
    pub signature: Signature,
    pub family: &'static str,
    pub doc: Doc,
}

impl Entry {
    pub fn name(&self) -> &'static str {
        self.signature.name
    }

    /// The type a property or method belongs to.
    pub fn receiver(&self) -> Option<&'static str> {
        self.signature.receiver
    }

    /// How an example is introduced: a command is returned, everything else is part of something true.
    pub fn example_title(&self) -> &'static str {
        if self.effect == Effect::Command { "A script returns" } else { "Holds" }
    }
}

/// A Rhai module with the table of what is in it. Built once per process and shared by all engines.
pub struct Library {
    module: Module,
    entries: Vec<Entry>,
    constants: Vec<(&'static str, Dynamic)>,
    types: Vec<(&'static str, TypeId)>,
    registrations: Vec<Registration>,
    family: &'static str,
    current: Option<&'static str>,
}

impl Library {
    /// An empty library whose first entries belong to `family` (the heading of their reference page).
    pub fn new(family: &'static str) -> Self {
        Self {
            module: Module::new(),
            entries: Vec::new(),
            constants: Vec::new(),
            types: Vec::new(),
            registrations: Vec::new(),
            family,
            current: None,
        }
    }

    /// Sets the heading for the entries that follow.
    pub fn family(&mut self, family: &'static str) -> &mut Self {
        self.family = family;
        self
    }

    /// Names a type of value. Its properties and methods use this name before the dot of their signatures, or `Self`,
    /// which means the value named last (for properties that several types share).
    pub fn value<T: Variant + Clone>(&mut self, name: &'static str, about: &'static str) -> &mut Self {
        self.module.set_custom_type::<T>(name);
        self.current = Some(name);
        self.types.push((name, TypeId::of::<T>()));
        self.push(Kind::Value, Effect::Pure, Doc { signature: name, about, example: "" })
    }

    /// Registers a read-only property; `doc.signature` is `Type.name: shape`.
    pub fn property<T, R>(&mut self, doc: Doc, getter: impl Fn(&mut T) -> R + Send + Sync + 'static) -> &mut Self
    where
        T: Variant + Clone,
        R: Variant + Clone,
    {
        let name = self.push(Kind::Property, Effect::Pure, doc).last_name();
        self.note::<R>(name, self.last_row(), vec![TypeId::of::<T>()]);
        FuncRegistration::new_getter(name).with_purity(true).set_into_module(&mut self.module, getter);
        self
    }

    /// Registers a read-only property whose value may not be there to read.
    pub fn fallible_property<T, R>(
        &mut self,
        doc: Doc,
        getter: impl Fn(&mut T) -> Result<R, Box<EvalAltResult>> + Send + Sync + 'static,
    ) -> &mut Self
    where
        T: Variant + Clone,
        R: Variant + Clone,
    {
        let name = self.push(Kind::Property, Effect::Pure, doc).last_name();
        self.note::<R>(name, self.last_row(), vec![TypeId::of::<T>()]);
        FuncRegistration::new_getter(name).with_purity(true).set_into_module(&mut self.module, getter);
        self
    }

    /// Registers a pure function or, if the signature has a receiver, a method.
    pub fn function<A: 'static, const N: usize, const X: bool, R, const F: bool, FN>(
        &mut self,
        doc: Doc,
        function: FN,
    ) -> &mut Self
    where
        R: Variant + Clone,
        FN: RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    {
        self.callable(doc, Effect::Pure, function)
    }

    /// Registers a function that reads the run (clock, parameters, tables, log): it is never folded at load.
    pub fn reader<A: 'static, const N: usize, const X: bool, R, const F: bool, FN>(
        &mut self,
        doc: Doc,
        function: FN,
    ) -> &mut Self
    where
        R: Variant + Clone,
        FN: RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    {
        self.callable(doc, Effect::Reads, function)
    }

    /// Registers the constructor of a command.
    pub fn command<A: 'static, const N: usize, const X: bool, R, const F: bool, FN>(
        &mut self,
        doc: Doc,
        function: FN,
    ) -> &mut Self
    where
        R: Variant + Clone,
        FN: RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    {
        self.callable(doc, Effect::Command, function)
    }

    /// Registers an overload of something already documented (another argument type): code without a row of its own.
    pub fn overload<A: 'static, const N: usize, const X: bool, R, const F: bool, FN>(
        &mut self,
        name: &'static str,
        function: FN,
    ) -> &mut Self
    where
        R: Variant + Clone,
        FN: RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    {
        self.register(name, None, true, function)
    }

    /// Makes `name` a constant of every script that uses this library.
    pub fn constant(&mut self, doc: Doc, value: Dynamic) -> &mut Self {
        let name = self.push(Kind::Constant, Effect::Reads, doc).last_name();
        self.constants.push((name, value));
        self
    }

    /// The module itself, for registrations that have no documentation row (iterators, operators, indexers).
    pub(crate) fn module(&mut self) -> &mut Module {
        &mut self.module
    }

    /// Closes the library: the module to register in engines, and the rest.
    pub fn finish(mut self) -> Finished {
        self.module.build_index();
        Finished {
            module: self.module.into(),
            entries: self.entries,
            constants: self.constants,
            types: self.types,
            registrations: self.registrations,
        }
    }

    fn callable<A: 'static, const N: usize, const X: bool, R, const F: bool, FN>(
        &mut self,
        doc: Doc,
        effect: Effect,
        function: FN,
    ) -> &mut Self
    where
        R: Variant + Clone,
        FN: RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    {
        let kind = if doc.signature().receiver.is_some() { Kind::Method } else { Kind::Function };
        let name = self.push(kind, effect, doc).last_name();
        self.register(name, self.last_row(), effect != Effect::Pure, function)
    }

    /// Registers the function with the check of what it costs ([`natives`]) before it.
    fn register<A: 'static, const N: usize, const X: bool, R, const F: bool, FN>(
        &mut self,
        name: &'static str,
        row: Option<usize>,
        volatile: bool,
        function: FN,
    ) -> &mut Self
    where
        R: Variant + Clone,
        FN: RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    {
        let parameters = FN::param_types();
        self.note::<R>(name, row, parameters.to_vec());
        let cost = natives::table::of_ours(name, &parameters);
        let function = natives::guarded(function.into_rhai_function(true, volatile), cost);
        FuncRegistration::new(name).in_global_namespace().set_into_module_raw(&mut self.module, parameters, function);
        self
    }

    fn push(&mut self, kind: Kind, effect: Effect, doc: Doc) -> &mut Self {
        let mut signature = doc.signature();
        if signature.receiver == Some("Self") {
            signature.receiver = self.current;
        }
        self.entries.push(Entry { kind, effect, signature, family: self.family, doc });
        self
    }

    /// Keeps the types of a function, for the check of its signature.
    fn note<R: 'static>(&mut self, name: &'static str, row: Option<usize>, takes: Vec<TypeId>) {
        self.registrations.push(Registration { name, row, takes, gives: TypeId::of::<R>() });
    }

    fn last_row(&self) -> Option<usize> {
        self.entries.len().checked_sub(1)
    }

    fn last_name(&self) -> &'static str {
        self.entries.last().map_or("", Entry::name)
    }
}

/// A [`Library`] that takes no more entries.
pub struct Finished {
    pub(crate) module: Shared<Module>,
    pub entries: Vec<Entry>,
    pub constants: Vec<(&'static str, Dynamic)>,
    /// The Rust type of each type of value.
    types: Vec<(&'static str, TypeId)>,
    registrations: Vec<Registration>,
}

impl Doc {
    pub const fn new(signature: &'static str, about: &'static str, example: &'static str) -> Self {
        Self { signature, about, example }
    }

    /// What it says. A library is the same in every process, so any test finds a wrong one.
    fn signature(self) -> Signature {
        Signature::parse(self.signature)
            .unwrap_or_else(|problem| panic!("`{}` is no signature: {problem}", self.signature))
    }
}
