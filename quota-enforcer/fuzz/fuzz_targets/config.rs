//! Any text is read without a panic, every place that is told lies in it, and what is accepted keeps the laws that
//! decisions rely on.
#![no_main]

use daemon_kit::diagnostic::{self, Format, Level};
use daemon_kit::source::Source;
use libfuzzer_sys::fuzz_target;
use quota_enforcer::spec;

fuzz_target!(|text: &str| {
    let diagnostics = match spec::load(&Source::new("fuzz.yaml", text)) {
        Ok((settings, warnings)) => {
            for rule in &settings.policy.rules {
                assert!(rule.release < rule.enter && rule.release > 0.0 && rule.enter.is_finite());
                assert!(1 <= rule.confirm.k && rule.confirm.k <= rule.confirm.n && rule.confirm.n <= 64);
                assert!(rule.hold.minimum <= rule.hold.duration && rule.hold.duration <= rule.hold.longest);
                assert!(rule.floor.bound > 0.0 && rule.floor.bound.is_finite());
                assert!(rule.sentinel.is_none_or(|value| value >= settings.policy.sentinel_from));
            }
            assert!(warnings.iter().all(|warning| warning.level != Level::Error));
            warnings
        }
        Err(errors) => {
            assert!(errors.iter().any(|error| error.level == Level::Error));
            errors
        }
    };
    for diagnostic in &diagnostics {
        let places = diagnostic.place.iter().chain(diagnostic.related.iter().map(|(place, _)| place));
        for place in places {
            assert!(text.get(place.span.range()).is_some());
        }
        diagnostic::write(&mut std::io::sink(), diagnostic, Format::Text { color: false }).unwrap();
    }
});
