//! Waiting for a condition, never for a time.

use std::future::Future;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;

/// How long tests wait for what has to come. Generous: a machine that is busy with something else is no failure.
pub const LIMIT: Duration = Duration::from_secs(180);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Calls `probe` until it yields a value.
///
/// # Errors
/// When `limit` has passed (the message names `what`), or at once when `probe` itself fails.
pub async fn until<T, F, Fut>(what: &str, limit: Duration, mut probe: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = probe().await? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("waited {} s in vain for {what}", limit.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gives_up_at_the_deadline_and_names_what_it_waited_for() {
        let never = until("the moon", Duration::ZERO, || async { Ok(None::<()>) }).await;
        assert_eq!(never.unwrap_err().to_string(), "waited 0 s in vain for the moon");
    }

    #[tokio::test]
    async fn returns_what_the_probe_found() {
        let mut calls = 0;
        let found = until("three calls", Duration::from_secs(3), || {
            calls += 1;
            let calls = calls;
            async move { Ok((calls == 3).then_some(calls)) }
        });
        assert_eq!(found.await.unwrap(), 3);
    }
}
