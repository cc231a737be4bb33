//! What one decision costs: CPU of a tick and memory of a client, for growing numbers of clients on three brokers.
//! `bench/decision.sh` runs it.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use quota_enforcer_core::decide::{Memory, Observation, decide};
use quota_enforcer_core::entity::{Client, Kind};
use quota_enforcer_core::ledger::Ledger;
use quota_enforcer_core::policy::{
    Burst, Caps, Confirm, Evidence, Floor, HoldTimes, Limit, Measure, Mode, Pattern, Policy, Protected, Rule, Select,
};
use quota_enforcer_core::quota::{Key, Slot, Snapshot};
use quota_enforcer_core::step::Window;
use quota_enforcer_core::time::Timestamp;
use quota_enforcer_core::usage::{Reading, Usage};

const BROKERS: [i32; 3] = [1, 2, 3];
const TICKS: u32 = 40;
const GOAL_MS: f64 = 100.0;
const GOAL_BYTES: f64 = 4096.0;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    if let Some(clients) = std::env::args().nth(1) {
        return row(clients.parse()?);
    }
    println!(
        "| clients | series | quotas set | CPU per tick | per client | goal 100 ms | memory per client | goal 4 KiB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for clients in [1_000, 3_000, 10_000, 30_000] {
        // A process of its own: memory that a smaller run gave back would hide what a larger one takes.
        let status = Command::new(std::env::current_exe()?).arg(clients.to_string()).status()?;
        if !status.success() {
            return Err("a run failed".into());
        }
    }
    Ok(())
}

fn row(clients: u32) -> Result<()> {
    let before = resident_bytes()?;
    let mut memory = Memory::default();
    let policy = policy();
    let ledger = Ledger::default();
    let mut now = Timestamp(1_000_000_000);
    let mut observation = observe(clients, now);
    // The first ticks make the tracks.
    for _ in 0..4 {
        now = step(&mut observation, now);
        black_box(decide(&policy, &observation, &ledger, &mut memory, now));
    }
    let bytes = (resident_bytes()? - before) / f64::from(clients);
    let start = cpu_ms()?;
    for _ in 0..TICKS {
        now = step(&mut observation, now);
        black_box(decide(&policy, &observation, &ledger, &mut memory, now));
    }
    let per_tick = (cpu_ms()? - start) / f64::from(TICKS);
    // The goals are for ten thousand clients.
    let met = |is: bool| match (clients <= 10_000, is) {
        (false, _) => "beyond",
        (true, true) => "met",
        (true, false) => "missed",
    };
    println!(
        "| {clients} | {} | {} | {per_tick:.1} ms | {:.1} µs | {} | {bytes:.0} B | {} |",
        clients * 3,
        observation.snapshot.as_ref().map_or(0, Snapshot::len),
        per_tick * 1000.0 / f64::from(clients),
        met(per_tick <= GOAL_MS),
        met(bytes <= GOAL_BYTES),
    );
    Ok(())
}

/// Two rules over all clients, one of them with the most expensive measure.
fn policy() -> Policy {
    let rule = |name: &str, measure, entity| Rule {
        name: name.to_owned(),
        select: Select { users: vec![], client_ids: vec![Pattern("app-*".to_owned())] },
        entity,
        key: Key::ProducerByteRate,
        measure,
        enter: 1e9,
        release: 5e8,
        confirm: Confirm { k: 3, n: 5 },
        mode: Mode::Enforce,
        limit: Limit::Total(5e8),
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
        burst: Burst { connections: 2, request_bytes: 1e6 },
        owner: None,
        runbook_url: None,
    };
    Policy {
        version: "bench".to_owned(),
        rules: vec![
            rule("rate", Measure::Total, Kind::ClientId),
            rule("share", Measure::ShareOfBroker, Kind::Pair),
        ],
        protected: Protected { users: vec![Pattern("connect*".to_owned())], client_ids: vec![] },
        caps: Caps { throttles: 20, share_of_clients: 0.1, share_of_traffic: 0.5, changes_per_minute: 20 },
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

fn observe(clients: u32, now: Timestamp) -> Observation {
    let mut usage = Usage::default();
    let mut quotas = Vec::new();
    for number in 0..clients {
        let client =
            Client { user: Some(format!("team-{}", number % 500)), client_id: Some(format!("app-{number}")) };
        for broker in BROKERS {
            let rate = f64::from(number % 97) * 1e4;
            usage.readings.push(Reading { broker, client: client.clone(), rate, peak: rate, at: now });
        }
        if number % 10 == 0 {
            let slot = Slot {
                entity: quota_enforcer_core::entity::Entity::client_id(format!("app-{number}")),
                key: Key::ProducerByteRate,
            };
            quotas.push((slot, 5e7));
        }
    }
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
