//! What a script returned, taken apart: commands of its hook, and actions for the gateway.

use rhai::{Array, Dynamic, Variant};

use crate::CommandError;
use hookgate_model::command::Action;

/// The most actions that one run may ask for.
pub const MAX_ACTIONS: usize = 100;

/// What a script returned for its hook, in its order, without actions. Loose commands stand in groups that the hook may merge; an array inside the
/// returned array is a group of its own.
#[derive(Clone, Debug)]
pub struct Commands<C> {
    groups: Vec<Group<C>>,
}

#[derive(Clone, Debug)]
pub enum Group<C> {
    Loose(C),
    Together(Vec<C>),
}

impl<C> Commands<C> {
    /// The commands of the hook, and the actions from among them.
    ///
    /// # Errors
    /// Something else is among them than `wanted`, which says so in words; or more actions than [`MAX_ACTIONS`].
    pub(crate) fn collect(returned: Dynamic, wanted: &dyn Fn() -> String) -> Result<(Self, Vec<Action>), CommandError>
    where
        C: Variant + Clone,
    {
        let (mut groups, mut actions) = (Vec::new(), Vec::new());
        if returned.is_unit() {
            return Ok((Self { groups }, actions));
        }
        if !returned.is_array() {
            if let Some(command) = without_actions(returned, &mut actions, ACTIONS_DEPTH) {
                groups.push(Group::Loose(self::command(command, wanted, "")?));
            }
            return Ok((Self { groups }, actions));
        }
        for (index, item) in returned.cast::<Array>().into_iter().enumerate() {
            let Some(item) = without_actions(item, &mut actions, ACTIONS_DEPTH) else { continue };
            let place = || format!(" (item {} of the array)", index + 1);
            if item.is_array() {
                let inner = item.cast::<Array>().into_iter();
                let inner = inner.map(|item| command(item, wanted, &place()));
                groups.push(Group::Together(inner.collect::<Result<_, _>>()?));
            } else if item.is::<C>() {
                groups.push(Group::Loose(item.cast::<C>()));
            } else {
                command::<C>(item, wanted, &place())?;
            }
        }
        if actions.len() > MAX_ACTIONS {
            return Err(CommandError::TooManyActions { count: actions.len() });
        }
        Ok((Self { groups }, actions))
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The groups in order.
    pub fn groups(self) -> Vec<Group<C>> {
        self.groups
    }

    /// The commands in order, to look at.
    pub fn iter(&self) -> impl Iterator<Item = &C> {
        self.groups.iter().flat_map(|group| match group {
            Group::Loose(command) => std::slice::from_ref(command),
            Group::Together(commands) => commands.as_slice(),
        })
    }

    /// The commands in order, groups dissolved.
    pub fn flat(self) -> impl Iterator<Item = C> {
        self.groups.into_iter().flat_map(|group| match group {
            Group::Loose(command) => vec![command],
            Group::Together(commands) => commands,
        })
    }
}

/// How deep actions may stand in arrays; commands of a hook stand in two at most.
const ACTIONS_DEPTH: usize = 4;

/// Takes the actions out of an item, also out of arrays in it. Nothing is left of what had nothing else in it.
fn without_actions(item: Dynamic, actions: &mut Vec<Action>, depth: usize) -> Option<Dynamic> {
    let item = match item.try_cast_result::<Action>() {
        Ok(action) => {
            actions.push(action);
            return None;
        }
        Err(item) => item,
    };
    if !item.is_array() || depth == 0 {
        return Some(item);
    }
    let items = item.cast::<Array>();
    let was_empty = items.is_empty();
    let rest: Array = items.into_iter().filter_map(|item| without_actions(item, actions, depth - 1)).collect();
    (was_empty || !rest.is_empty()).then(|| Dynamic::from_array(rest))
}

fn command<C: Variant + Clone>(item: Dynamic, wanted: &dyn Fn() -> String, place: &str) -> Result<C, CommandError> {
    item.try_cast_result::<C>().map_err(|item| CommandError::NotACommand {
        wanted: wanted(),
        found: describe(&item),
        place: place.to_owned(),
    })
}

/// A value in the words of somebody who writes scripts.
fn describe(value: &Dynamic) -> String {
    match value.type_name() {
        "()" => "nothing (`()`)".into(),
        "string" => "a text".into(),
        "bool" | "i64" | "f64" => format!("`{value}`"),
        "map" => "a map".into(),
        "array" => "an array inside an array inside an array".into(),
        "Fn" => "a function (are the brackets missing?)".into(),
        other => format!("a {}", other.rsplit("::").next().unwrap_or(other)),
    }
}
