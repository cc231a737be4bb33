//! Waiting for a condition, never for a time.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::time::Instant;

/// How long tests wait for what has to come. Generous: a machine that is busy with something else is no failure.
pub const LIMIT: Duration = Duration::from_secs(300);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Why it is no use to wait any longer, such as the end of the process that is waited for.
#[derive(Debug)]
pub struct Hopeless(pub String);

impl fmt::Display for Hopeless {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl std::error::Error for Hopeless {}

/// Calls `probe` until it yields a value. An error of the probe may pass: it is tried again, unless it is [`Hopeless`].
///
/// # Errors
/// When `limit` has passed (the message names `what`, and the last error of the probe), or at once when it is hopeless.
pub async fn until<T, F, Fut>(what: &str, limit: Duration, mut probe: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let deadline = Instant::now() + limit;
    loop {
        let last = match probe().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) if error.is::<Hopeless>() => return Err(error),
            Err(error) => Some(error),
        };
        if Instant::now() >= deadline {
            let vain = format!("waited {} s in vain for {what}", limit.as_secs());
            return Err(match last {
                None => anyhow!(vain),
                Some(error) => error.context(vain),
            });
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
        let cloudy = until("the moon", Duration::ZERO, || async { Err::<Option<()>, _>(anyhow!("clouds")) });
        assert_eq!(format!("{:#}", cloudy.await.unwrap_err()), "waited 0 s in vain for the moon: clouds");
    }

    #[tokio::test(start_paused = true)]
    async fn returns_what_the_probe_found_after_errors_that_passed() {
        let mut calls = 0;
        let found = until("three calls", LIMIT, || {
            calls += 1;
            let calls = calls;
            async move { if calls == 3 { Ok(Some(calls)) } else { Err(anyhow!("not yet")) } }
        });
        assert_eq!(found.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn what_is_hopeless_is_not_waited_for() {
        let ended = until("a process", LIMIT, || async {
            Err::<Option<()>, _>(Hopeless("it exited".to_owned()).into())
        });
        assert_eq!(ended.await.unwrap_err().to_string(), "it exited");
    }
}
