//! What people read, from fixed values.

use quota_enforcer::commands;
use quota_enforcer::engine::{Done, Ordered};
use quota_enforcer::status::{Role, RuleInfo, Status};
use quota_enforcer::views::explain::{Bound, Explanation, OfKey, OfRule, OnBroker, Write};
use quota_enforcer::views::history::History;
use quota_enforcer::views::plan::{Change, Plan};
use quota_enforcer_core::audit::{Entry, Event, Head, Proof};
use quota_enforcer_core::decide::{Block, Cap, State, Verdict};
use quota_enforcer_core::ledger::{Exemption, Hold, Intent, Leader, Offence, Pause, Phase, Purpose};
use quota_enforcer_core::policy::Mode;
use quota_enforcer_core::quota::{Key, Slot};
use quota_enforcer_core::time::Timestamp;
use serde_json::json;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn slot(entity: &str) -> Slot {
    Slot { entity: entity.parse().unwrap(), key: Key::ProducerByteRate }
}

fn seconds(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1000)
}

pub(crate) fn hold(entity: &str) -> Hold {
    Hold {
        slot: slot(entity),
        purpose: Purpose::Throttle,
        rule: "greedy".to_owned(),
        owner: Some("platform".to_owned()),
        prior: Some(3e7),
        ours: Some(5e6),
        intent: Some(Intent::new(Some(5e6), Some(2e6), seconds(-1))),
        phase: Phase::Cutting,
        target: 2e6,
        limit: Some(6e6),
        caught_at_rate: 2e7,
        caught_at_total: 2e7,
        since: seconds(-90),
        earliest: seconds(30),
        until: seconds(600),
        expires: seconds(3_500),
        offence: 2,
        memory: std::time::Duration::from_secs(86_400),
        written: Some(seconds(-20)),
        verified: Some(seconds(-10)),
        ineffective: None,
        policy: "abc".to_owned(),
    }
}

fn first() -> Intent {
    Intent::new(None, Some(8e6), seconds(-40))
}

fn verdict(entity: Option<&str>, state: State, why: &str) -> Verdict {
    Verdict {
        rule: "greedy".to_owned(),
        entity: entity.map(|entity| entity.parse().unwrap()),
        key: Key::ProducerByteRate,
        state,
        value: Some(2e7),
        rates: None,
        why: why.to_owned(),
    }
}

fn greedy() -> RuleInfo {
    RuleInfo {
        rule: "greedy".to_owned(),
        mode: Mode::Enforce,
        owner: Some("platform".to_owned()),
        runbook_url: Some("https://runbooks.example.net/greedy".to_owned()),
    }
}

pub(crate) fn status() -> Status {
    Status {
        at: NOW,
        cluster: "lkc-1".to_owned(),
        brokers: 3,
        role: Role::Leader,
        epoch: Some(7),
        leader: Some(Leader {
            cluster: "lkc-1".to_owned(),
            epoch: 7,
            instance: "node-a".to_owned(),
            since: seconds(-3_600),
            lease_ms: 15_000,
            api: Some("http://node-a:9620".to_owned()),
        }),
        lease_left_ms: 12_000,
        policy: "0123456789ab".to_owned(),
        rules: vec![greedy()],
        blockers: vec!["the clock jumped by 60 s and no sample confirms it".to_owned()],
        faults: vec!["cannot read the metrics: timeout".to_owned()],
        notes: vec!["`kafka` has changed in the file: restart to use it".to_owned()],
        capped: vec![Cap::Throttles],
        seen: [("greedy".to_owned(), 4_usize)].into(),
        verdicts: vec![
            verdict(Some("user=wild"), State::Held { phase: Phase::Cutting }, "being cut"),
            verdict(
                Some("user=spy,client-id=\"a,b\\u001b\""),
                State::Blocked { by: Block::Protected { pattern: "user `spy`".to_owned() } },
                "protected by user `spy`",
            ),
        ],
        holds: vec![
            hold("user=wild"),
            // The first bound of this one is not set yet.
            Hold { ours: None, intent: Some(first()), ..hold("user=new") },
            Hold {
                purpose: Purpose::Sentinel,
                ours: Some(1e12),
                intent: None,
                ..hold("client-id=<default>")
            },
        ],
        offences: vec![Offence {
            slot: slot("user=wild"),
            count: 1,
            ended: seconds(-7_200),
            forget: seconds(80_000),
        }],
        exemptions: vec![Exemption {
            entity: "user=batch".parse().unwrap(),
            until: seconds(5_400),
            by: "ops".to_owned(),
            reason: "backfill".to_owned(),
        }],
        pause: Some(Pause { since: seconds(-60), by: "ops".to_owned(), reason: "upgrade".to_owned() }),
    }
}

