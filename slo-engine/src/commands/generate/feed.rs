//! Made SLOs in, an assembled output out: which section each goes into, and what became of it.

use slo_engine_core::SpecKind;

use super::args::OutputArgs;
use super::make::Made;
use super::target::{namespace_name, object_name};
use crate::input::Input;
use crate::output::{Assembler, Format, ObjectMeta, OutputError, Parts, Section};
use crate::spec::Object;

/// How much was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) slos: usize,
    pub(super) rules: usize,
    /// Kubernetes objects, which are written even without rules.
    pub(super) objects: usize,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.slos += other.slos;
        self.rules += other.rules;
        self.objects += other.objects;
    }
}

/// What the groups of a document go into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) section: Section,
    /// The documents of one input share it, although it is an object.
    shared: bool,
}

impl Place {
    /// The place of a document, by `--format` and, without it, by the document's own format as in Sloth.
    pub(super) fn of(args: &OutputArgs, input: &Input, object: &Object) -> Self {
        let kubernetes = object.spec == SpecKind::KubernetesV1;
        let format =
            args.format.unwrap_or(if kubernetes { Format::PrometheusOperator } else { Format::Prometheus });
        let section = match format {
            Format::Prometheus => Section::Groups,
            Format::Mimir => {
                Section::Namespace(args.namespace.clone().unwrap_or_else(|| namespace_name(input)))
            }
            Format::PrometheusOperator if kubernetes => Section::Object(ObjectMeta {
                name: object.name.clone(),
                namespace: Some(object.namespace.clone())
                    .filter(|name| !name.is_empty())
                    .or(args.namespace.clone()),
                labels: object.labels.clone(),
                annotations: object.annotations.clone(),
            }),
            Format::PrometheusOperator => Section::Object(ObjectMeta {
                name: object_name(input),
                namespace: args.namespace.clone(),
                ..ObjectMeta::default()
            }),
        };
        Self { section, shared: !kubernetes }
    }
}

/// Feeds an [`Assembler`].
pub(super) struct Feed<P> {
    assembler: Assembler<P>,
    counts: Counts,
    open: Option<Document>,
}

struct Document {
    number: usize,
    place: Place,
    begun: bool,
    failed: bool,
}

impl<P: Parts> Feed<P> {
    pub(super) fn new(assembler: Assembler<P>) -> Self {
        Self { assembler, counts: Counts::default(), open: None }
    }

    /// Takes the next SLO. `number` tells its document from the one before.
    pub(super) fn slo(&mut self, number: usize, place: &Place, made: &Made) -> Result<(), OutputError> {
        let mut document = match self.open.take() {
            Some(open) if open.number == number => open,
            Some(open) if place.shared && open.place == *place => Document { number, ..open },
            open => {
                self.close(open)?;
                Document { number, place: place.clone(), begun: false, failed: false }
            }
        };
        document.failed |= made.failed;
        self.counts.slos += usize::from(!made.failed);
        for group in &made.groups {
            if !document.begun {
                self.assembler.begin(&place.section)?;
                document.begun = true;
            }
            self.assembler.group(&group.name, &group.text)?;
            self.counts.rules += group.rules;
        }
        self.open = Some(document);
        Ok(())
    }

    /// Completes the output.
    pub(super) fn finish(mut self) -> Result<(P, Counts), OutputError> {
        let open = self.open.take();
        self.close(open)?;
        let (parts, _) = self.assembler.finish()?;
        Ok((parts, self.counts))
    }

    /// An object that has no rules because its SLOs have none is written: it replaces the one in the cluster. One whose
    /// SLOs have errors is not.
    fn close(&mut self, document: Option<Document>) -> Result<(), OutputError> {
        let Some(document) = document else { return Ok(()) };
        let is_object = matches!(document.place.section, Section::Object(_));
        if is_object && !document.begun && !document.failed {
            self.assembler.begin(&document.place.section)?;
        }
        self.counts.objects += usize::from(is_object && (document.begun || !document.failed));
        Ok(())
    }
}
