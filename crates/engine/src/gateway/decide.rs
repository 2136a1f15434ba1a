//! One decision: the script runs, its commands become the reply; or the route's declared answer is given.

use std::time::Instant;

use uuid::Uuid;

use crate::lookup::Lookups;
use crate::outcome::{RunFailure, RunOutcome, ScriptUse};
use crate::release::{InlineScript, Plan, Release, Route};
use hookgate_hooks::Decoded;
use hookgate_model::trace;
use hookgate_model::trace::Parent;
use hookgate_script::context::World;
use hookgate_script::lanes::Lanes;
use hookgate_script::run::Call;

/// What a call brings besides its request.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// When it must be answered.
    pub deadline: Instant,
    /// The trace that it is in.
    pub parent: Option<&'a Parent>,
}

/// A route that answers calls with its script.
#[derive(Clone, Copy)]
pub struct InlineRoute<'a> {
    pub(crate) release: &'a Release,
    pub(crate) route: &'a Route,
    pub(crate) inline: &'a InlineScript,
}

impl<'a> InlineRoute<'a> {
    /// None for a route that gives events to rules.
    pub fn of(release: &'a Release, route: &'a Route) -> Option<Self> {
        match &route.plan {
            Plan::Inline(inline) => Some(Self { release, route, inline }),
            Plan::Events(_) => None,
        }
    }

    pub(super) fn script_use(self) -> ScriptUse<'a> {
        let Self { release, route, inline } = self;
        release.script_use(route.hook, &inline.script, Some(&inline.on_failure))
    }
}

/// Runs the route's script on the request. Never fails: a failure has its declared answer.
pub async fn decide(
    lanes: &Lanes,
    lookups: &Lookups,
    at: InlineRoute<'_>,
    request: &Decoded,
    call: Asked<'_>,
) -> RunOutcome {
    let InlineRoute { release, route, inline } = at;
    let id = new_id();
    let Ok(_permit) = route.permits.try_acquire() else {
        return at.script_use().not_run(id, RunFailure::Busy(route.limits.concurrent));
    };
    let run = Call {
        request: request.request.clone(),
        surroundings: inline.surroundings.clone(),
        world: World::Real,
        deadline: call.deadline,
    };
    let outside = lookups.of(&release.connectors, None, request.facts.preview);
    let outside = outside.traced(trace::Run::of(&id, call.parent));
    let run = lanes.run(&inline.script, run, &outside).await;
    at.script_use().outcome(id, request, run, |encoded| release.check(encoded))
}

/// The declared answer to a call whose script is not run.
pub(super) fn not_run(at: InlineRoute<'_>, failure: RunFailure) -> RunOutcome {
    at.script_use().not_run(new_id(), failure)
}

fn new_id() -> String {
    Uuid::now_v7().simple().to_string()
}
