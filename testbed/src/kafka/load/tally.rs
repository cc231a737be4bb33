//! What became of a producer's records.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::Instant;

use super::histogram::{Histogram, percentile};

/// A record that the brokers promised to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acknowledged {
    /// Which of the producer's connections, from 0.
    pub connection: usize,
    /// Which record of that connection, from 0.
    pub sequence: u64,
    /// Partition it lies in.
    pub partition: i32,
    /// Offset it has there.
    pub offset: i64,
}

/// Since the last reading (the first: since the start).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// How long that is.
    pub elapsed: Duration,
    /// Records acknowledged.
    pub acknowledged: u64,
    /// Bytes of records acknowledged, per second.
    pub rate: f64,
    /// Median time from hand-over to the client library to acknowledgement; `None` when none was acknowledged.
    pub p50: Option<Duration>,
    /// The 99th percentile of the same.
    pub p99: Option<Duration>,
    /// Longest time in which a connection that waited for acknowledgements of one partition got none; one that still goes on
    /// counts. A client has one connection to each broker, and brokers mute them one by one.
    pub longest_pause: Duration,
    /// How often a full buffer made a connection wait before it could hand over a record.
    pub blocked: u64,
    /// For how long, all connections together.
    pub blocked_for: Duration,
    /// Largest throttle time that a broker told, as librdkafka's statistics of the last second show it.
    pub throttled: Duration,
}

/// Since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records handed to the client library.
    pub sent: u64,
    /// Records acknowledged.
    pub acknowledged: u64,
    /// Records given up, by reason: expired (`MessageTimedOut`), refused, purged.
    pub failed: BTreeMap<String, u64>,
    /// Times a full buffer made a connection wait.
    pub blocked: u64,
    /// Largest throttle time that a broker told.
    pub throttled: Duration,
    /// Errors that concern no record, such as a failed login.
    pub errors: BTreeMap<String, u64>,
}

impl Totals {
    /// Records handed over whose fate is open.
    #[must_use]
    pub fn outstanding(&self) -> u64 {
        self.sent.saturating_sub(self.acknowledged).saturating_sub(self.failed.values().sum())
    }
}

/// One of the producer's clients.
#[derive(Clone, Debug, Default)]
struct Connection {
    /// By partition.
    waits: BTreeMap<i32, Wait>,
    blocked_since: Option<Instant>,
}

/// For acknowledgements of one partition.
#[derive(Clone, Copy, Debug, Default)]
struct Wait {
    outstanding: u64,
    /// Last acknowledgement, or the first hand-over after all were acknowledged.
    since: Option<Instant>,
}

/// Everything that is known; the connections' threads write it, readings take from it.
#[derive(Debug)]
pub(super) struct Tally {
    connections: Vec<Connection>,
    acknowledged: Vec<Acknowledged>,
    latency: Histogram,
    totals: Totals,
    bytes: u64,
    blocked_for: Duration,
    // Since the last reading:
    since: Instant,
    bytes_before: u64,
    blocked_before: u64,
    longest_pause: Duration,
    throttled: Duration,
}

impl Tally {
    pub(super) fn new(connections: usize, now: Instant) -> Self {
        Self {
            connections: vec![Connection::default(); connections],
            acknowledged: Vec::new(),
            latency: Histogram::default(),
            totals: Totals::default(),
            bytes: 0,
            blocked_for: Duration::ZERO,
            since: now,
            bytes_before: 0,
            blocked_before: 0,
            longest_pause: Duration::ZERO,
            throttled: Duration::ZERO,
        }
    }

    pub(super) fn sent(&mut self, connection: usize, partition: i32, now: Instant) {
        self.totals.sent += 1;
        if let Some(connection) = self.connections.get_mut(connection) {
            let wait = connection.waits.entry(partition).or_default();
            wait.outstanding += 1;
            wait.since.get_or_insert(now);
        }
    }

    pub(super) fn acknowledged(&mut self, record: Acknowledged, bytes: usize, sent: Instant, now: Instant) {
        self.totals.acknowledged += 1;
        self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        self.acknowledged.push(record);
        self.latency.observe(now.saturating_duration_since(sent));
        self.settled(record.connection, record.partition, now);
    }

    pub(super) fn failed(&mut self, connection: usize, partition: i32, reason: String, now: Instant) {
        *self.totals.failed.entry(reason).or_default() += 1;
        self.settled(connection, partition, now);
    }

    fn settled(&mut self, connection: usize, partition: i32, now: Instant) {
        let Some(connection) = self.connections.get_mut(connection) else { return };
        let Some(wait) = connection.waits.get_mut(&partition) else { return };
        wait.outstanding = wait.outstanding.saturating_sub(1);
        if let Some(since) = wait.since {
            self.longest_pause = self.longest_pause.max(now.saturating_duration_since(since));
        }
        wait.since = (wait.outstanding > 0).then_some(now);
    }

    pub(super) fn error(&mut self, error: String) {
        *self.totals.errors.entry(error).or_default() += 1;
    }

    pub(super) fn throttled(&mut self, time: Duration) {
        self.throttled = self.throttled.max(time);
        self.totals.throttled = self.totals.throttled.max(time);
    }

