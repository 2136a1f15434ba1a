//! How the store is opened: by a gateway, or by an operator beside one.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;

use rusqlite::Connection;

use crate::claimant::Claimant;
use crate::clock::Clock;
use crate::open::OpenError;
use crate::sqlite::Sqlite;
use crate::sqlite::connect;
use crate::sqlite::fault;
use crate::sqlite::log;
use crate::sqlite::numbers::Numbers;
use crate::sqlite::place;
use crate::sqlite::place::Lock;
use crate::sqlite::place::Place;
use crate::sqlite::readers::Readers;
use crate::sqlite::recover;
use crate::sqlite::writer::Shared;
use crate::sqlite::writer::State;
use crate::sqlite::writer::Writer;

/// What may be chosen.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose time it is.
    pub clock: Arc<Clock>,
    /// Who claims jobs.
    pub claimant: Claimant,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Arc::new(Clock::start()), claimant: Claimant::only() }
    }
}

/// Who opened it.
enum Opener {
    /// A gateway, and the lock that it holds.
    Gateway(Numbers, Option<Lock>),
    Operator,
}

impl Sqlite {
    /// Opens the store of a gateway. The folder and the file are made if they are not there. Leases of an earlier start of the
    /// same claimant are void from now on, and what it left running waits.
    pub fn open(file: &Path, options: Options) -> Result<Self, OpenError> {
        let io = |error| OpenError::Io { file: file.to_owned(), error };
        place::make(file).map_err(io)?;
        let file = &place::real(file).map_err(io)?;
        let lock = place::lock(file)?;
        Self::open_at(file, &options, Some(lock))
    }

    /// Opens a store once more that a gateway uses, as a second gateway: what the contract asks of stores that several may use.
    #[cfg(test)]
    pub(super) fn open_beside(file: &Path, options: &Options) -> Result<Self, OpenError> {
        Self::open_at(file, options, None)
    }

    fn open_at(file: &Path, options: &Options, lock: Option<Lock>) -> Result<Self, OpenError> {
        let mut db = connect::writer(file)?;
        connect::migrate(&mut db, file)?;
        let now = options.clock.now();
        let recovered = recover::recover(&mut db, &options.claimant, now);
        let numbers = recovered.map_err(|error| fault::unopened(file, error))?;
        Self::start(file, Arc::clone(&options.clock), db, Opener::Gateway(numbers, lock))
    }

    /// Opens a store that is there, beside the gateway that may use it: to look, to operate, to back up. It takes no jobs
    /// and keeps no events.
    pub fn attach(file: &Path) -> Result<Self, OpenError> {
        if !file.is_file() {
            return Err(OpenError::Missing(file.to_owned()));
        }
        let file = &place::real(file).map_err(|error| OpenError::Io { file: file.to_owned(), error })?;
        let seen = connect::reader(file).map_err(|error| fault::unopened(file, error))?;
        connect::expect_current(&seen, file)?;
        drop(seen);
        let db = connect::writer(file)?;
        Self::start(file, Arc::new(Clock::start()), db, Opener::Operator)
    }

    fn start(file: &Path, clock: Arc<Clock>, mut db: Connection, opener: Opener) -> Result<Self, OpenError> {
        let is_gateway = matches!(opener, Opener::Gateway(..));
        let (numbers, lock) = match opener {
            Opener::Gateway(numbers, lock) => (numbers, lock),
            Opener::Operator => Default::default(),
        };
        let io = |error| OpenError::Io { file: file.to_owned(), error };
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            shared: Arc::clone(&shared),
            clock: Arc::clone(&clock),
            place: Place::note(file).map_err(io)?,
            watch: log::watch(&mut db, file, lock.as_ref().and_then(Lock::header))?,
            numbers,
            state: State::Open(db),
            time_kept: is_gateway.then(|| clock.now()),
            unwanted: Vec::new(),
        };
        let writer = std::thread::Builder::new().name("store".to_owned()).spawn(move || writer.run()).map_err(io)?;
        let (people, calls) = (Readers::for_people(file).map_err(io)?, Readers::for_calls(file).map_err(io)?);
        let (file, writer) = (file.to_owned(), Mutex::new(Some(writer)));
        let (lock, counted) = (Mutex::new(lock), Mutex::default());
        Ok(Self { file, clock, shared, people, calls, writer, is_gateway, lock, counted })
    }
}
