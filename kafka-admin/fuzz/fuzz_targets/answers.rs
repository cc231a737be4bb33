//! Any bytes of a broker are frames and answers, or an error: no panic, no memory beyond what was received.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    kafka_admin::fuzzing::frames(bytes);
    kafka_admin::fuzzing::answer(bytes);
});
