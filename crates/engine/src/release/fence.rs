//! The fence of a bundle, as its configuration says: further roots, and which files are secrets, the store, or sources.

use std::sync::Arc;

use crate::config::Config;
use crate::config::Document;
use crate::config::auth::Auth;
use crate::release::build::Secrets;
use crate::release::bundle::Place;
use crate::release::outside;
use hookgate_model::files::fence::Fence;
use hookgate_model::finding::Finding;
use hookgate_model::secret::SecretSource;
use hookgate_store::open;

/// Where a bundle is and what of the machine it may look at.
pub(super) struct World<'a> {
    pub(super) place: &'a Place,
    pub(super) fence: &'a Arc<Fence>,
    pub(super) secrets: Secrets,
}

/// The fence of a bundle, and what is wrong with the roots that it lists.
pub(super) fn of(place: &Place, document: &Document) -> (Fence, Vec<Finding>) {
    let config = &document.config;
    let mut fence = Fence::new(&place.root);
    let mut findings = Vec::new();
    for (index, root) in config.scripts.roots.iter().enumerate() {
        if let Err(error) = fence.add_root(root) {
            let text = format!("`{root}` cannot be a root of the bundle: {error}");
            let finding = document.finding("config/bad-value", &format!("scripts.roots[{index}]"), text);
            findings.push(finding.help("name a folder that is there, such as `/srv/shared-tables`"));
        }
    }
    fence.add_source(&config.scripts.dir);
    fence.add_source(&place.config_name());
    for file in secret_files(config) {
        fence.close_secret(file);
    }
    if let Some(file) = config.store.url.text().ok().as_deref().and_then(open::file_of) {
        fence.close_store(file);
    }
    // Only now: a table beside a secret does not open the folder of the secret.
    for table in config.tables.values() {
        fence.add_source(&table.file);
    }
    (fence, findings)
}

/// Every file that holds a secret or a private key, as written.
fn secret_files(config: &Config) -> Vec<&str> {
    let mut files = outside::secret_files(config);
    let mut sources: Vec<&SecretSource> = config.admin.token.iter().chain(&config.admin.read_token).collect();
    sources.extend(config.telemetry.headers.values());
    sources.extend(config.auth.values().flat_map(Auth::secrets));
    files.extend(sources.into_iter().filter_map(SecretSource::file));
    files.extend(config.server.tls.iter().map(|tls| tls.key_file.as_str()));
    files
}
