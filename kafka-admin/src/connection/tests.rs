use std::time::Duration;

use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};
use tokio::time::{advance, timeout};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A request in the outbox of a connection whose writer has not looked yet, and the broker's end of a pipe.
struct Queued {
    pending: Arc<Pending>,
    answer: tokio::sync::oneshot::Receiver<Result<Bytes, Failed>>,
    requests: mpsc::Receiver<(i32, Bytes)>,
    writer: DuplexStream,
    broker: DuplexStream,
}

/// The pipe takes so many bytes until the broker reads.
async fn queued(frame: &'static [u8], pipe: usize) -> Queued {
    let pending = Arc::new(Pending::default());
    let (id, answer) = pending.enter(Instant::now() + SECOND).unwrap();
    let (outbox, requests) = mpsc::channel(1);
    outbox.send((id, Bytes::from_static(frame))).await.unwrap();
    let (writer, broker) = duplex(pipe);
    Queued { pending, answer, requests, writer, broker }
}

async fn received(mut broker: DuplexStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    broker.read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waited_past_its_deadline_is_not_sent() {
    for (waited, sent) in
        [(SECOND - Duration::from_millis(1), true), (SECOND, false), (SECOND * 3_600, false)]
    {
        let Queued { pending, mut answer, requests, writer, broker } = queued(b"alter", 64).await;
        // As when the process is stopped here.
        advance(waited).await;
        send(writer, requests, Arc::clone(&pending)).await;
        assert_eq!(received(broker).await, if sent { &b"alter"[..] } else { b"" }, "{waited:?}");
        match sent {
            true => assert!(answer.try_recv().is_err(), "it is waited for"),
            false => assert_eq!(answer.await, Ok(Err(Failed::Late))),
        }
        assert!(!pending.is_broken(), "others may go on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_written_in_part_when_its_deadline_passes_stays_so() {
    let Queued { pending, answer, requests, writer, broker } = queued(b"alteration", 4).await;
    let mut sending = Box::pin(send(writer, requests, Arc::clone(&pending)));
    assert!(timeout(SECOND / 2, &mut sending).await.is_err(), "the broker does not read");
    advance(SECOND).await;
    let (bytes, ()) = tokio::join!(received(broker), sending);
    assert_eq!(bytes, b"alte");
    let failed = answer.await.unwrap().unwrap_err();
    assert!(matches!(failed, Failed::Ended { sent: true, .. }), "{failed:?}");
}
