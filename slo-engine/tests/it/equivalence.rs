//! Both profiles over the same series, the short variant of `make bench`'s table (`docs/equivalence.md`).

use testbed::programs;
use testbed::proof::equivalence::{Depth, INTERVAL, run};
use testbed::proof::incident::{Incident, burst, random, shapes};

fn obeys_the_law(incident: &Incident) {
    let promtool = programs::promtool().unwrap();
    let outcome = run(&promtool, incident, Depth::Page).unwrap();
    assert!(outcome.violations == 0.0, "{outcome:?}");
    let [sloth, lean] = outcome.page;
    if let Some(sloth) = sloth {
        let lean = lean.expect("lean pages when sloth does");
        assert!(lean.from <= sloth.from + f64::from(u32::try_from(INTERVAL).unwrap()), "{outcome:?}");
    }
}

#[test]
fn a_sudden_outage_pages_in_both_profiles() {
    let outage = &shapes()[0];
    obeys_the_law(outage);
}

#[test]
fn a_burst_between_two_scrapes_pages_in_both_profiles() {
    obeys_the_law(&burst(4));
}

#[test]
fn a_counter_reset_in_an_outage_pages_in_both_profiles() {
    let reset = shapes().into_iter().find(|shape| shape.name.contains("reset")).unwrap();
    obeys_the_law(&reset);
}

#[test]
fn random_incidents_page_in_both_profiles() {
    std::thread::scope(|scope| {
        for seed in [0, 3] {
            scope.spawn(move || obeys_the_law(&random(seed)));
        }
    });
}
