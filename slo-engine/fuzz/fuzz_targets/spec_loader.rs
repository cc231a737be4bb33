//! Any text is read without a panic, in bounded time, and every place that is told lies in it.
#![no_main]

use daemon_kit::diagnostic::{self, Format};
use daemon_kit::source::Source;
use libfuzzer_sys::fuzz_target;
use slo_engine::spec::{self, LoadOptions};
use slo_engine_core::Field;

fuzz_target!(|text: &str| {
    let source = Source::new("fuzz.yaml", text);
    for sloth in [false, true] {
        let loaded = spec::load(&source, &LoadOptions { sloth, ..LoadOptions::default() });
        for diagnostic in &loaded.diagnostics {
            let places = diagnostic.place.iter().chain(diagnostic.related.iter().map(|(place, _)| place));
            for place in places {
                assert!(text.get(place.span.range()).is_some());
            }
            diagnostic::write(&mut std::io::sink(), diagnostic, Format::Text { color: false }).unwrap();
        }
        for slo in &loaded.slos {
            assert!(slo.object < loaded.objects.len());
            assert!(text.get(slo.places.get(&Field::Objective).range()).is_some());
        }
    }
    let _ = spec::load_windows(&[source]);
});
