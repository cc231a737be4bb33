//! One broker's quota sensor and the connections that feed it, in milliseconds: what Kafka does, written down from its
//! `SampledStat`, `Rate`, `Sensor` and `QuotaUtils`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Which samples count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    /// Those that overlap the window (4.0 and later).
    Overlapping,
    /// Those that began within it (before).
    Begun,
}

#[derive(Clone, Copy)]
struct Sample {
    start: i64,
    last: i64,
    value: f64,
}

impl Sample {
    fn at(now: i64) -> Self {
        Self { start: now, last: now, value: 0.0 }
    }
}

/// A `Rate` over a `WindowedSum`.
pub(super) struct Sensor {
    num: usize,
    size: i64,
    keeps: Keeps,
    samples: Vec<Sample>,
    current: usize,
}

impl Sensor {
    pub(super) fn new(num: u32, size: i64, keeps: Keeps) -> Self {
        Self { num: num as usize, size, keeps, samples: Vec::new(), current: 0 }
    }

    fn record(&mut self, value: f64, now: i64) {
        if self.samples.is_empty() {
            self.samples.push(Sample::at(now));
        }
        if now - self.samples[self.current].start >= self.size {
            let most = if self.keeps == Keeps::Overlapping { self.num + 1 } else { self.num };
            self.current = (self.current + 1) % most;
            if self.current >= self.samples.len() {
                self.samples.push(Sample::at(now));
            } else {
                self.samples[self.current] = Sample::at(now);
            }
        }
        let sample = &mut self.samples[self.current];
        sample.value += value;
        sample.last = now;
    }

    /// The rate a second, and over how many milliseconds it is taken.
    pub(super) fn measure(&mut self, now: i64) -> (f64, i64) {
        let expire = self.num as i64 * self.size;
        for sample in &mut self.samples {
            let from = if self.keeps == Keeps::Overlapping { sample.last } else { sample.start };
            if now - from >= expire {
                *sample = Sample::at(now);
            }
        }
        let sum: f64 = self.samples.iter().map(|sample| sample.value).sum();
        let mut window = now - self.samples.iter().map(|sample| sample.start).min().unwrap_or(now);
        let (full, least) = (window / self.size, self.num as i64 - 1);
        if full < least {
            window += (least - full) * self.size;
        }
        (sum / (window as f64 / 1000.0), window)
    }
}

/// What a connection wants for a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    pub(super) lasts: i64,
    /// Bytes of one request; 0 is silence.
    pub(super) bytes: f64,
    /// From one answer to the next request.
    pub(super) gap: i64,
}

/// A broker with connections of one entity.
pub(super) struct Broker {
    pub(super) now: i64,
    pub(super) sensor: Sensor,
    pub(super) bound: Option<f64>,
    /// The longest mute so far.
    pub(super) longest_mute: i64,
    /// The highest rate of the sensor since this was reset.
    pub(super) peak: f64,
    connections: Vec<Vec<Phase>>,
    /// When each connection can send next.
    ready: BinaryHeap<Reverse<(i64, usize)>>,
}

impl Broker {
    pub(super) fn new(sensor: Sensor, connections: Vec<Vec<Phase>>) -> Self {
        let ready = (0..connections.len()).map(|connection| Reverse((0, connection))).collect();
        Self { now: 0, sensor, bound: None, longest_mute: 0, peak: 0.0, connections, ready }
    }

    /// Lets time pass. Phases repeat for ever.
    pub(super) fn run_to(&mut self, end: i64) {
        while let Some(Reverse((at, connection))) = self.ready.peek().copied()
            && at < end
        {
            self.ready.pop();
            let next = self.turn(at, connection);
            self.ready.push(Reverse((next, connection)));
        }
        self.now = end;
        self.peak = self.peak.max(self.sensor.measure(end).0);
    }

    /// One connection sends a request, or waits for its next phase; when it can send again.
    fn turn(&mut self, at: i64, connection: usize) -> i64 {
        let phases = &self.connections[connection];
        let mut within = at % phases.iter().map(|phase| phase.lasts).sum::<i64>();
        let mut phase = phases[0];
        for next in phases {
            phase = *next;
            if within < phase.lasts {
                break;
            }
            within -= phase.lasts;
        }
        if phase.bytes == 0.0 {
            return at + (phase.lasts - within);
        }
        self.sensor.record(phase.bytes, at);
        let (rate, window) = self.sensor.measure(at);
        self.peak = self.peak.max(rate);
        let mute = match self.bound {
            Some(bound) if rate > bound => ((rate - bound) / bound * window as f64).round() as i64,
            _ => 0,
        };
        self.longest_mute = self.longest_mute.max(mute);
        at + mute.max(phase.gap)
    }
}
