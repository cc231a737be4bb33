//! Against a real Prometheus that scrapes pages of our choosing.

mod bed;
mod observe;
mod self_check;