fn text(render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    render(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_status() {
    insta::assert_snapshot!("status", text(|out| commands::status::render(&status(), out)));
    let quiet = Status {
        at: NOW,
        cluster: "lkc-1".to_owned(),
        leader: status().leader,
        role: Role::Standby,
        ..Status::default()
    };
    insta::assert_snapshot!("status_standby", text(|out| commands::status::render(&quiet, out)));
}

pub(crate) fn plan() -> Plan {
    let evidence = json!({ "rates": {
        "brokers": { "1": { "now": 2e7, "peak": 2.2e7 }, "2": { "now": 4e5, "peak": 5e5 } },
        "at": seconds(-3).0,
        "covered": [2, 3],
    } });
    Plan {
        at: NOW,
        cluster: "lkc-1".to_owned(),
        policy: "0123456789ab".to_owned(),
        confirmed: false,
        changes: vec![
            Change {
                slot: slot("user=calm"),
                from: Some(5e6),
                to: None,
                rule: "greedy".to_owned(),
                why: "it has calmed down".to_owned(),
                evidence: json!(null),
            },
            Change {
                slot: slot("user=wild"),
                from: Some(5e6),
                to: Some(2e6),
                rule: "greedy".to_owned(),
                why: "20.00 MB/s is above 10.00 MB/s".to_owned(),
                evidence,
            },
        ],
        verdicts: vec![
            verdict(Some("user=wild"), State::Caught, "20.00 MB/s is above 10.00 MB/s"),
            verdict(
                None,
                State::Unknown { reason: quota_enforcer_core::usage::Unknown::NoSeries },
                "no series",
            ),
        ],
        capped: vec![Cap::ShareOfClients],
        blockers: vec!["enforcement is blocked".to_owned()],
        faults: vec!["cannot read the burn rates".to_owned()],
    }
}

#[test]
fn a_plan() {
    insta::assert_snapshot!("plan", text(|out| commands::plan::render(&plan(), out)));
    let empty = Plan { at: NOW, confirmed: true, ..Plan::default() };
    insta::assert_snapshot!("plan_empty", text(|out| commands::plan::render(&empty, out)));
}

#[test]
fn an_explanation() {
    let bound = |entity: &str, value| Bound { entity: entity.parse().unwrap(), value };
    let info = RuleInfo { rule: "other".to_owned(), mode: Mode::Observe, owner: None, runbook_url: None };
    let other = OfRule { info, baseline: None, verdict: None };
    let key = OfKey {
        key: Key::ProducerByteRate,
        quotas_known: true,
        binds: Some(bound("user=wild", 5e6)),
        shadowed: vec![bound("client-id=<default>", 1e12)],
        unsure: vec![bound("user=wild,client-id=x", 1e6)],
        unknown: None,
        usage: vec![
            OnBroker { broker: 1, rate: Some(5e6), peak: Some(2e7), at: seconds(-2) },
            OnBroker { broker: 2, rate: None, peak: None, at: seconds(-70) },
        ],
        rules: vec![
            OfRule {
                info: greedy(),
                baseline: Some(1e6),
                verdict: Some(verdict(Some("user=wild"), State::Held { phase: Phase::Cutting }, "being cut")),
            },
            other.clone(),
        ],
        hold: Some(hold("user=wild")),
        offence: Some(Offence {
            slot: slot("user=wild"),
            count: 1,
            ended: seconds(-7_200),
            forget: seconds(80_000),
        }),
        write: Some(Write { to: 5e6, hazards: vec!["it would bind the protected user `spy`".to_owned()] }),
    };
    let begun = OfKey {
        hold: Some(Hold { ours: None, intent: Some(first()), prior: None, ..hold("user=wild") }),
        ..key.clone()
    };
    let blind = OfKey {
        key: Key::ConsumerByteRate,
        quotas_known: false,
        binds: None,
        shadowed: Vec::new(),
        unsure: Vec::new(),
        unknown: Some("only 1 of 3 brokers were scraped in time".to_owned()),
        usage: Vec::new(),
        rules: vec![other],
        hold: None,
        offence: None,
        write: None,
    };
    let calm = OfKey {
        key: Key::RequestPercentage,
        quotas_known: true,
        unknown: None,
        rules: Vec::new(),
        write: Some(Write { to: 80.0, hazards: Vec::new() }),
        ..blind.clone()
    };
    let explanation = Explanation {
        entity: "user=wild".parse().unwrap(),
        at: NOW,
        protected: Some("user `wild`".to_owned()),
        exemption: status().exemptions.pop(),
        keys: vec![key, blind, calm, begun],
        faults: vec!["cannot read the burn rates".to_owned()],
    };
    insta::assert_snapshot!("explain", text(|out| commands::explain::render(&explanation, out)));
}

pub(crate) fn history() -> History {
    let entry = Entry {
        at: NOW,
        event: Event::Intent,
        by: "rule greedy".to_owned(),
        slot: Some(slot("user=wild")),
        before: None,
        after: Some(5e6),
        why: "20.00 MB/s is above 10.00 MB/s".to_owned(),
        evidence: json!({ "value": 2e7 }),
        policy: "0123456789ab".to_owned(),
    };
    let exempted = Entry {
        event: Event::Exempted,
        by: "ops".to_owned(),
        slot: None,
        after: None,
        why: "backfill".to_owned(),
        evidence: json!({ "entity": "user=batch" }),
        ..entry.clone()
    };
    let released = Entry { event: Event::Released, before: Some(5e6), after: Some(3e7), ..entry.clone() };
    let record = |(seq, entry)| quota_enforcer_core::audit::Record {
        seq,
        prev: "0".repeat(64),
        cluster: "lkc-1".to_owned(),
        epoch: 7,
        entry,
    };
    History { records: [(3, entry), (4, exempted), (5, released)].map(record).into(), left_out: 2 }
}

#[test]
fn a_history() {
    insta::assert_snapshot!("history", text(|out| commands::history::render(&history(), out)));
    assert_eq!(text(|out| commands::history::render(&History::default(), out)), "nothing was recorded\n");
}

#[test]
fn what_an_order_came_to() {
    let ordered = Ordered {
        said: vec!["gives back user=wild producer_byte_rate".to_owned()],
        done: vec![Done {
            slot: slot("user=wild"),
            to: None,
            event: Event::Released,
            why: "no quota stands as before".to_owned(),
        }],
        faults: vec!["not every broker tells the new quotas yet".to_owned()],
    };
    insta::assert_snapshot!("ordered", text(|out| commands::order::render(&ordered, out)));
}

/// A chain of so many records.
fn chain(records: usize) -> (Vec<String>, Vec<Head>) {
    let mut heads = vec![Head::default()];
    let mut lines = Vec::new();
    for record in history().records.into_iter().cycle().take(records) {
        let (line, head) = heads.last().unwrap().append("lkc-1", 1, record.entry).unwrap();
        lines.push(line);
        heads.push(head);
    }
    (lines, heads)
}

fn prove(lines: &[String], anchor: Option<Head>, low: i64) -> commands::audit::Found {
    let mut proving = commands::audit::Proving::new(anchor);
    for line in lines {
        if let Err(broken) = proving.take(line.as_bytes()) {
            return commands::audit::Found {
                whole: false,
                proof: None,
                anchored: false,
                broken: Some(broken.to_string()),
            };
        }
    }
    proving.finish(low)
}

#[test]
fn a_proof() {
    let (lines, heads) = chain(4);
    // Two records were written after the anchor was read.
    let found = prove(&lines, Some(heads[2].clone()), 0);
    assert_eq!(found.proof, Some(Proof { first: 1, head: heads[4].clone(), records: 4 }));
    assert!(found.whole && found.anchored);
    let rendered = text(|out| commands::audit::render(&found, out)).replace(&heads[4].hash, "HASH");
    assert_eq!(rendered, "whole: 4 records, 1 to 4\nhead: HASH\nanchored in the ledger\n");

    let trimmed = prove(&lines[1..], None, 3);
    assert!(trimmed.whole && !trimmed.anchored);
    let rendered = text(|out| commands::audit::render(&trimmed, out));
    assert!(rendered.contains("records before 2 are gone") && rendered.contains("no anchor"), "{rendered}");

    // The end was cut off, and another record stands in the place of the anchor.
    for broken in [
        prove(&lines[..2], Some(heads[3].clone()), 0),
        prove(&lines, Some(Head { seq: 4, hash: heads[3].hash.clone() }), 0),
        // The topic is empty from its first offset on.
        prove(&[], Some(heads[4].clone()), 0),
    ] {
        assert!(!broken.whole && !broken.anchored);
        assert!(text(|out| commands::audit::render(&broken, out)).starts_with("BROKEN: "));
    }
    let rendered = |found: &_| text(|out| commands::audit::render(found, out));
    let gone = prove(&[], Some(heads[4].clone()), 9);
    assert!(gone.whole && !gone.anchored);
    assert_eq!(rendered(&gone), "records up to 4 are gone, as retention does it\n");
    assert_eq!(rendered(&prove(&[], None, 0)), "nothing was recorded\n");
}
