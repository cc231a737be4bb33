//! Normal traffic, a runaway, the throttle in steps, calm, release, proof.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::time::Instant;

use super::config::Rule;
use super::stage::{NORMAL, Options, Stage, WILD};
use crate::kafka::load::{Consumer, ConsumerOptions};
use crate::kafka::{ADMIN, Cluster, Listener, quotas_told};
use crate::{Notification, wait};

/// No part of the story takes longer unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(400);
/// How often the screen gets a line.
const LOOK: Duration = Duration::from_secs(2);
/// How often is looked whether something has come to pass.
const GLANCE: Duration = Duration::from_millis(200);
/// What the runaway wants, bytes a second: more than a machine gives.
const FLOOD: u32 = 400_000_000;
/// What counts as too much, over all brokers, bytes a second.
const ENTER: u32 = 12_000_000;
/// What the runaway then gets.
const LIMIT: u32 = 10_000_000;
/// The longest time for which a quota may mute one of its connections.
const LONGEST_MUTE: Duration = Duration::from_secs(10);
/// A broker works at one request of each connection at a time, so the others wait for as many of its requests as it has
/// connections. With one connection its own client may be the slower.
const CONNECTIONS: usize = 20;
/// Bytes of one of its requests.
const REQUEST: u32 = 262_144;
/// The entity that gets the quota.
const ENTITY: &str = "user=mallory";

/// Who listens to the story.
pub trait Narrator {
    /// A new part begins.
    fn chapter(&mut self, text: &str);
    /// Where things stand.
    fn line(&mut self, text: &str);
    /// A command and what it printed.
    fn output(&mut self, command: &str, text: &str);
    /// Something arrived at the pager.
    fn notification(&mut self, title: &str, notification: &Notification);
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Report {
    /// From the first byte of the flood to the first quota.
    pub throttled: Duration,
    /// From the first byte of the flood until the rate was under the limit.
    pub tamed: Duration,
    /// Bounds that were set, in order, bytes a second on each broker.
    pub bounds: Vec<f64>,
    /// Longest time in which a connection of the runaway that waited for an acknowledgement got none while it was held.
    pub longest_pause: Duration,
    /// Longest throttle time that a broker told the runaway.
    pub longest_throttle: Duration,
    /// 99th percentile of the other tenants' latency: before, during the flood, while it is held.
    pub latency: [Option<Duration>; 3],
    /// Records of the runaway that brokers acknowledged, all of which were found again.
    pub acknowledged: u64,
    /// Times its full buffer made it wait.
    pub blocked: u64,
    /// What commands printed, by a name for each.
    pub outputs: BTreeMap<&'static str, String>,
}

struct Story<'a> {
    cluster: &'a Cluster,
    stage: &'a Stage,
    narrator: &'a mut dyn Narrator,
    start: Instant,
    outputs: BTreeMap<&'static str, String>,
}

/// What the story plays on. `rules` are Prometheus's rule files, with those of the others' promise; `alertmanager` is
/// Alertmanager's configuration.
#[must_use]
pub fn stage(program: &Path, rules: Vec<PathBuf>, alertmanager: String) -> Options {
    Options {
        program: program.to_owned(),
        rules,
        alertmanager,
        scrape: Duration::from_secs(1),
        rule: Rule {
            enter: ENTER,
            limit: LIMIT,
            when: Some(("kafka-produce-latency", 1.0)),
            burst: (CONNECTIONS, REQUEST),
            ..Rule::default()
        },
        connections: CONNECTIONS,
    }
}

/// Tells it and asserts it.
///
/// # Errors
/// When it does not go as it should.
pub async fn tell(
    cluster: &Cluster,
    mut stage: Stage,
    narrator: &mut dyn Narrator,
) -> Result<(Stage, Report)> {
    let consumer = ConsumerOptions::new(
        cluster.client_properties(Listener::SaslPlaintext, ADMIN),
        "story-auditor",
        &format!("{WILD}.orders"),
    );
    let consumer = Consumer::start(consumer)?;
    let mut story =
        Story { cluster, stage: &stage, narrator, start: Instant::now(), outputs: BTreeMap::new() };
    let report = story.act().await;
    let outputs = std::mem::take(&mut story.outputs);
    let mut report = report?;
    report.outputs = outputs;

    // Nothing that a broker acknowledged is lost, nothing has expired.
    let outcome = std::mem::replace(&mut stage.wild, super::stage::idle(cluster, WILD).await?);
    let outcome = outcome.stop(PATIENCE).await?;
    ensure!(outcome.totals.failed.is_empty(), "records of the runaway failed: {:?}", outcome.totals.failed);
    consumer
        .wait_for(&format!("{WILD}-orders"), &outcome.acknowledged, PATIENCE)
        .await
        .context("a record that a broker acknowledged is gone")?;
    report.acknowledged = outcome.totals.acknowledged;
    report.blocked = outcome.totals.blocked;
    ensure!(report.blocked > 0, "the runaway never blocked on a full buffer");
    Ok((stage, report))
}

