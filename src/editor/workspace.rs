//! The open files, the bundle each belongs to, and what is known of it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gen_lsp_types::Uri;

use crate::editor::outline::Outline;
use crate::editor::text::Text;
use crate::editor::view::View;
use hookgate_engine::release::build::survey;
use hookgate_engine::release::build::survey::Survey;
use hookgate_engine::release::bundle::Place;
use hookgate_model::files::fence::{Fence, Purpose};
use hookgate_script::modules::Modules;

/// A file that the editor shows.
pub(super) struct Open {
    /// As the editor wrote it.
    pub(super) uri: Uri,
    pub(super) version: i32,
    pub(super) text: Text,
}

/// What a file belongs to: a bundle, or a folder without configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Home {
    pub(super) root: PathBuf,
    pub(super) config: Option<PathBuf>,
}

/// Everything that a survey needs, so that another thread can make it.
pub(super) struct Job {
    pub(super) home: Home,
    pub(super) open: BTreeMap<PathBuf, Arc<str>>,
    pub(super) versions: BTreeMap<PathBuf, i32>,
}

pub(super) struct Workspace {
    /// `gateway.toml`, or what `--config` says.
    config_name: String,
    pub(super) open: BTreeMap<PathBuf, Open>,
    surveys: HashMap<Home, Arc<Survey>>,
}

/// Scripts read from disk because a file without a bundle imports them.
const MAX_STRAY_FILES: usize = 64;
const MAX_SCRIPT_BYTES: u64 = 1 << 20;

impl Workspace {
    pub(super) fn new(config_name: String) -> Self {
        Self { config_name, open: BTreeMap::new(), surveys: HashMap::new() }
    }

    /// The bundle of the nearest configuration above a file. One outside its scripts folder belongs to none.
    pub(super) fn home(&mut self, path: &Path) -> Home {
        if let Some(home) = self.bundle_above(path) {
            let is_config = home.config.as_deref() == Some(path);
            if is_config || path.starts_with(scripts_folder(&home, &self.survey(&home))) {
                return home;
            }
        }
        Home { root: stray_root(path).to_owned(), config: None }
    }

    /// The bundle whose configuration is in this folder or nearest above.
    pub(super) fn bundle_above(&self, path: &Path) -> Option<Home> {
        path.ancestors().find_map(|folder| {
            let config = folder.join(&self.config_name);
            let there = self.open.contains_key(&config) || config.is_file();
            there.then(|| Home { root: folder.to_owned(), config: Some(config) })
        })
    }

    /// What is known of a bundle; looked at now, if it never was.
    pub(super) fn survey(&mut self, home: &Home) -> Arc<Survey> {
        if let Some(known) = self.surveys.get(home) {
            return known.clone();
        }
        let made = Arc::new(self.job(home).run(None));
        self.surveys.insert(home.clone(), made.clone());
        made
    }

    pub(super) fn keep(&mut self, home: Home, survey: Arc<Survey>) {
        self.surveys.insert(home, survey);
    }

    /// Every bundle that was looked at.
    pub(super) fn homes(&self) -> Vec<Home> {
        self.surveys.keys().cloned().collect()
    }

    pub(super) fn job(&self, home: &Home) -> Job {
        let belongs = |path: &Path| match home.config {
            Some(_) => path.starts_with(&home.root),
            None => stray_root(path) == home.root,
        };
        let inside = || self.open.iter().filter(|(path, _)| belongs(path));
        Job {
            home: home.clone(),
            open: inside().map(|(path, open)| (path.clone(), open.text.text.clone())).collect(),
            versions: inside().map(|(path, open)| (path.clone(), open.version)).collect(),
        }
    }

    /// An open script with what surrounds it.
    pub(super) fn with_view<R>(&mut self, path: &Path, answer: impl FnOnce(&View) -> R) -> Option<R> {
        let home = self.home(path);
        let survey = self.survey(&home);
        let text = self.open.get(path)?.text.clone();
        let folder = scripts_folder(&home, &survey);
        let name = path.strip_prefix(&folder).ok()?.to_str()?.replace('\\', "/");
        name.ends_with(".rhai").then(|| answer(&View::new(name, text, folder, &survey)))
    }
}

/// Where imports of a file start that belongs to no bundle.
fn stray_root(path: &Path) -> &Path {
    let named = path.ancestors().skip(1).find(|folder| folder.ends_with("scripts"));
    named.or(path.parent()).unwrap_or(Path::new("/"))
}

/// Where the scripts of a bundle are.
pub(super) fn scripts_folder(home: &Home, survey: &Survey) -> PathBuf {
    home.root.join(&survey.dir)
}

impl Job {
    /// Looks at the bundle as the editor shows it. `before` lends what did not change.
    pub(super) fn run(&self, before: Option<&Survey>) -> Survey {
        match &self.home.config {
            Some(config) => survey::survey(&Place { open: self.open.clone(), ..Place::of(config) }, before),
            None => survey::of_scripts(self.stray(), ".".to_owned(), None, before),
        }
    }

    /// The open scripts, and what they import.
    fn stray(&self) -> BTreeMap<String, Arc<str>> {
        let mut found: BTreeMap<String, Arc<str>> = BTreeMap::new();
        let mut todo: Vec<(String, Arc<str>)> = Vec::new();
        for (path, text) in &self.open {
            let name = path.strip_prefix(&self.home.root).ok().and_then(Path::to_str);
            todo.extend(
                name.filter(|name| name.ends_with(".rhai")).map(|name| (name.replace('\\', "/"), text.clone())),
            );
        }
        while let Some((name, text)) = todo.pop() {
            for import in Outline::of(&text).imports {
                let file = Modules::file_of(&import.path);
                if !found.contains_key(&file) && found.len() + todo.len() < MAX_STRAY_FILES {
                    todo.extend(self.read(&file).map(|text| (file, text)));
                }
            }
            found.insert(name, text);
        }
        found
    }

    fn read(&self, file: &str) -> Option<Arc<str>> {
        let path = self.home.root.join(file);
        if let Some(text) = self.open.get(&path) {
            return Some(text.clone());
        }
        let bytes = Fence::new(&self.home.root).read(file, Purpose::Text, MAX_SCRIPT_BYTES).ok()?;
        String::from_utf8(bytes).ok().map(Arc::from)
    }
}
