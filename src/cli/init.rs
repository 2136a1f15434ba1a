//! `init`: a first bundle that works. Never overwrites a file.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::cli::output;
use crate::cli::output::{BOLD, GOOD, paint};
use crate::cli::{Global, Status};
use hookgate_engine::release;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where to write it; made if it is not there.
    #[arg(default_value = ".")]
    dir: PathBuf,
}

/// The files of the bundle, by their path in it.
fn files() -> [(&'static str, String); 6] {
    [
        ("gateway.toml", include_str!("init/gateway.toml").to_owned()),
        // What the first line of gateway.toml points editors at.
        ("gateway.schema.json", format!("{}\n", output::pretty(release::schema()))),
        ("scripts/registration.rhai", include_str!("init/registration.rhai").to_owned()),
        ("scripts/registration_test.rhai", include_str!("init/registration_test.rhai").to_owned()),
        ("tables/disposable.txt", include_str!("init/disposable.txt").to_owned()),
        (".gitignore", include_str!("init/gitignore").to_owned()),
    ]
}

/// # Errors
/// A file is there already, or cannot be written.
pub fn run(global: &Global, args: &Args) -> Result<Status> {
    let dir = &args.dir;
    let files = files();
    let present: Vec<&str> = files.iter().map(|(name, _)| *name).filter(|name| dir.join(name).exists()).collect();
    if !present.is_empty() {
        let files = present.join(", ");
        bail!("`{}` has {files} already, and nothing is overwritten; name another folder", dir.display());
    }
    for (name, text) in &files {
        write_new(&dir.join(name), text)?;
    }
    if global.json {
        output::json(&json!({ "dir": dir, "files": files.map(|(name, _)| name) }));
        return Ok(Status::Good);
    }
    for (name, _) in &files {
        output::line(format_args!("{} {}", paint(GOOD, "wrote"), dir.join(name).display()));
    }
    output::line(paint(BOLD, "\nnow try"));
    if dir != Path::new(".") {
        output::line(format_args!("  cd {}", dir.display()));
    }
    output::line("  hookgate test                           does the rule do what its tests say?");
    output::line("  hookgate check                          is anything else wrong?");
    output::line("  hookgate serve                          run it; it makes a secret and says where");
    output::line("  hookgate simulate okta.registration     in another terminal: be Okta, and see what happens");
    output::line("then change scripts/registration.rhai: saved, it is live a moment later, if its tests pass");
    Ok(Status::Good)
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    let failed = || format!("`{}` cannot be written", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(failed)?;
    }
    let mut file = fs::File::create_new(path).with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)
}
