//! Against real servers.
mod rules;
