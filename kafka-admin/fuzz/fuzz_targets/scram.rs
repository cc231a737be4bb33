//! Any messages of a server are an error: nobody passes for a server that knows the password.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|messages: (&[u8], &[u8])| kafka_admin::fuzzing::scram(messages.0, messages.1));
