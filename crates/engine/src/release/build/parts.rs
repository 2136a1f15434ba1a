//! Schemes, connectors and logs of a release. What did not change is taken over, with its keys and connections.

use std::sync::Arc;

use crate::release::Release;
use crate::release::access;
use crate::release::build::Work;
use crate::release::fence::World;
use crate::release::outside;
use crate::release::routes::{Accesses, Logs};
use hookgate_connectors::Connectors;
use hookgate_connectors::setup::Problem;
use hookgate_model::finding::Finding;

impl Work<'_> {
    pub(super) fn gates(&mut self, world: &World<'_>, before: Option<&Release>) -> Accesses {
        let mut gates = Accesses::new();
        for (name, auth) in &self.document.config.auth {
            // A scheme that did not change keeps its keys and their age.
            let kept = before.filter(|before| before.config.auth.get(name) == Some(auth));
            if let Some(access) = kept.and_then(|before| before.accesses.get(name)) {
                gates.insert(name.clone(), access.clone());
                continue;
            }
            match access::access(world, auth) {
                Ok(access) => drop(gates.insert(name.clone(), Arc::new(access))),
                Err(problems) => self.findings.extend(problems.into_iter().map(|problem| {
                    let path = format!("auth.{name}{}", problem.key);
                    self.document.finding("config/secret", &path, problem.text)
                })),
            }
        }
        gates
    }

    pub(super) fn connectors(&mut self, world: &World<'_>, before: Option<&Release>) -> Connectors {
        let mut made = Vec::new();
        for (name, written) in &self.document.config.connectors {
            // A connector that did not change keeps its connections.
            let kept = before.filter(|before| before.config.connectors.get(name) == Some(written));
            if let Some(connected) = kept.and_then(|before| before.connectors.get(name)) {
                made.push(connected.clone());
                continue;
            }
            match outside::connected(world, name, written) {
                Ok(connected) => made.push(Arc::new(connected)),
                Err(problems) => self.outside(&format!("connectors.{name}"), problems),
            }
        }
        let made = Connectors::new(made);
        for (name, problem) in outside::unheard(&self.document.config, &made) {
            let key = format!("connectors.{name}.guard.alert");
            self.findings.push(self.document.finding("config/bad-value", &key, problem));
        }
        made
    }

    /// Where routes look for what their hooks never delivered.
    pub(super) fn logs(&mut self, world: &World<'_>, before: Option<&Release>) -> Logs {
        let mut logs = Logs::new();
        for (name, route) in &self.document.config.routes {
            let Some(written) = &route.reconcile else { continue };
            if let Some(kept) = before.and_then(|before| outside::kept_log(before, name, route)) {
                logs.insert(name.clone(), kept);
                continue;
            }
            match outside::log_of(world, name, route, written) {
                Ok(log) => drop(logs.insert(name.clone(), Arc::new(log))),
                Err(problems) => self.outside(&format!("routes.{name}.reconcile"), problems),
            }
        }
        logs
    }

    fn outside(&mut self, section: &str, problems: Vec<Problem>) {
        self.findings.extend(problems.into_iter().map(|problem| {
            let key = if problem.key.is_empty() { String::new() } else { format!(".{}", problem.key) };
            let finding = self.document.finding(problem.code, &format!("{section}{key}"), problem.message);
            Finding { help: problem.help, ..finding }
        }));
    }
}
