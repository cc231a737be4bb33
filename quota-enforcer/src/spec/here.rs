//! What the file names and this machine lacks. Neither is wrong with the file: it may be checked elsewhere than it is used.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kafka_admin::Config;

use super::Environment;
use super::check::Check;
use super::file::{File, Text};
use super::kafka::{CODE, names_file, refuse, variable};

/// Warns of what is not there, and tells what is wrong with the files for Kafka if they all are.
pub(super) fn look(check: &mut Check<'_>, file: &File, env: Environment<'_>) {
    kafka(check, &file.kafka, env);
    let files = [
        &file.prometheus.token_file,
        &file.prometheus.password_file,
        &file.prometheus.ca_file,
        &file.admin.token_file,
    ];
    for text in files.into_iter().flatten() {
        present(check, text, &text.value);
    }
}

fn kafka(check: &mut Check<'_>, given: &BTreeMap<String, Text>, env: Environment<'_>) {
    let mut properties = BTreeMap::new();
    let mut complete = given.contains_key("bootstrap.servers");
    for (property, text) in given {
        let value = match variable(&text.value) {
            None => text.value.clone(),
            Some(name) => match env(name) {
                Some(value) => value,
                None => {
                    let message = format!("the environment variable {name} is not set here");
                    check.warning(text, "environment", message, "the daemon needs it");
                    complete = false;
                    continue;
                }
            },
        };
        // librdkafka's word for the system's own.
        if names_file(property) && value != "probe" {
            complete &= present(check, text, &value);
        }
        properties.insert(property.clone(), value);
    }
    if complete
        && !check.has(CODE)
        && let Err(error) = Config::new(properties)
    {
        refuse(check, given, &error);
    }
}

/// Whether the file can be read; a warning tells why not.
fn present(check: &mut Check<'_>, text: &Text, path: &str) -> bool {
    let path = Path::new(path);
    let why = match fs::metadata(path).and_then(|found| fs::File::open(path).map(|_| found)) {
        Err(error) => error.to_string(),
        Ok(found) if !found.is_file() => "it is no file".to_owned(),
        Ok(found) if found.len() == 0 => "it is empty".to_owned(),
        Ok(_) => return true,
    };
    check.warning(text, "file", format!("cannot read {} here: {why}", path.display()), "the daemon needs it");
    false
}
