//! `ldap("corp").search("(uid=ann)")`, and whether a password is the one of an entry.

use std::sync::Arc;

use rhai::{Array, Dynamic, ImmutableString, NativeCallContext};
use serde_json::Value;

use crate::library::{Doc, Library};
use crate::prelude::lookups::{Most, ask, handle, values};
use crate::prelude::secret::Hidden;
use crate::prelude::{Fallible, printed};
use hookgate_model::question::Ask;
use hookgate_model::secret::Secret;

/// A directory that is asked.
#[derive(Clone, Debug)]
struct Ldap(ImmutableString);

/// An entry of a directory.
#[derive(Clone, Debug)]
struct LdapEntry {
    connector: ImmutableString,
    entry: Arc<Value>,
}

impl Ldap {
    fn bind(&self, dn: &str, password: &Hidden) -> Fallible<bool> {
        let password = Secret::new(password.reveal().as_bytes());
        let answer = ask("bind", &self.0, Ask::Bind { dn: dn.to_owned(), password })?;
        Ok(answer.value.as_bool().unwrap_or(false))
    }

    fn search(&self, most: Most, base: &str, filter: &str, attributes: Array) -> Fallible<Dynamic> {
        let attributes = values("search", attributes)?.into_iter();
        let attributes = attributes.map(|name| match name {
            Value::String(name) => Ok(name),
            _ => Err("`search`: the names of attributes are texts"),
        });
        let attributes = attributes.collect::<Result<Vec<_>, _>>()?;
        let question = Ask::Search { base: base.to_owned(), filter: filter.to_owned(), attributes };
        let entry = |entry| LdapEntry { connector: self.0.clone(), entry: Arc::new(entry) };
        let entries: Array = match ask("search", &self.0, question)?.value {
            Value::Array(entries) => entries.into_iter().map(|one| Dynamic::from(entry(one))).collect(),
            _ => Array::new(),
        };
        most.checked(&self.0, Dynamic::from_array(entries))
    }
}

impl LdapEntry {
    fn dn(&self) -> &str {
        self.entry["dn"].as_str().unwrap_or_default()
    }

    /// Names of attributes are the same in upper and lower case (RFC 4512).
    fn all(&self, name: &str) -> impl Iterator<Item = ImmutableString> {
        let attributes = self.entry["attributes"].as_object().into_iter().flatten();
        let found = attributes.filter(move |(own, _)| own.eq_ignore_ascii_case(name));
        found.flat_map(|(_, values)| values.as_array().into_iter().flatten()).filter_map(Value::as_str).map(Into::into)
    }

    fn first(&self, most: Most, name: &str) -> Fallible<Dynamic> {
        most.checked(&self.connector, self.all(name).next().map_or(Dynamic::UNIT, Dynamic::from))
    }

    fn every(&self, most: Most, name: &str) -> Fallible<Dynamic> {
        most.checked(&self.connector, Dynamic::from_array(self.all(name).map(Dynamic::from).collect()))
    }
}

pub(super) fn register(library: &mut Library) {
    let about = "A connector of kind `ldap`, to be asked.";
    let doc = Doc::new(
        "ldap(connector: string) -> Ldap",
        "A directory to be asked.",
        r#"ldap("corp").search("(uid=ann)").len() == 1"#,
    );
    handle(library, ("Ldap", about), doc, Ldap, |ldap| ldap.0.clone());
    library.reader(
        Doc::new(
            "Ldap.bind(dn: string, password: Secret) -> bool",
            "Whether this is the password of that entry, asked on a connection of its own. An empty password never is: \
             directories take it for a guest and say yes. Use `dn_escape` for parts of the name.",
            r#"ldap("corp").bind("uid=ann,ou=people,dc=corp,dc=example", example_secret)"#,
        ),
        |ldap: &mut Ldap, dn: &str, password: Hidden| ldap.bind(dn, &password),
    );
    library.reader(
        Doc::new(
            "Ldap.search(filter: string) -> array",
            "The entries that the filter (RFC 4515) finds below the connector's `base`, with all their attributes. Use \
             `ldap_escape` for what users typed.",
            r#"ldap("corp").search("(uid=ann)")[0].dn == "uid=ann,ou=people,dc=corp,dc=example""#,
        ),
        |context: NativeCallContext, ldap: &mut Ldap, filter: &str| {
            ldap.search(Most::of(&context), "", filter, Array::new())
        },
    );
    library.reader(
        Doc::new(
            "Ldap.search(base: string, filter: string, attributes: array) -> array",
            "The same below another entry, and with these attributes only.",
            r#"ldap("corp").search("ou=people,dc=corp,dc=example", "(uid=ann)", ["mail"])[0].get("mail") == "ann@corp.example""#,
        ),
        |context: NativeCallContext, ldap: &mut Ldap, base: &str, filter: &str, attributes: Array| {
            ldap.search(Most::of(&context), base, filter, attributes)
        },
    );
    library.value::<LdapEntry>("LdapEntry", "An entry of a directory.");
    library.property(
        Doc::new(
            "LdapEntry.dn: string",
            "Its distinguished name.",
            r#"ldap("corp").search("(uid=ann)")[0].dn.starts_with("uid=ann,")"#,
        ),
        |entry: &mut LdapEntry| ImmutableString::from(entry.dn()),
    );
    library.function(
        Doc::new(
            "LdapEntry.get(name: string) -> string or ()",
            "The first value of an attribute, in upper or lower case; `()` if it has none. One that is longer than `limits.max_string_bytes` is an error to catch, whose `kind` is `too_large`.",
            r#"ldap("corp").search("(uid=ann)")[0].get("MAIL") == "ann@corp.example""#,
        ),
        |context: NativeCallContext, entry: &mut LdapEntry, name: &str| entry.first(Most::of(&context), name),
    );
    library.function(
        Doc::new(
            "LdapEntry.all(name: string) -> array",
            "All values of an attribute.",
            r#"ldap("corp").search("(uid=ann)")[0].all("memberOf") == []"#,
        ),
        |context: NativeCallContext, entry: &mut LdapEntry, name: &str| entry.every(Most::of(&context), name),
    );
    printed::<LdapEntry>(library, |entry| entry.dn().into());
}
