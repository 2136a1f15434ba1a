//! Open files: every connection is one, and so is everything else that the gateway opens. The limit of the system is raised to
//! what the configuration may need; where that is not possible, there are fewer connections, so that the store, actions,
//! reloads and probes always find a file.

use anyhow::{Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use hookgate_engine::config::Config;

/// Files for everything but the connections of callers: the store, its copies, connections of connectors, scripts, logs.
const RESERVE: u64 = 256;

/// With fewer files nothing works.
const FEWEST: u64 = 128;

/// How many connections each listener may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    pub(super) public: u32,
    pub(super) admin: u32,
}

/// Raises the limit as far as it is needed and allowed.
///
/// # Errors
/// The system allows too few files for anything.
pub(super) fn allow(config: &Config) -> Result<Shares> {
    let wanted = Shares { public: config.server.max_connections, admin: config.admin.max_connections };
    let limits = getrlimit(Resource::Nofile);
    let shares = wanted.within(limits.maximum)?;
    if shares != wanted {
        warn!(
            files.allowed = limits.maximum,
            files.wanted = wanted.files(),
            server.max_connections = shares.public,
            admin.max_connections = shares.admin,
            "the system allows too few open files, so there are fewer connections than configured; raise the limit \
             (`LimitNOFILE=` of systemd, `ulimit -Hn`) or lower `server.max_connections`"
        );
    }
    let needed = limits.maximum.map_or(wanted.files(), |most| most.min(wanted.files()));
    if limits.current.is_some_and(|current| current < needed) {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limits.maximum });
        if let (Err(error), Some(current)) = (raised, limits.current) {
            warn!(%error, files.allowed = current, "the limit of open files cannot be raised");
            return wanted.within(Some(current));
        }
    }
    Ok(shares)
}

impl Shares {
    fn files(self) -> u64 {
        RESERVE + u64::from(self.public) + u64::from(self.admin)
    }

    /// These shares, or smaller ones where the system allows no more than `most` files.
    ///
    /// # Errors
    /// Too few for anything.
    fn within(self, most: Option<u64>) -> Result<Self> {
        let Some(most) = most.filter(|most| *most < self.files()) else { return Ok(self) };
        if most < FEWEST {
            bail!(
                "the system allows this process {most} open files, and it needs {FEWEST} at least, better {}: raise the \
                 limit (`LimitNOFILE=` of systemd, `ulimit -Hn`)",
                self.files()
            );
        }
        let reserve = RESERVE.min(most / 2);
        // Rather more than the streams that one role may hold, so that there is a place left for everybody else.
        let admin = u64::from(self.admin).min((most / 8).max(80.min(most / 4)));
        let public = u64::from(self.public).min(most - reserve - admin);
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(Self { public: small(public), admin: small(admin) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Shares = Shares { public: 10_000, admin: 256 };

    #[test]
    fn connections_leave_files_for_everything_else() {
        assert_eq!(WANTED.within(None).unwrap(), WANTED);
        assert_eq!(WANTED.within(Some(10_512)).unwrap(), WANTED);
        for most in [128, 200, 256, 512, 1_024, 4_096, 10_511] {
            let shares = WANTED.within(Some(most)).unwrap();
            let taken = u64::from(shares.public) + u64::from(shares.admin);
            assert!(shares.public >= 32 && shares.admin >= 32, "{most}: {shares:?}");
            assert!(most - taken >= RESERVE.min(most / 2), "{most}: {shares:?}");
        }
        assert_eq!(WANTED.within(Some(1_024)).unwrap(), Shares { public: 640, admin: 128 });
        let few = Shares { public: 10, admin: 80 };
        assert_eq!(few.within(Some(340)).unwrap(), few);
    }

    #[test]
    fn too_few_files_for_anything_are_told_with_their_remedy() {
        let problem = WANTED.within(Some(127)).unwrap_err().to_string();
        assert!(
            problem.contains("127 open files") && problem.contains("10512") && problem.contains("ulimit"),
            "{problem}"
        );
    }
}
