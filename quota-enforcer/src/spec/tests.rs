//! `testdata/good` and the example are read without errors, `testdata/bad` is refused with exactly the diagnostics beside
//! each file. `UPDATE_GOLDEN=1` writes them anew.

mod printed;
mod schema;

use std::fs;
use std::path::{Path, PathBuf};

use daemon_kit::diagnostic::{Format, Summary, write};

use super::*;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The YAML files of a folder, named as from the package.
fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(here().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn good_files() -> Vec<PathBuf> {
    let mut files = files("testdata/good");
    files.push(here().join("../examples/quota-enforcer.yaml"));
    files
}

fn source(path: &Path) -> Source {
    let name = path.file_name().unwrap().to_str().unwrap();
    Source::new(name, fs::read_to_string(path).unwrap())
}

fn rendered(diagnostics: &[Diagnostic]) -> String {
    let mut out = Vec::new();
    for diagnostic in diagnostics {
        write(&mut out, diagnostic, Format::Text { color: false }).unwrap();
    }
    String::from_utf8(out).unwrap()
}

fn golden(path: &Path, actual: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        #[allow(clippy::disallowed_methods, reason = "a golden file is not read while it is written")]
        fs::write(path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert!(expected == actual, "{} differs; UPDATE_GOLDEN=1 accepts:\n{actual}", path.display());
}

#[test]
fn good_files_are_read_as_written_down() {
    for path in files("testdata/good") {
        let (mut settings, warnings) = load(&source(&path))
            .unwrap_or_else(|errors| panic!("{}:\n{}", path.display(), rendered(&errors)));
        // The digest changes with every comment, and the hard list has its own test.
        settings.policy.version.clear();
        let hard = hard_protected();
        settings.policy.protected.users.drain(..hard.users.len());
        settings.policy.protected.client_ids.drain(..hard.client_ids.len());
        golden(&path.with_extension("settings"), &format!("{settings:#?}\n{}", rendered(&warnings)));
    }
}

#[test]
fn the_example_is_read_without_a_word() {
    let path = here().join("../examples/quota-enforcer.yaml");
    match load(&source(&path)) {
        Ok((settings, warnings)) => {
            assert_eq!(rendered(&warnings), "");
            assert!(settings.policy.rules.len() >= 3);
        }
        Err(errors) => panic!("{}", rendered(&errors)),
    }
}

/// The file with whatever stands in comments there, without what excludes it.
#[test]
fn the_example_has_every_key_and_its_comments_are_read_too() {
    let text = fs::read_to_string(here().join("../examples/quota-enforcer.yaml")).unwrap();
    let commented = regex_lite::Regex::new(r"(?m)^(\s*)# ([a-z_.]+: \S)").unwrap();
    let text = commented.replace_all(&text, "$1$2");
    let token = "  token_file: /etc/quota-enforcer/prometheus-token\n";
    assert!(text.contains(token));
    let text = text.replace(token, "");
    let keys = regex_lite::Regex::new(r"pub\(super\) (\w+):").unwrap();
    for key in keys.captures_iter(include_str!("file.rs")) {
        let key = regex_lite::Regex::new(&format!(r"(^|\W){}:", &key[1])).unwrap();
        assert!(key.is_match(&text), "{key} is missing");
    }
    let settings = load(&Source::new("x", text)).map_err(|errors| rendered(&errors)).unwrap().0;
    assert!(settings.prometheus.basic.is_some() && settings.policy.rules[2].sentinel.is_some());
}

#[test]
fn bad_files_are_refused_with_the_diagnostics_beside_them() {
    for path in files("testdata/bad") {
        let errors = load(&source(&path)).err().unwrap_or_else(|| panic!("{} is accepted", path.display()));
        assert_ne!(Summary::of(&errors).errors, 0, "{}", path.display());
        golden(&path.with_extension("stderr"), &rendered(&errors));
    }
}

#[test]
fn no_message_shows_a_secret() {
    let text =
        "kafka: {bootstrap.servers: a, sasl.password: hunter2}\nprometheus: {url: http://p}\nrules: []\n";
    let errors = load(&Source::new("x", text)).unwrap_err();
    assert_eq!(errors.len(), 1);
    for format in [Format::Text { color: false }, Format::Json, Format::Github] {
        let mut out = Vec::new();
        write(&mut out, &errors[0], format).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("sasl.password") && !out.contains("hunter2"), "{out}");
    }
}

#[test]
fn properties_come_from_the_environment_where_they_say_so() {
    let text = "kafka: {bootstrap.servers: a, sasl.password: '${PW}', ssl.ca.location: $PW}\nprometheus: {url: http://p}\nrules: []\n";
    let kafka = load(&Source::new("x", text)).unwrap().0.kafka;
    let properties = kafka.properties(|name| (name == "PW").then(|| "hunter2".to_owned())).unwrap();
    assert_eq!(
        (properties["sasl.password"].as_str(), properties["ssl.ca.location"].as_str()),
        ("hunter2", "$PW")
    );
    assert_eq!(properties["client.id"], "quota-enforcer");
    let text = text.replace("bootstrap.servers: a", "bootstrap.servers: a, client.id: mine");
    let named = load(&Source::new("x", text)).unwrap().0.kafka;
    assert_eq!(named.properties(|_| Some(String::new())).unwrap()["client.id"], "mine");
    let error = kafka.properties(|_| None).unwrap_err();
    assert_eq!(error, "sasl.password: the environment variable PW is not set");
    assert!(!format!("{kafka:?}").contains("hunter2"));
}

/// With these properties of Kafka beside the servers.
fn connected(properties: &str) -> Source {
    let head = format!("kafka:\n  bootstrap.servers: a:9092\n{properties}");
    Source::new("x", format!("{head}prometheus: {{url: http://p}}\nrules: []\n"))
}

#[test]
fn what_the_brokers_clients_refuse_is_an_error_at_its_place() {
    let sasl = "  security.protocol: SASL_SSL\n  sasl.mechanism: PLAIN\n";
    for (properties, line, message) in [
        ("  security.protocol: TLS\n", 3, "is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        ("  client.id: x\n  sasl.mechanism: GSSAPI\n", 4, "GSSAPI (Kerberos) is not supported"),
        (sasl, 3, "sasl.username: is needed for SASL"),
        (&format!("{sasl}  sasl.username: u\n"), 3, "sasl.password: is needed for SASL"),
        ("  ssl.keystore.location: /x\n", 3, "key stores are not supported"),
        ("  socket.timeout.ms: 0\n", 3, "is not a number of milliseconds above 0"),
        ("  metadata.broker.list: a\n", 2, "bootstrap.servers: is given twice"),
        ("  foo.bar: ${SECRET}\n", 3, "librdkafka has no property `foo.bar`"),
        ("  session.timeout.ms: soon\n", 3, "librdkafka does not take this value of `session.timeout.ms`"),
    ] {
        let errors = load(&connected(properties)).unwrap_err();
        assert_eq!(errors.len(), 1, "{}", rendered(&errors));
        assert!(errors[0].message.contains(message), "{}", rendered(&errors));
        let place = errors[0].place.as_ref().unwrap();
        assert_eq!(place.source.line_column(place.span.start).0, line, "{}", rendered(&errors));
    }
    for properties in [
        "  security.protocol: ${PROTOCOL}\n  sasl.mechanisms: ${MECHANISM}\n",
        &format!("{sasl}  sasl.username: ${{USER}}\n  sasl.password: ${{PASSWORD}}\n"),
        &format!("{sasl}  sasl.username: u\n  sasl.password.file: /nowhere\n  ssl.ca.location: /nowhere\n"),
        "  acks: all\n  admin.timeout.ms: 5000\n",
    ] {
        let loaded = load(&connected(properties)).map_err(|errors| rendered(&errors));
        assert!(loaded.unwrap().1.is_empty(), "{properties}");
    }
}

#[test]
fn what_this_machine_lacks_is_a_warning_and_what_it_has_is_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::io::Write::write_all(&mut fs::File::create(&path).unwrap(), text.as_bytes()).unwrap();
        path.display().to_string()
    };
    let (password, empty, noise) = (file("password", "hunter2"), file("empty", ""), file("noise", "x"));
    let here = folder.path().display();
    let text = format!(
        "kafka:\n  bootstrap.servers: a\n  security.protocol: SASL_SSL\n  sasl.mechanisms: PLAIN\n  \
         sasl.username: ${{WHO}}\n  sasl.password.file: {password}\n  ssl.ca.location: {here}\n\
         prometheus: {{url: http://p, token_file: {here}/none}}\nadmin: {{token_file: {empty}}}\nrules: []\n"
    );
    let nobody = |_: &str| None;
    let source = Source::new("x", text.as_str());
    let (_, warnings) = load_here(&source, &nobody).map_err(|errors| rendered(&errors)).unwrap();
    let told: Vec<_> = warnings.iter().map(|warning| warning.message.as_str()).collect();
    let expected = [
        "the environment variable WHO is not set here".to_owned(),
        format!("cannot read {here} here: it is no file"),
        format!("cannot read {here}/none here: No such file or directory (os error 2)"),
        format!("cannot read {empty} here: it is empty"),
    ];
    assert_eq!(told, expected);
    assert!(load(&source).unwrap().1.is_empty());

    let text = text.replace(&format!("ssl.ca.location: {here}"), &format!("ssl.ca.location: {noise}"));
    let env = |name: &str| (name == "WHO").then(|| "alice".to_owned());
    let told = rendered(&load_here(&Source::new("x", text), &env).unwrap_err());
    assert!(told.contains("error[kafka]: ssl.ca.location: holds no PEM certificate"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    let protocol = connected("  security.protocol: ${PROTOCOL}\n");
    let told = rendered(&load_here(&protocol, &|_| Some("TLS".to_owned())).unwrap_err());
    assert!(told.contains("security.protocol: is none of PLAINTEXT"), "{told}");
}

#[test]
fn the_version_is_the_digest_of_the_file() {
    let version = |text: &str| load(&Source::new("x", text)).unwrap().0.policy.version;
    let text = "kafka: {bootstrap.servers: a}\nprometheus: {url: http://p}\nrules: []\n";
    assert_eq!(version(text), digest(text.as_bytes())[..12]);
    assert_ne!(version(text), version(&format!("{text}#")));
}
