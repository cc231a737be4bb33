//! Sources, a batch at a time.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use daemon_kit::diagnostic::{Diagnostic, Level};
use daemon_kit::source::Source;
use rayon::prelude::*;

use super::args::OutputArgs;
use super::feed::Place;
use crate::input::Input;
use crate::spec::{self, LoadOptions, Loaded, LocatedSlo, References, Registry};

/// Sources read together: at most so many files and, past the first, so many bytes.
const BATCH_FILES: usize = 256;
const BATCH_BYTES: u64 = 1 << 20;

/// Texts kept between collecting what OpenSLO documents define for each other and loading them: as many bytes.
const KEPT_BYTES: usize = 24 << 20;

/// Reads sources and knows which SLOs it has seen.
pub(super) struct Reader<'a> {
    output: &'a OutputArgs,
    options: LoadOptions,
    inputs: &'a [Input],
    next: usize,
    /// Texts that were read already, by input; `None` where there are none.
    texts: Option<Vec<Option<Source>>>,
    references: References,
    registry: Registry,
    documents: usize,
}

/// A source that was read.
pub(super) struct Read<'a> {
    pub(super) input: &'a Input,
    pub(super) loaded: Loaded,
    /// Something of it could not be used.
    pub(super) failed: bool,
    /// What its documents go into.
    places: Vec<Place>,
    /// Number of its first document among all.
    first: usize,
}

/// An SLO of a source.
pub(super) struct Item<'r> {
    pub(super) located: &'r LocatedSlo,
    pub(super) place: &'r Place,
    /// Tells its document from those of other SLOs.
    pub(super) document: usize,
}

impl Read<'_> {
    pub(super) fn slos(&self) -> impl Iterator<Item = Item<'_>> {
        self.loaded.slos.iter().filter_map(|located| {
            let place = self.places.get(located.object)?;
            Some(Item { located, place, document: self.first + located.object })
        })
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(output: &'a OutputArgs, options: LoadOptions, inputs: &'a [Input]) -> Self {
        Self {
            output,
            options,
            inputs,
            next: 0,
            texts: None,
            references: References::default(),
            registry: Registry::default(),
            documents: 0,
        }
    }

    /// Reads the next inputs; `None` after the last. An SLO that another document defines too is an error where both would
    /// stand in one file; in a tree it is a warning across files, which may be meant for different servers.
    pub(super) fn batch(&mut self, stdin: &mut dyn std::io::Read, tree: bool) -> Option<Vec<Read<'a>>> {
        let rest = self.inputs.get(self.next..).filter(|rest| !rest.is_empty())?;
        let batch = rest.get(..batch_length(rest)).unwrap_or(rest);
        let first = self.next;
        self.next += batch.len();
        let mut loaded = match self.inputs {
            [one] => {
                vec![one.read(stdin).map_or_else(unreadable, |source| spec::load(&source, &self.options))]
            }
            _ => self.load(batch, first),
        };
        for one in &mut loaded {
            self.find_duplicates(one, tree);
        }
        let read = batch.iter().zip(loaded).map(|(input, loaded)| {
            let places: Vec<_> =
                loaded.objects.iter().map(|object| Place::of(self.output, input, object)).collect();
            let first = self.documents;
            self.documents += places.len();
            Read { input, failed: loaded.has_errors(), loaded, places, first }
        });
        Some(read.collect())
    }

    fn load(&mut self, batch: &[Input], first: usize) -> Vec<Loaded> {
        if self.texts.is_none() {
            self.texts = Some(self.collect());
        }
        let texts = self.texts.as_deref().unwrap_or_default();
        let kept = texts.get(first..).unwrap_or_default();
        let (options, references) = (&self.options, &self.references);
        let loaded = batch
            .par_iter()
            .enumerate()
            .map(|(index, input)| {
                let source = match kept.get(index) {
                    Some(Some(source)) => Ok(source.clone()),
                    _ => input.read(&mut std::io::empty()),
                };
                source.map_or_else(unreadable, |source| spec::load_with(&source, options, references))
            })
            .collect();
        // Not needed again.
        let end = first + batch.len();
        for text in self.texts.iter_mut().flatten().skip(first).take(end - first) {
            *text = None;
        }
        loaded
    }

    /// Looks at all texts for what OpenSLO documents define for each other, and keeps what it has read while it is small.
    fn collect(&mut self) -> Vec<Option<Source>> {
        let bytes = AtomicUsize::new(0);
        let read: Vec<(Option<Source>, bool)> = self
            .inputs
            .par_iter()
            .map(|input| {
                // What cannot be read is told when it is loaded.
                let Ok(source) = input.read(&mut std::io::empty()) else { return (None, false) };
                let defines = References::may_define(source.text());
                let keep = bytes.fetch_add(source.text().len(), Ordering::Relaxed) < KEPT_BYTES;
                ((keep || defines).then_some(source), defines)
            })
            .collect();
        for (source, _) in read.iter().filter(|(_, defines)| *defines) {
            if let Some(source) = source {
                self.references.collect(source, self.options.limits);
            }
        }
        read.into_iter().map(|(source, _)| source).collect()
    }

    fn find_duplicates(&mut self, loaded: &mut Loaded, tree: bool) {
        let Loaded { slos, diagnostics, .. } = loaded;
        slos.retain(|slo| {
            let Err(mut duplicate) = self.registry.insert(slo) else { return true };
            let here = slo.source.name();
            let elsewhere = duplicate.related.iter().any(|(place, _)| place.source.name() != here);
            let other_file = tree && elsewhere;
            if other_file {
                duplicate.level = Level::Warning;
                duplicate.help =
                    Some("harmless only if the two files go to different Prometheus servers".to_owned());
            }
            diagnostics.push(duplicate);
            other_file
        });
    }
}

fn unreadable(error: anyhow::Error) -> Loaded {
    let unreadable = Diagnostic::error("unreadable", format!("{error:#}"));
    Loaded { diagnostics: vec![unreadable], ..Loaded::default() }
}

fn batch_length(inputs: &[Input]) -> usize {
    let mut bytes = 0;
    for (index, input) in inputs.iter().take(BATCH_FILES).enumerate() {
        bytes += match input {
            Input::Stdin => BATCH_BYTES,
            Input::File { path, .. } => fs::metadata(path).map_or(0, |meta| meta.len()),
        };
        if bytes >= BATCH_BYTES {
            return index.max(1);
        }
    }
    inputs.len().min(BATCH_FILES)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn batches_are_bounded_by_files_and_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let input = |name: &str, bytes: u64| {
            let path = directory.path().join(name);
            fs::File::create(&path).unwrap().set_len(bytes).unwrap();
            Input::File { path, relative: PathBuf::from(name) }
        };
        let (small, large) = (input("small", 10), input("large", BATCH_BYTES));
        assert_eq!(batch_length(&vec![small.clone(); 1_000]), BATCH_FILES);
        assert_eq!(batch_length(&[small.clone(), small.clone(), large.clone()]), 2);
        assert_eq!(batch_length(&[large, small]), 1);
        assert_eq!(batch_length(&[Input::Stdin]), 1);
    }
}
