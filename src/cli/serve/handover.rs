//! Another program in place of this one, without a call that fails: at `SIGUSR2` the program on disk is tried, then this one
//! finishes its calls, and the process becomes the new program with both sockets.
//!
//! The process keeps its number, so nobody who watches it has to know. Callers wait in the queues of the sockets meanwhile, which
//! is as long as the last calls take and the start does.

use std::ffi::OsString;
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cli::serve::sockets;

/// Whether the program on disk would start with the bundle on disk. It takes as long as a release takes to be built.
///
/// # Errors
/// Why not.
pub(super) fn rehearse(config: &Path) -> Result<()> {
    let (program, _) = command_line()?;
    let mut check = Command::new(&program);
    check.arg("check").arg("--config").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = check.status().with_context(|| format!("`{}` cannot be run", program.display()))?;
    if !status.success() {
        bail!("`{} check` fails ({status}), so it would not start; run it to see why", program.display());
    }
    Ok(())
}

/// Becomes the program on disk, with the same arguments. Returns only if that fails.
pub(super) fn become_next(sockets: &[TcpListener; 2]) -> anyhow::Error {
    match command(sockets) {
        // The sockets are open until the program is replaced.
        Ok((_open, mut command)) => anyhow::Error::from(command.exec()).context("the new program cannot be run"),
        Err(error) => error.context("the sockets cannot be handed over"),
    }
}

fn command(sockets: &[TcpListener; 2]) -> Result<(Vec<std::os::fd::OwnedFd>, Command)> {
    let (program, arguments) = command_line()?;
    let (open, variables) = sockets::variables(sockets)?;
    let mut command = Command::new(program);
    command.args(arguments).envs(variables);
    Ok((open, command))
}

/// The program by the name that it was started with: what lies there now, also where that is a link.
fn command_line() -> io::Result<(OsString, Vec<OsString>)> {
    let mut arguments = std::env::args_os();
    let program = arguments.next().ok_or_else(|| io::Error::other("the process was started without a name"))?;
    Ok((program, arguments.collect()))
}
