//! `[server]`: the listener that providers call. Nothing here opens a socket.

use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use hookgate_model::environment;

/// The listener that providers call. A change needs a restart, except one of `public_url`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// IP address and port to listen on.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// What callers write before a path, such as `https://hooks.example.com`: the address in front of a proxy. Tokens of an
    /// `[auth.NAME]` without `audience` must be for it and the path of the route. A change takes effect at once.
    pub public_url: Option<String>,
    /// A larger request is refused with 413.
    #[schemars(range(min = 1))]
    pub max_body_bytes: u64,
    /// What the bodies of all calls in flight may hold together. A body that does not fit is refused with 503. Of each body, the
    /// first 64 KiB are not counted, so calls of a usual size never meet this.
    #[schemars(range(min = 1_048_576))]
    pub body_budget_bytes: u64,
    /// Connections at the same time. At this many, one that waits for nothing is closed for each new one. Each needs an open
    /// file: where the system allows fewer, there are fewer, and a warning at the start says so.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: u32,
    /// How long calls in flight may take to finish when the gateway stops.
    pub stop_grace_ms: u64,
    /// Threads that answer calls; 0 is one per core. The variable `HOOKGATE_WORKER_THREADS` overrides it.
    #[schemars(range(max = 1024))]
    pub(crate) worker_threads: u32,
    /// Serve HTTPS. Without this section the listener speaks plain HTTP, for use behind a proxy.
    pub tls: Option<Tls>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            public_url: None,
            max_body_bytes: 4_194_304,
            body_budget_bytes: 268_435_456,
            max_connections: 10_000,
            stop_grace_ms: 10_000,
            worker_threads: 0,
            tls: None,
        }
    }
}

/// A variable of the environment that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    #[error("`{WORKER_THREADS}` must be a whole number from 0 to {MOST_THREADS}, not `{0}`")]
    WorkerThreads(String),
}

const WORKER_THREADS: &str = "HOOKGATE_WORKER_THREADS";
const MOST_THREADS: u32 = 1024;

impl Server {
    /// Whether a change to `new` is one that only a restart applies.
    pub(crate) fn needs_restart(&self, new: &Self) -> bool {
        let listener = |server: &Self| Self { public_url: None, ..server.clone() };
        listener(self) != listener(new)
    }

    /// How many threads answer calls, at least one: by the environment, else by the file.
    ///
    /// # Errors
    ///
    /// The variable is set to something that is not a number of threads.
    pub fn threads(&self) -> Result<usize, EnvironmentError> {
        self.threads_given(environment::variable(WORKER_THREADS).as_deref())
    }

    fn threads_given(&self, variable: Option<&str>) -> Result<usize, EnvironmentError> {
        let wanted = match variable {
            Some(text) => match text.trim().parse() {
                Ok(number) if number <= MOST_THREADS => number,
                _ => return Err(EnvironmentError::WorkerThreads(text.to_owned())),
            },
            None => self.worker_threads,
        };
        Ok(match wanted {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            number => number as usize,
        })
    }
}

/// Certificates of the listener. The files are read again when they change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM file with the certificate and its chain.
    #[schemars(length(min = 1))]
    pub cert_file: String,
    /// PEM file with the private key of `cert_file`.
    #[schemars(length(min = 1))]
    pub key_file: String,
    /// PEM file with the authorities that sign client certificates; needed by `scheme = "mtls"`.
    #[schemars(length(min = 1))]
    pub client_ca_file: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_overrides_the_number_of_threads() {
        let server = Server { worker_threads: 3, ..Server::default() };
        assert_eq!(server.threads_given(None), Ok(3));
        assert_eq!(server.threads_given(Some("5")), Ok(5));
        assert!(server.threads_given(Some("0")).is_ok_and(|threads| threads >= 1));
        for wrong in ["many", "-1", "1025"] {
            assert_eq!(server.threads_given(Some(wrong)), Err(EnvironmentError::WorkerThreads(wrong.to_owned())));
        }
    }
}
