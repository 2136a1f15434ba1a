//! What a test says of the world: parameters, tables, time, chance, and the route that runs.

use std::sync::Arc;

use rhai::{Array, Dynamic, ImmutableString, Map};

use crate::harness::cases;
use crate::harness::session;
use crate::harness::session::{Fallible, Session};
use crate::harness::subject::TableShape;
use hookgate_script::context;
use hookgate_script::context::{Surroundings, World};
use hookgate_script::depth;
use hookgate_script::library::{Doc, Library};
use hookgate_script::prelude::json::json_from_dynamic;
use hookgate_script::prelude::time::Time;

/// Changes the session, and what the test itself reads, in the same way.
pub(super) fn change(name: &str, body: impl FnOnce(&mut Session) -> Fallible<()>) -> Fallible<()> {
    let (surroundings, mocked) = session::with(name, |session| {
        body(session)?;
        Ok::<_, Box<rhai::EvalAltResult>>((session.surroundings_of_test(), session.mocked.clone()))
    })??;
    context::with(name, |run| {
        run.surroundings = surroundings;
        run.world = World::Mocked(Arc::new(mocked));
    })
}

/// A value that outlives the run of the test.
fn kept(function: &str, value: Dynamic) -> Fallible {
    depth::bounded(value).map_err(|depth::TooDeep| {
        let levels = depth::MAX_LEVELS;
        format!("`{function}`: parameters have {levels} levels of arrays and maps at most").into()
    })
}

fn set_params(params: Map) -> Fallible<()> {
    let params = kept("set_params", Dynamic::from_map(params))?.cast();
    change("set_params", |session| {
        session.set_params(params);
        Ok(())
    })
}

fn set_param(name: &str, value: Dynamic) -> Fallible<()> {
    let value = kept("set_param", value)?;
    change("set_param", |session| {
        let mut params = (*session.surroundings.params).clone();
        params.insert(name.into(), value);
        session.set_params(params);
        Ok(())
    })
}

fn set_table(name: &str, content: &Dynamic) -> Fallible<()> {
    let value = json_from_dynamic(content).map_err(|problem| format!("`set_table`: {problem}"))?;
    change("set_table", |session| {
        let table = cases::table(session.shapes.get(name), name, &value)?;
        let mut tables = (*session.surroundings.tables).clone();
        tables.insert(name.to_owned(), Arc::new(table));
        let params = session.surroundings.params.clone();
        session.surroundings = Arc::new(Surroundings { params, tables: Arc::new(tables) });
        Ok(())
    })
}

fn set_shaped_table(name: &str, shape: &Dynamic, content: &Dynamic) -> Fallible<()> {
    let shape =
        json_from_dynamic(shape).and_then(|shape| serde_json::from_value(shape).map_err(|error| error.to_string()));
    let shape: TableShape = shape.map_err(|problem| format!("`set_table`: {problem}"))?;
    change("set_table", |session| {
        session.shapes.insert(name.to_owned(), shape);
        Ok(())
    })?;
    set_table(name, content)
}

fn ignore_config() -> Fallible<()> {
    change("ignore_config", |session| {
        session.ignore_config();
        Ok(())
    })
}

fn set_now(time: Time) -> Fallible<()> {
    change("set_now", |session| {
        session.mocked.now = time.0;
        Ok(())
    })
}

fn set_remaining_ms(milliseconds: i64) -> Fallible<()> {
    change("set_remaining_ms", |session| {
        session.mocked.remaining_ms = milliseconds;
        session.remaining_set = true;
        Ok(())
    })
}

fn set_uuids(uuids: Array) -> Fallible<()> {
    let uuids = uuids.into_iter().map(Dynamic::into_immutable_string);
    let uuids = uuids.collect::<Result<Vec<ImmutableString>, _>>();
    let uuids = uuids.map_err(|_| "`set_uuids` takes an array of texts")?;
    change("set_uuids", |session| {
        session.mocked.uuids = uuids;
        Ok(())
    })
}

fn use_route(name: &str) -> Fallible<()> {
    change("use_route", |session| {
        let place = session.subject.place_of(name)?;
        session.ignores_config = false;
        session.shapes = (*session.subject.tables).clone();
        session.binding = place;
        session.surroundings = session.subject.bindings[place].surroundings.clone();
        Ok(())
    })
}

pub(crate) fn register(library: &mut Library) {
    library.reader(
        Doc::new(
            "set_params(params: map)",
            "Replaces all parameters. Until then a test has those of the first route or rule that runs the script.",
            r#"set_params(#{ partner_domains: ["mail.example"] }); run().commands.len() == 2"#,
        ),
        set_params,
    );
    library.reader(
        Doc::new(
            "set_param(name: string, value: any)",
            "Sets one parameter and keeps the others.",
            r#"set_param("partner_domains", ["mail.example"]); run().commands.len() == 2"#,
        ),
        set_param,
    );
    library.reader(
        Doc::new(
            "set_table(name: string, content: array or map)",
            "Replaces a table: entries (domains, lines), rows (csv), or a map. Until then a test has the tables of the bundle.",
            r#"set_table("disposable", ["mail.example"]); "deny" in run().commands[0]"#,
        ),
        |name: &str, content: Dynamic| set_table(name, &content),
    );
    library.reader(
        Doc::new(
            "set_table(name: string, shape: map, content: array or map)",
            "The same with the `kind` and the `key` that a table has in its section of `gateway.toml`, whatever is written there. Later \
             calls of the test for this table have them, too.",
            r#"set_table("disposable", #{ kind: "domains" }, ["mail.example"]); "deny" in run().commands[0]"#,
        ),
        |name: &str, shape: Dynamic, content: Dynamic| set_shaped_table(name, &shape, &content),
    );
    library.reader(
        Doc::new(
            "ignore_config()",
            "Leaves `gateway.toml` out of the test: no parameters and no tables but those that the test sets, the default limits, the \
             first `on_failure` of the hook, every type of event wanted, and every connector takes every action. For tests that \
             hold whatever the file says; `fn before_each()` runs before each test.",
            r#"ignore_config(); set_params(#{ partner_domains: [] }); set_table("disposable", []); run().commands == ["allow"]"#,
        ),
        ignore_config,
    );
    library.reader(
        Doc::new(
            "set_now(time: string or Time)",
            "Sets the clock, which stands still at 2026-01-15T12:00:00Z otherwise.",
            r#"set_now("2026-03-01T09:00:00Z"); now().hour == 9"#,
        ),
        |text: &str| set_now(Time::parse(text)?),
    );
    library.overload("set_now", set_now);
    library.reader(
        Doc::new(
            "set_remaining_ms(milliseconds: int)",
            "What `remaining_ms()` gives; otherwise the whole deadline of the route.",
            "set_remaining_ms(40); remaining_ms() == 40",
        ),
        set_remaining_ms,
    );
    library.reader(
        Doc::new(
            "set_uuids(uuids: array)",
            "What `uuid()` gives in each run, one after the other; otherwise `00000000-0000-4000-8000-000000000001` and so on.",
            r#"set_uuids(["u-1", "u-2"]); uuid() == "u-1" && uuid() == "u-2""#,
        ),
        set_uuids,
    );
    library.reader(
        Doc::new(
            "use_route(name: string)",
            "Runs the script as this route (or `route.rule`) does: its parameters, limits and `on_failure`.",
            r#"use_route("signup"); run().commands == ["allow"]"#,
        ),
        use_route,
    );
}
