//! Windows beside the truth, the short variant of `make bench`'s table (`docs/accuracy.md`).

use testbed::programs;
use testbed::proof::accuracy::{goal, measure, scenarios};

#[test]
fn every_window_of_lean_is_within_its_goal_of_the_true_ratio() {
    let promtool = programs::promtool().unwrap();
    let scenarios = scenarios(&promtool, None, true);
    std::thread::scope(|scope| {
        for scenario in scenarios.iter().filter(|scenario| !scenario.gaps) {
            scope.spawn(|| {
                for row in measure(scenario).unwrap() {
                    // The period is younger than itself: its first five minutes weigh more in eight hours than in a month.
                    let goal = if row.window.as_hours_f64() > 24.0 { 0.01 } else { goal(scenario) };
                    assert!(row.lean.seen > 0 && row.lean.absent == 0, "{}: {row:?}", scenario.name);
                    assert!(row.lean.mean() <= goal, "{}: {row:?}", scenario.name);
                }
            });
        }
    });
}