impl Story<'_> {
    async fn act(&mut self) -> Result<Report> {
        self.narrator
            .chapter("Four tenants produce. A default too high to bind anyone makes them measurable.");
        self.until("users to be measured", async |story: &Self| {
            let query = "count(kafka_server_quota_byte_rate{resource=\"Produce\", user=~\".+\"})";
            Ok(story.stage.prometheus.value(query).await?.filter(|count| *count >= 12.0).map(drop))
        })
        .await?;
        self.human().await?;
        let prior = self.quotas().await?;
        ensure!(prior.iter().any(|line| line.contains(WILD)), "the human's quotas are not among {prior:#?}");
        let before = self.promise_kept(Duration::from_secs(20)).await?;

        self.narrator.chapter("mallory goes wild.");
        let flood = Instant::now();
        self.stage.wild.set_rate(FLOOD);
        // What it is about to do can be seen between a sample and the tick that acts on it.
        let planned = RefCell::new(None);
        self.until("the throttle", async |story: &Self| {
            story.plan(&mut planned.borrow_mut())?;
            let hold = story.stage.hold().await?;
            Ok(hold.filter(|hold| hold.get("ours").is_some_and(Value::is_number)).map(drop))
        })
        .await?;
        let throttled = flood.elapsed();
        let during = self.latency();
        self.stage.wild.read();

        let mut bounds: Vec<f64> = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        let mut longest_pause = Duration::ZERO;
        let tamed = loop {
            let reading = self.stage.wild.read();
            longest_pause = longest_pause.max(reading.longest_pause);
            let hold = self.stage.hold().await?.context("the throttle is gone")?;
            let ours = hold.get("ours").and_then(Value::as_f64);
            if let Some(ours) = ours.filter(|ours| bounds.last() != Some(ours)) {
                bounds.push(ours);
            }
            self.look().await?;
            self.plan(&mut planned.borrow_mut())?;
            let held = hold.get("phase").and_then(Value::as_str) == Some("holding");
            if held && self.rate().await?.is_some_and(|rate| rate <= f64::from(LIMIT) * 1.1) {
                break flood.elapsed();
            }
            ensure!(Instant::now() < deadline, "the rate did not come under the limit: {hold}");
            let next = Instant::now() + LOOK;
            while planned.borrow().is_none() && Instant::now() < next {
                self.plan(&mut planned.borrow_mut())?;
                tokio::time::sleep(GLANCE).await;
            }
            tokio::time::sleep_until(next).await;
        };
        // On a busy machine a step may be made before anybody has asked for it.
        if let Some(planned) = planned.take() {
            self.told("plan", &["plan"], planned);
        }
        self.run("explain", &["explain", ENTITY])?;

        // It is handled, so it wakes nobody.
        let alert = self.alert(true).await?;
        ensure!(alert.label("entity") == ENTITY, "told about {}", alert.label("entity"));
        self.narrator.notification("TICKET", &alert);

        self.narrator.chapter("The limit holds. The others have their latency back.");
        // The last step, too, may mute it for as long as the bound.
        let held = self.promise_kept(LONGEST_MUTE).await?;
        longest_pause = longest_pause.max(self.stage.wild.read().longest_pause);
        let longest_throttle = self.stage.wild.totals().throttled;
        ensure!(
            longest_throttle <= LONGEST_MUTE,
            "a connection of the runaway was muted for {longest_throttle:?}, longer than {LONGEST_MUTE:?}"
        );

        self.narrator.chapter("mallory calms down.");
        self.stage.wild.set_rate(NORMAL);
        self.until("the release", async |story: &Self| Ok(story.stage.hold().await?.is_none().then_some(())))
            .await?;
        let after = self.quotas().await?;
        ensure!(after == prior, "not the prior state: {after:#?} instead of {prior:#?}");
        self.narrator.line("the cluster's quotas are exactly what they were");
        let end = self.alert(false).await?;
        self.narrator.notification("RESOLVED", &end);
        self.run("history", &["history", ENTITY])?;
        self.run("audit", &["audit", "verify"])?;
        Ok(Report {
            throttled,
            tamed,
            bounds,
            longest_pause,
            longest_throttle,
            latency: [before, during, held],
            acknowledged: 0,
            blocked: 0,
            outputs: BTreeMap::new(),
        })
    }

    /// Looks until `done` yields a value.
    async fn until<T>(&mut self, what: &str, done: impl AsyncFn(&Self) -> Result<Option<T>>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut next = Instant::now();
        loop {
            if let Some(value) = done(self).await? {
                return Ok(value);
            }
            if Instant::now() >= next {
                self.look().await?;
                next = Instant::now() + LOOK;
            }
            if Instant::now() >= deadline {
                bail!(
                    "waited {} s in vain for {what}: {}\n{}",
                    PATIENCE.as_secs(),
                    self.stage.status().await?,
                    self.stage.enforcer.log_tail(20)
                );
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// One line of where things stand.
    async fn look(&mut self) -> Result<()> {
        let show =
            |value: Option<f64>, scale: f64| value.map_or("?".to_owned(), |v| format!("{:.2}", v / scale));
        let hold = self.stage.hold().await?;
        let field =
            |name: &str| hold.as_ref().and_then(|hold| hold.get(name)).cloned().unwrap_or(Value::Null);
        let line = format!(
            "{:>4} s  mallory {:>6} MB/s   bound {:>6} MB/s per broker   {:<9}  others: budget burns {:>6}x",
            self.start.elapsed().as_secs(),
            show(self.rate().await?, 1e6),
            show(field("ours").as_f64(), 1e6),
            field("phase").as_str().unwrap_or("free"),
            show(self.burn().await?, 1.0),
        );
        self.narrator.line(&line);
        Ok(())
    }

    /// The runaway's byte rate over all brokers, as the brokers' sensors say.
    async fn rate(&self) -> Result<Option<f64>> {
        let query = format!("sum(kafka_server_quota_byte_rate{{resource=\"Produce\", user=\"{WILD}\"}})");
        self.stage.prometheus.value(&query).await
    }

    async fn burn(&self) -> Result<Option<f64>> {
        let ids = "sloth_id=\"kafka-produce-latency\"";
        let query =
            format!("slo:sli_error:ratio_rate10s{{{ids}}} / on(sloth_id) slo:error_budget:ratio{{{ids}}}");
        self.stage.prometheus.value(&query).await
    }

    /// The worst of the other tenants' 99th percentiles since the last look.
    fn latency(&self) -> Option<Duration> {
        self.stage.tenants.iter().filter_map(|tenant| tenant.read().p99).max()
    }

    /// Waits until the others' promise has been kept for so long without a break; their latency meanwhile.
    async fn promise_kept(&mut self, length: Duration) -> Result<Option<Duration>> {
        self.latency();
        let since = Cell::new(Instant::now());
        self.until("the others' promise to be kept", async |story: &Self| {
            if !story.burn().await?.is_some_and(|burn| burn < 1.0) {
                story.latency();
                since.set(Instant::now());
            }
            Ok((since.get().elapsed() > length).then_some(()))
        })
        .await?;
        Ok(self.latency())
    }

    /// Somebody has quotas of their own, among them one of the runaway's.
    async fn human(&self) -> Result<()> {
        let servers = self.cluster.bootstrap(Listener::Plaintext);
        let quotas = "consumer_byte_rate=70000000,request_percentage=400";
        let arguments =
            ["--bootstrap-server", &servers, "--alter", "--entity-type", "users", "--entity-name", WILD];
        let arguments = [&arguments[..], &["--add-config", quotas]].concat();
        self.cluster.tool("kafka.admin.ConfigCommand", &arguments).await.map(drop)
    }

    /// All client quotas, as Kafka's own tool tells them.
    async fn quotas(&self) -> Result<BTreeSet<String>> {
        let mut all = BTreeSet::new();
        let servers = self.cluster.bootstrap(Listener::Plaintext);
        for kind in [&["users"][..], &["clients"], &["users", "clients"], &["ips"]] {
            let mut arguments = vec!["--bootstrap-server", &servers, "--describe"];
            for one in kind {
                arguments.extend(["--entity-type", one]);
            }
            let text = self.cluster.tool("kafka.admin.ConfigCommand", &arguments).await?;
            all.extend(quotas_told(&text));
        }
        Ok(all)
    }

    fn run(&mut self, name: &'static str, arguments: &[&str]) -> Result<()> {
        let out = self.ask(arguments)?;
        self.told(name, arguments, out);
        Ok(())
    }

    fn ask(&self, arguments: &[&str]) -> Result<String> {
        let (code, out, err) = self.stage.command(arguments)?;
        ensure!(code == Some(0), "{arguments:?} ended with {code:?}:\n{out}\n{err}");
        Ok(out)
    }

    fn told(&mut self, name: &'static str, arguments: &[&str], out: String) {
        self.narrator.output(&format!("quota-enforcer {}", arguments.join(" ")), &out);
        self.outputs.insert(name, out);
    }

    /// Keeps the first plan that would change a quota.
    fn plan(&self, kept: &mut Option<String>) -> Result<()> {
        if kept.is_none() {
            let (code, plan, _) = self.stage.command(&["plan"])?;
            if code != Some(0) {
                return Ok(());
            }
            *kept = plan.lines().any(|line| line.starts_with('+')).then_some(plan);
        }
        Ok(())
    }

    /// What Alertmanager sends about the throttle.
    async fn alert(&self, firing: bool) -> Result<Notification> {
        let is = |one: &Notification| {
            one.label("alertname") == "QuotaEnforcerThrottled" && one.is_firing() == firing
        };
        let found = || async { Ok(self.stage.receiver.notifications().into_iter().find(is)) };
        wait::until("Alertmanager to tell of the throttle", PATIENCE, found).await
    }
}
