//! No query makes the template reader panic, and what it reads renders as it should.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slo_engine_core::promql;
use slo_engine_core::template::{Template, mentions_window};

fuzz_target!(|query: &str| {
    match Template::parse(query) {
        Ok(template) => {
            let (long, none) = (template.render("123456s"), template.render(""));
            assert_eq!(long.len(), none.len() + 7 * template.uses());
            for at in template.window_offsets("1m") {
                let source = template.source_offset(at, "1m");
                assert!(query.get(source..).is_some_and(|rest| rest.starts_with("{{")));
            }
            let rendered = template.render("1m");
            if let Err(error) = promql::parse(&rendered)
                && let Some(range) = error.range
            {
                assert!(rendered.get(range).is_some());
            }
        }
        Err(error) => {
            let action = query.get(error.offset..error.offset + error.length);
            assert!(action.is_some_and(|action| action.starts_with("{{")));
            let _ = (error.help(), mentions_window(query));
        }
    }
});
