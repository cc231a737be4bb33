//! Which brokers there are.

use std::collections::{BTreeMap, BTreeSet};

use super::Target;
use crate::calls::metadata::Metadata;
use crate::error::Endpoint;

/// The brokers of the last metadata, and the addresses to begin with.
#[derive(Debug)]
pub(super) struct Directory {
    bootstrap: Vec<Endpoint>,
    brokers: BTreeMap<i32, Endpoint>,
    controller: Option<i32>,
    /// Who answered last.
    preferred: Option<Endpoint>,
}

impl Directory {
    pub(super) fn new(bootstrap: Vec<Endpoint>) -> Self {
        Self { bootstrap, brokers: BTreeMap::new(), controller: None, preferred: None }
    }

    /// A cluster without brokers cannot answer, so an empty list is not taken over.
    pub(super) fn learn(&mut self, metadata: &Metadata) {
        if metadata.brokers.is_empty() {
            return;
        }
        self.brokers =
            metadata.brokers.iter().filter_map(|broker| Some((broker.id?, broker.clone()))).collect();
        self.controller = metadata.controller;
        if self.preferred.as_ref().is_some_and(|preferred| preferred.id.is_none()) {
            self.preferred = None;
        }
    }

    pub(super) fn addresses(&self) -> BTreeSet<(String, u16)> {
        let all = self.brokers.values().chain(&self.bootstrap);
        all.map(|endpoint| (endpoint.host.clone(), endpoint.port)).collect()
    }

    pub(super) fn prefer(&mut self, endpoint: &Endpoint, works: bool) {
        match works {
            true => self.preferred = Some(endpoint.clone()),
            false if self.preferred.as_ref() == Some(endpoint) => self.preferred = None,
            false => {}
        }
    }

    /// Whom to ask, given who has been asked in vain.
    pub(super) fn choose(&self, target: Target, tried: &[Endpoint]) -> Option<Endpoint> {
        let untried = |endpoint: &&Endpoint| !tried.contains(endpoint);
        let wanted = match target {
            Target::Broker(id) => return self.brokers.get(&id).cloned(),
            Target::Controller => self.controller.and_then(|id| self.brokers.get(&id)),
            Target::Any => self.preferred.as_ref(),
        };
        if let Some(endpoint) = wanted.filter(untried) {
            return Some(endpoint.clone());
        }
        let brokers: Vec<_> = self.brokers.values().filter(untried).collect();
        let bootstrap: Vec<_> = self.bootstrap.iter().filter(untried).collect();
        let all: Vec<_> = self.brokers.values().chain(&self.bootstrap).collect();
        [brokers, bootstrap, all].iter().find_map(fastrand::choice).map(|chosen| (*chosen).clone())
    }
}

#[cfg(test)]
mod tests;
