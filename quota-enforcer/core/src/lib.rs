//! Pure decisions about client quotas.
