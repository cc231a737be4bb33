//! SLO specs: from text to [`Slo`] values that know where they were written.
//!
//! ```text
//! Source ──yaml──> documents ──kind──┬─> sloth     prometheus/v1, PrometheusServiceLevel
//!                                    ├─> alpha     OpenSLO v1alpha, as Sloth reads it
//!                                    └─> openslo   OpenSLO v1 (with objects of other files)
//!                                         └──> LocatedSlo + Object + Diagnostic
//! ```
//!
//! A file is read to the end whatever is wrong with it: an error costs the SLO it stands in, or the document when it
//! concerns all of its SLOs, and every error is reported. What Sloth ignores silently (unknown keys, a key written
//! twice, `yes` that becomes `true`) is a warning.

mod alpha;
mod kind;
mod openslo;
mod own;
mod places;
mod plugins;
mod reader;
mod scalar;
pub mod schema;
mod sloth;
pub(crate) mod suggest;
mod windows;

use std::collections::{BTreeMap, HashMap};

use daemon_kit::diagnostic::{Diagnostic, Level};
use daemon_kit::source::{Source, Span};
use daemon_kit::yaml::{self, Document, Limits};
use slo_engine_core::{Field, PromDuration, Slo, SpecKind};

pub use openslo::References;
pub use places::{LocatedSlo, Places, diagnose};
pub use windows::load_windows;

use kind::DocumentKind;

/// What specs are read with.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Period of SLOs that name none.
    pub default_period: PromDuration,
    /// Labels for all SLOs; they win over the spec's.
    pub extra_labels: BTreeMap<String, String>,
    /// Profile `sloth`: our own keys are ignored, as Sloth ignores them.
    pub sloth: bool,
    /// Step of the subqueries that OpenSLO v1 queries become.
    pub subquery_step: PromDuration,
    /// Budget of the YAML reader.
    pub limits: Limits,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            default_period: PromDuration::from_days(30),
            extra_labels: BTreeMap::new(),
            sloth: false,
            subquery_step: PromDuration::from_secs(60),
            limits: Limits::default(),
        }
    }
}

/// A document that holds SLOs, with what a Kubernetes output needs of it.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its format.
    pub spec: SpecKind,
    /// The text it was read from.
    pub source: Source,
    /// Which document of that text, from 0.
    pub document: usize,
    /// `metadata.name`; the service where the format has no metadata.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`, if written.
    pub annotations: Option<BTreeMap<String, String>>,
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The documents with SLOs.
    pub objects: Vec<Object>,
    /// The SLOs, in written order.
    pub slos: Vec<LocatedSlo>,
    /// Everything there is to say, in the order in which it was found.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// Whether anything could not be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.level == Level::Error)
    }

    fn append(&mut self, mut other: Self) {
        let objects = self.objects.len();
        for slo in &mut other.slos {
            slo.object += objects;
        }
        self.objects.append(&mut other.objects);
        self.slos.append(&mut other.slos);
        self.diagnostics.append(&mut other.diagnostics);
    }
}

/// Reads all sources, and reports SLOs that several of them define.
#[must_use]
pub fn load_sources(sources: &[Source], options: &LoadOptions) -> Loaded {
    let mut loaded = Loaded::default();
    let mut registry = Registry::default();
    let mut references = References::default();
    for source in sources {
        references.collect(source, options.limits);
    }
    for source in sources {
        let mut one = load_with(source, options, &references);
        one.slos.retain(|slo| match registry.insert(slo) {
            Ok(()) => true,
            Err(duplicate) => {
                one.diagnostics.push(duplicate);
                false
            }
        });
        loaded.append(one);
    }
    loaded
}

/// Reads one source that refers to no other.
#[must_use]
pub fn load(source: &Source, options: &LoadOptions) -> Loaded {
    let mut references = References::default();
    references.collect(source, options.limits);
    load_with(source, options, &references)
}

/// Reads one source of several, whose [`References`] were collected before. SLOs that two sources define are found by a
/// [`Registry`].
#[must_use]
pub fn load_with(source: &Source, options: &LoadOptions, references: &References) -> Loaded {
    let mut loaded = Loaded::default();
    for document in yaml::documents(source, options.limits) {
        match document {
            Ok(document) => load_document(&document, options, references, &mut loaded),
            Err(diagnostic) => loaded.diagnostics.push(diagnostic),
        }
    }
    loaded
}

fn load_document(document: &Document, options: &LoadOptions, references: &References, loaded: &mut Loaded) {
    let Some(root) = document.root() else { return };
    let first = loaded.slos.len();
    match kind::detect(root, &mut loaded.diagnostics) {
        DocumentKind::PrometheusV1 => sloth::prometheus(root, options, loaded),
        DocumentKind::KubernetesV1 => sloth::kubernetes(root, options, loaded),
        DocumentKind::OpenSloV1Alpha => alpha::load(root, options, loaded),
        DocumentKind::OpenSloV1 => openslo::load(root, options, references, loaded),
        DocumentKind::OpenSloSli => openslo::check_sli(root, loaded),
        DocumentKind::Skipped => {}
    }
    one_of_each(first, loaded);
}

/// Drops SLOs whose id an earlier one of the same document has, as Sloth refuses them.
fn one_of_each(first: usize, loaded: &mut Loaded) {
    let mut seen: HashMap<String, Span> = HashMap::new();
    let rest = loaded.slos.split_off(first);
    for slo in rest {
        let place = slo.places.get(&Field::Name);
        match seen.get(&slo.slo.id) {
            Some(earlier) => {
                let message = format!("SLO `{}` is defined twice in this document", slo.slo.id);
                loaded.diagnostics.push(
                    Diagnostic::error("duplicate-slo", message)
                        .at(&slo.source, place)
                        .related(&slo.source, *earlier, "first defined here")
                        .help("give one of them another name"),
                );
            }
            None => {
                seen.insert(slo.slo.id.clone(), place);
                loaded.slos.push(slo);
            }
        }
    }
}

/// Remembers which SLOs were seen, to find those that two documents define.
#[derive(Debug, Default)]
pub struct Registry(HashMap<String, (Source, Span)>);

impl Registry {
    /// Adds an SLO.
    ///
    /// # Errors
    /// A diagnostic with both places when another SLO has the same id.
    pub fn insert(&mut self, located: &LocatedSlo) -> Result<(), Diagnostic> {
        use std::collections::hash_map::Entry;

        let Slo { id, service, name, .. } = &located.slo;
        let place = located.places.get(&Field::Name);
        match self.0.entry(id.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert((located.source.clone(), place));
                Ok(())
            }
            Entry::Occupied(earlier) => {
                let (source, span) = earlier.get();
                let message = format!("SLO `{id}` (service `{service}`, name `{name}`) is defined twice");
                Err(Diagnostic::error("duplicate-slo", message)
                    .at(&located.source, place)
                    .related(source, *span, "first defined here")
                    .help("rules of the same name with the same labels fail in Prometheus; rename or remove one"))
            }
        }
    }
}
