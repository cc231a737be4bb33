//! The process as the kernel sees it, under the names that every Prometheus client uses.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Reads `/proc` at each scrape. What cannot be read is left out, never zero.
#[derive(Debug, Default)]
pub struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stat = Stat::read();
        let mut put = |name: &str, help: &str, metric: Option<&dyn Encode>| match metric {
            Some(metric) => metric.put(&mut encoder, name, help),
            None => Ok(()),
        };
        let cpu = stat.as_ref().map(|stat| ConstCounter::new(stat.cpu_seconds));
        put("process_cpu_seconds", "CPU time of user and system", as_encode(cpu.as_ref()))?;
        let resident = stat.as_ref().map(|stat| ConstGauge::new(stat.resident_bytes));
        put("process_resident_memory_bytes", "Memory in RAM", as_encode(resident.as_ref()))?;
        let virtual_ = stat.as_ref().map(|stat| ConstGauge::new(stat.virtual_bytes));
        put("process_virtual_memory_bytes", "Address space", as_encode(virtual_.as_ref()))?;
        let threads = stat.as_ref().map(|stat| ConstGauge::new(stat.threads));
        put("process_threads", "Threads", as_encode(threads.as_ref()))?;
        let start = stat.as_ref().and_then(|stat| stat.start_seconds).map(ConstGauge::new);
        put("process_start_time_seconds", "Start since 1970", as_encode(start.as_ref()))?;
        let open = open_fds().map(ConstGauge::new);
        put("process_open_fds", "Open file descriptors", as_encode(open.as_ref()))?;
        let most = max_fds().map(ConstGauge::new);
        put("process_max_fds", "Allowed file descriptors", as_encode(most.as_ref()))
    }
}

/// `EncodeMetric` of any kind.
trait Encode {
    fn put(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str) -> fmt::Result;
}

impl<M: EncodeMetric> Encode for M {
    fn put(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str) -> fmt::Result {
        self.encode(encoder.encode_descriptor(name, help, None, self.metric_type())?)
    }
}

fn as_encode<M: Encode>(metric: Option<&M>) -> Option<&dyn Encode> {
    metric.map(|metric| metric as &dyn Encode)
}

/// What `/proc/self/stat` says; fields are numbered as in `proc_pid_stat(5)`.
struct Stat {
    cpu_seconds: f64,
    resident_bytes: i64,
    virtual_bytes: i64,
    threads: i64,
    start_seconds: Option<f64>,
}

impl Stat {
    fn read() -> Option<Self> {
        let boot = fs::read_to_string("/proc/stat").ok().as_deref().and_then(boot_seconds);
        let page = i64::try_from(rustix::param::page_size()).ok()?;
        #[allow(clippy::cast_precision_loss, reason = "it is 100")]
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?, boot, ticks, page)
    }

    fn parse(text: &str, boot: Option<f64>, ticks: f64, page: i64) -> Option<Self> {
        // Field 2 is the command in brackets, and may hold blanks and brackets.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        let time = |number: usize| Some(field(number)?.parse::<f64>().ok()? / ticks);
        let whole = |number: usize| field(number)?.parse::<i64>().ok();
        let started = time(22)?;
        Some(Self {
            cpu_seconds: time(14)? + time(15)?,
            threads: whole(20)?,
            virtual_bytes: whole(23)?,
            resident_bytes: whole(24)?.checked_mul(page)?,
            start_seconds: boot.map(|boot| boot + started),
        })
    }
}

fn boot_seconds(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn open_fds() -> Option<i64> {
    // One of them reads the folder.
    i64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok().map(|count| count - 1)
}

fn max_fds() -> Option<i64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::metrics::encode;

    #[test]
    fn a_command_with_brackets_and_blanks_is_skipped() {
        let text =
            "7 (a) b) ) S 1 7 7 0 -1 4194304 1 0 0 0 250 150 0 0 20 0 3 0 1000 8192 2 18446744073709551615";
        let stat = Stat::parse(text, Some(1_000_000.0), 100.0, 4096).unwrap();
        assert_eq!((stat.cpu_seconds, stat.resident_bytes, stat.virtual_bytes), (4.0, 8192, 8192));
        assert_eq!((stat.threads, stat.start_seconds), (3, Some(1_000_010.0)));
        assert!(Stat::parse("", None, 100.0, 4096).is_none());
    }

    #[test]
    fn this_process_is_plausible() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let text = encode(&registry).unwrap();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
        assert!(value("process_cpu_seconds_total") >= 0.0 && value("process_threads") >= 1.0);
        assert!(value("process_max_fds") >= value("process_open_fds") && value("process_open_fds") >= 3.0);
        let now = SystemClock::new().now_ms() as f64 / 1e3;
        assert!((now - value("process_start_time_seconds")).abs() < 86_400.0);
    }
}