    /// The buffer is full (or has room again).
    pub(super) fn blocked(&mut self, connection: usize, blocked: bool, now: Instant) {
        let Some(connection) = self.connections.get_mut(connection) else { return };
        match (connection.blocked_since, blocked) {
            (None, true) => {
                connection.blocked_since = Some(now);
                self.totals.blocked += 1;
            }
            (Some(since), false) => {
                connection.blocked_since = None;
                self.blocked_for += now.saturating_duration_since(since);
            }
            _ => {}
        }
    }

    pub(super) fn read(&mut self, now: Instant) -> Reading {
        let mut longest_pause = std::mem::take(&mut self.longest_pause);
        let mut blocked_for = std::mem::take(&mut self.blocked_for);
        for connection in &mut self.connections {
            for since in connection.waits.values().filter_map(|wait| wait.since) {
                longest_pause = longest_pause.max(now.saturating_duration_since(since));
            }
            if let Some(since) = connection.blocked_since.as_mut() {
                blocked_for += now.saturating_duration_since(*since);
                // The rest belongs to the next reading.
                *since = now;
            }
        }
        let elapsed = now.saturating_duration_since(self.since);
        let bytes = self.bytes - self.bytes_before;
        let latencies = self.latency.take();
        let reading = Reading {
            elapsed,
            acknowledged: u64::try_from(latencies.len()).unwrap_or(u64::MAX),
            rate: bytes_per_second(bytes, elapsed),
            p50: percentile(&latencies, 50),
            p99: percentile(&latencies, 99),
            longest_pause,
            blocked: self.totals.blocked - self.blocked_before,
            blocked_for,
            throttled: std::mem::take(&mut self.throttled),
        };
        self.since = now;
        self.bytes_before = self.bytes;
        self.blocked_before = self.totals.blocked;
        reading
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals.clone()
    }

    pub(super) fn records(&self) -> Vec<Acknowledged> {
        self.acknowledged.clone()
    }

    /// Adds its series in Prometheus' text format; every line carries `labels`.
    pub(super) fn expose(&self, labels: &str, text: &mut String) {
        self.latency.expose("client_produce_latency_seconds", labels, text);
        let failed: u64 = self.totals.failed.values().sum();
        let acknowledged = self.totals.acknowledged;
        // Writing to a string does not fail.
        writeln!(text, "client_produce_records_total{{{labels},outcome=\"acknowledged\"}} {acknowledged}")
            .ok();
        writeln!(text, "client_produce_records_total{{{labels},outcome=\"failed\"}} {failed}").ok();
        writeln!(text, "client_produce_bytes_total{{{labels}}} {}", self.bytes).ok();
        writeln!(text, "client_produce_blocked_total{{{labels}}} {}", self.totals.blocked).ok();
    }
}

fn bytes_per_second(bytes: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() {
        return 0.0;
    }
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / elapsed.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn record(sequence: u64) -> Acknowledged {
        Acknowledged { connection: 0, sequence, partition: 0, offset: 0 }
    }

    #[test]
    fn a_pause_is_a_wait_for_an_acknowledgement_and_an_idle_time_is_none() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut tally = Tally::new(2, start);
        tally.sent(0, 0, at(1));
        tally.acknowledged(record(0), 100, at(1), at(3));
        assert_eq!(tally.read(at(10)).longest_pause, Duration::from_secs(2), "then it was idle");
        tally.sent(0, 0, at(20));
        tally.sent(0, 0, at(21));
        tally.acknowledged(record(1), 100, at(20), at(21));
        assert_eq!(tally.read(at(29)).longest_pause, Duration::from_secs(8), "it still waits");
        tally.failed(0, 0, "expired".to_owned(), at(31));
        assert_eq!(tally.read(at(40)).longest_pause, Duration::from_secs(10));
        assert_eq!(tally.totals().outstanding(), 0);
    }

    #[test]
    fn one_broker_that_is_silent_is_a_pause_though_others_answer() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut tally = Tally::new(1, start);
        tally.sent(0, 0, at(0));
        for second in 0..9 {
            tally.sent(0, 1, at(second));
            let record = Acknowledged { partition: 1, ..record(second) };
            tally.acknowledged(record, 100, at(second), at(second + 1));
        }
        assert_eq!(tally.read(at(9)).longest_pause, Duration::from_secs(9));
    }

    #[test]
    fn a_reading_has_what_came_since_the_last_one() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut tally = Tally::new(1, start);
        tally.sent(0, 0, at(0));
        tally.blocked(0, true, at(1));
        tally.blocked(0, true, at(2));
        tally.throttled(Duration::from_millis(70));
        tally.acknowledged(record(0), 1_000, at(0), at(4));
        let first = tally.read(at(4));
        assert_eq!((first.acknowledged, first.blocked), (1, 1));
        assert_eq!(first.blocked_for, Duration::from_secs(3), "it still is");
        assert!((first.rate - 250.0).abs() < 1e-9);
        assert_eq!(first.p99, Some(Duration::from_secs(4)));
        assert_eq!(first.throttled, Duration::from_millis(70));
        tally.blocked(0, false, at(5));
        let second = tally.read(at(6));
        assert_eq!((second.acknowledged, second.blocked, second.p50), (0, 0, None));
        assert_eq!(second.blocked_for, Duration::from_secs(1));
        assert_eq!(second.throttled, Duration::ZERO);
        assert_eq!(tally.totals().throttled, Duration::from_millis(70));
    }
}
