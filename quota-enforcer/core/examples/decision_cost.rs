//! What one decision costs: CPU of a tick and memory of a client, for growing numbers of clients on three brokers.
//! `bench/decision.sh` runs it.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::hint::black_box;
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use quota_enforcer_core::decide::{Block, Memory, Observation, State, decide};
use quota_enforcer_core::entity::{Client, Entity, Kind};
use quota_enforcer_core::ledger::{Hold, Ledger, Phase, Purpose};
use quota_enforcer_core::policy::{
    Burst, Caps, Confirm, Evidence, Floor, HoldTimes, Limit, Measure, Mode, Pattern, Policy, Protected, Rule,
    Select,
};
use quota_enforcer_core::quota::{Key, Slot, Snapshot};
use quota_enforcer_core::step::Window;
use quota_enforcer_core::time::Timestamp;
use quota_enforcer_core::usage::{Reading, Usage};

const BROKERS: [i32; 3] = [1, 2, 3];
const CLIENTS: [u32; 4] = [1_000, 3_000, 10_000, 30_000];
const TICKS: u32 = 40;
/// The goals are for so many clients.
const GOAL_CLIENTS: f64 = 10_000.0;
const GOAL_MS: f64 = 100.0;
const GOAL_BYTES: f64 = 4096.0;

/// Bytes a second on each broker of a client that is over the threshold, of one that is held, and its bound.
const HOT: f64 = 5e6;
const PRESSED: f64 = 0.95e6;
const BOUND: f64 = 1e6;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    if let Some(clients) = std::env::args().nth(1) {
        println!("{}", measure(clients.parse()?)?);
        return Ok(());
    }
    let mut rows: Vec<Row> = Vec::new();
    for clients in CLIENTS {
        // A process of its own: memory that a smaller run gave back would hide what a larger one takes.
        let output = Command::new(std::env::current_exe()?).arg(clients.to_string()).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        rows.push(String::from_utf8(output.stdout)?.parse()?);
    }
    print!("{}", document(&rows)?);
    Ok(())
}

/// What one run measures.
struct Row {
    clients: f64,
    quotas: f64,
    over: f64,
    held: f64,
    ms_per_tick: f64,
    bytes_per_client: f64,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clients, quotas, over, held, ms_per_tick, bytes_per_client } = self;
        write!(f, "{clients} {quotas} {over} {held} {ms_per_tick} {bytes_per_client}")
    }
}

impl FromStr for Row {
    type Err = Box<dyn std::error::Error>;

    fn from_str(text: &str) -> Result<Self> {
        let numbers: Vec<f64> =
            text.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?;
        let [clients, quotas, over, held, ms_per_tick, bytes_per_client] = numbers[..] else {
            return Err(format!("`{text}` is no row").into());
        };
        Ok(Self { clients, quotas, over, held, ms_per_tick, bytes_per_client })
    }
}

impl Row {
    fn us_per_client(&self) -> f64 {
        self.ms_per_tick * 1_000.0 / self.clients
    }
}

/// The tables of `docs/quota-decision.md`.
fn document(rows: &[Row]) -> Result<String> {
    let first = rows.first().ok_or("no run")?;
    let goal = rows.iter().find(|row| row.clients == GOAL_CLIENTS).ok_or("no run of the goal's size")?;
    let met = |is: bool| if is { "met" } else { "**missed**" };
    let mut out = String::new();
    writeln!(out, "{}\n", machine())?;
    writeln!(out, "| goal for 10,000 clients on three brokers | result |\n|---|---|")?;
    writeln!(
        out,
        "| at most 100 ms of CPU a tick | {}: {:.1} ms |",
        met(goal.ms_per_tick <= GOAL_MS),
        goal.ms_per_tick
    )?;
    writeln!(
        out,
        "| at most 4 KiB a client | {}: {:.2} KiB |",
        met(goal.bytes_per_client <= GOAL_BYTES),
        goal.bytes_per_client / 1024.0
    )?;
    writeln!(
        out,
        "\n| clients | series | quotas | over | held | CPU a tick | of one client | growth of that from 1,000 | memory of a client |\n\
         |---|---|---|---|---|---|---|---|---|"
    )?;
    for row in rows {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {:.1} ms | {:.2} µs | {:.2} times | {:.2} KiB |",
            row.clients,
            row.clients * 3.0,
            row.quotas,
            row.over,
            row.held,
            row.ms_per_tick,
            row.us_per_client(),
            row.us_per_client() / first.us_per_client(),
            row.bytes_per_client / 1024.0
        )?;
    }
    Ok(out)
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("an unknown processor", |(_, name)| name.trim());
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().take(3).collect::<Vec<_>>().join(", ");
    format!(
        "{TICKS} ticks of each size on one of {cores} cores of {model}; load average (1, 5, 15 minutes) {load}."
    )
}

