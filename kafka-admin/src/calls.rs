//! One file per request: its shape, its values, and what [`crate::Client`] offers for it.

pub(crate) mod alter_client_quotas;
pub(crate) mod api_versions;
pub(crate) mod describe_client_quotas;
pub(crate) mod describe_cluster;
pub(crate) mod describe_configs;
pub(crate) mod groups;
pub(crate) mod metadata;
pub(crate) mod sasl;