fn measure(clients: u32) -> Result<Row> {
    let before = resident_bytes()?;
    let mut memory = Memory::default();
    let policy = policy();
    let mut now = Timestamp(1_000_000_000);
    let ledger = ledger(clients, now);
    let mut observation = observe(clients, &ledger, now);
    // The first ticks make the tracks.
    for _ in 0..10 {
        now = step(&mut observation, now);
        black_box(decide(&policy, &observation, &ledger, &mut memory, now));
    }
    let bytes_per_client = (resident_bytes()? - before) / f64::from(clients);
    let start = cpu_ms()?;
    for _ in 0..TICKS {
        now = step(&mut observation, now);
        black_box(decide(&policy, &observation, &ledger, &mut memory, now));
    }
    let ms_per_tick = (cpu_ms()? - start) / f64::from(TICKS);
    now = step(&mut observation, now);
    let outcome = decide(&policy, &observation, &ledger, &mut memory, now);
    let count = |is: fn(&State) -> bool| {
        u32::try_from(outcome.verdicts.iter().filter(|verdict| is(&verdict.state)).count())
    };
    let over = count(|state| matches!(state, State::Blocked { by: Block::Cap { .. } }))?;
    let held = count(|state| matches!(state, State::Held { .. }))?;
    // Otherwise it was something else that was measured.
    if over != clients / 100 - clients / 1_000 || held != clients / 1_000 {
        return Err(
            format!("{over} confirmed and {held} held of {clients}: {:?}", outcome.verdicts.first()).into()
        );
    }
    let quotas = observation.snapshot.as_ref().map_or(0, Snapshot::len);
    Ok(Row {
        clients: f64::from(clients),
        quotas: f64::from(u32::try_from(quotas)?),
        over: f64::from(over),
        held: f64::from(held),
        ms_per_tick,
        bytes_per_client,
    })
}

/// One client in a hundred is over the threshold; one in ten of these is held already.
fn is_hot(number: u32) -> bool {
    number % 100 == 7
}

fn is_held(number: u32) -> bool {
    number % 1_000 == 7
}

fn slot(number: u32) -> Slot {
    Slot { entity: Entity::client_id(format!("app-{number}")), key: Key::ProducerByteRate }
}

/// Throttles that bite, in the middle of their time.
fn ledger(clients: u32, now: Timestamp) -> Ledger {
    let day = now + Duration::from_secs(86_400);
    let hold = |number| Hold {
        ours: Some(BOUND),
        intent: None,
        phase: Phase::Holding,
        limit: Some(BOUND * 3.0),
        caught_at_rate: HOT,
        until: day,
        expires: day,
        written: Some(now),
        verified: Some(now),
        ..Hold::begun(slot(number), Purpose::Throttle, "rate", BOUND, now)
    };
    let holds = (0..clients).filter(|number| is_held(*number)).map(|number| (slot(number), hold(number)));
    Ledger { holds: holds.collect(), ..Ledger::default() }
}

/// Two rules over all clients, one of them with the most expensive measure.
fn policy() -> Policy {
    let rule = |name: &str, measure, entity, enter: f64| Rule {
        name: name.to_owned(),
        select: Select { users: vec![], client_ids: vec![Pattern("app-*".to_owned())] },
        entity,
        key: Key::ProducerByteRate,
        measure,
        enter,
        release: enter * 0.8,
        confirm: Confirm { k: 3, n: 5 },
        mode: Mode::Enforce,
        limit: Limit::Total(3e6),
        floor: Floor { bound: 1e5, times_baseline: None },
        hold: HoldTimes {
            minimum: Duration::from_secs(60),
            duration: Duration::from_secs(600),
            factor: 2,
            longest: Duration::from_secs(7200),
            memory: Duration::from_secs(86_400),
        },
        when: None,
        sentinel: None,
        burst: Burst { connections: 2, request_bytes: 16_384.0 },
        owner: None,
        runbook_url: None,
    };
    Policy {
        version: "bench".to_owned(),
        rules: vec![
            // Who is not hot stays below 2.9 MB/s.
            rule("rate", Measure::Total, Kind::ClientId, 4e6),
            rule("share", Measure::ShareOfBroker, Kind::Pair, 0.5),
        ],
        protected: Protected { users: vec![Pattern("connect*".to_owned())], client_ids: vec![] },
        // Reached at every size.
        caps: Caps {
            throttles: 1_000,
            share_of_clients: 0.005,
            share_of_traffic: 0.5,
            changes_per_minute: 1_000,
        },
        evidence: Evidence {
            max_age: Duration::from_secs(45),
            coverage: 1.0,
            scrape_interval: Duration::from_secs(15),
            settle_scrapes: 2,
        },
        mute: Duration::from_secs(10),
        sentinel_from: 1e12,
    }
}

fn observe(clients: u32, ledger: &Ledger, now: Timestamp) -> Observation {
    let mut usage = Usage::default();
    let mut quotas = Vec::new();
    for number in 0..clients {
        let client =
            Client { user: Some(format!("team-{}", number % 500)), client_id: Some(format!("app-{number}")) };
        for broker in BROKERS {
            let rate = match number {
                _ if is_held(number) => PRESSED,
                _ if is_hot(number) => HOT,
                _ => f64::from(number % 97) * 1e4,
            };
            usage.readings.push(Reading { broker, client: client.clone(), rate, peak: rate, at: now });
        }
        if number % 10 == 0 {
            quotas.push((slot(number), 5e7));
        }
    }
    quotas.extend(ledger.holds.values().filter_map(|hold| Some((hold.slot.clone(), hold.ours?))));
    usage.scraped = BROKERS.into_iter().map(|broker| (broker, now)).collect();
    let window = Window::new(11, Duration::from_secs(1));
    Observation {
        usage: BTreeMap::from([(Key::ProducerByteRate, usage)]),
        snapshot: Some(quotas.into_iter().collect()),
        brokers: BROKERS.into_iter().map(|broker| (broker, window)).collect(),
        ..Observation::default()
    }
}

/// The next scrape.
fn step(observation: &mut Observation, now: Timestamp) -> Timestamp {
    let now = now + Duration::from_secs(15);
    for usage in observation.usage.values_mut() {
        usage.readings.iter_mut().for_each(|reading| reading.at = now);
        usage.scraped.values_mut().for_each(|at| *at = now);
    }
    now
}

fn cpu_ms() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).ok_or("no CPU time");
    // utime and stime, in hundredths of a second.
    Ok((ticks(11)? + ticks(12)?) * 10.0)
}

fn resident_bytes() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse()?;
    Ok(kib * 1024.0)
}
