use super::*;

fn config(more: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let first = ("bootstrap.servers", "kafka-1:9093, kafka-2 ,[::1]:9094,SSL://kafka-3:1");
    Config::new(std::iter::once(first).chain(more.iter().copied()))
}

fn refused(more: &[(&str, &str)]) -> String {
    config(more).unwrap_err().to_string()
}

const LOGIN: [(&str, &str); 4] = [
    ("security.protocol", "sasl_plaintext"),
    ("sasl.mechanism", "scram-sha-512"),
    ("sasl.username", "alice"),
    ("sasl.password", "s3cr3t"),
];

#[test]
fn servers_may_have_ports_protocols_and_brackets() {
    let config = config(&[]).unwrap();
    let shown: Vec<_> = config.bootstrap.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["kafka-1:9093", "kafka-2:9092", "[::1]:9094", "kafka-3:1"]);
    for wrong in ["", " ", "a,,b", "a:b", "a:1:2", "[::1", "[::1]x", "a b:1", ":9092", "a:70000"] {
        assert!(Config::new([("bootstrap.servers", wrong)]).is_err(), "{wrong}");
    }
}

#[test]
fn librdkafka_gets_what_it_knows_under_its_own_names() {
    let more = [("admin.timeout.ms", "5000"), ("fetch.wait.max.ms", "7"), ("client.id", "enforcer")];
    let config = config(&[LOGIN.as_slice(), &more].concat()).unwrap();
    let names: Vec<_> = config.properties().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "bootstrap.servers",
            "client.id",
            "fetch.wait.max.ms",
            "sasl.mechanisms",
            "sasl.password",
            "sasl.username",
            "security.protocol"
        ]
    );
    assert_eq!(config.call_timeout, Duration::from_secs(5));
    assert_eq!((config.client_id(), config.username()), ("enforcer", Some("alice")));
}

#[test]
fn secrets_are_not_shown() {
    let config = config(
        &[LOGIN.as_slice(), &[("ssl.key.pem", "PRIVATE s3cr3t"), ("plugin.secret", "s3cr3t")]].concat(),
    );
    let shown = format!("{:?} {:#?}", config, config.as_ref().unwrap().sasl.as_ref().unwrap().password);
    assert!(!shown.contains("s3cr3t"), "{shown}");
    assert!(shown.contains("alice"), "{shown}");
}

#[test]
fn a_password_may_lie_in_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file.as_file(), b" pass word \n").unwrap();
    let path = file.path().display().to_string();
    let with_file = [&LOGIN[..3], &[("sasl.password.file", path.as_str())]].concat();
    let config = config(&with_file).unwrap();
    assert_eq!(config.properties().get("sasl.password").unwrap(), " pass word ");
    assert!(!config.properties().contains_key("sasl.password.file"));
    let both = [with_file.as_slice(), &LOGIN[3..]].concat();
    assert_eq!(refused(&both), "sasl.password.file: stands beside sasl.password: use one of them");
    let missing = [&LOGIN[..3], &[("sasl.password.file", "/nowhere/password")]].concat();
    assert!(refused(&missing).starts_with("sasl.password.file: cannot read /nowhere/password: "));
}

#[test]
fn what_cannot_be_honoured_is_named() {
    let kerberos =
        "GSSAPI (Kerberos) is not supported: use sasl.mechanisms PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512";
    assert_eq!(refused(&[("sasl.mechanism", "GSSAPI")]), format!("sasl.mechanisms: {kerberos}"));
    assert_eq!(
        refused(&[("ssl.keystore.location", "x")]),
        "ssl.keystore.location: key stores are not supported: use ssl.certificate.location, ssl.key.location and ssl.ca.location (PEM)"
    );
    let names = [
        "ssl.truststore.location",
        "ssl.key.password",
        "ssl.crl.location",
        "ssl.cipher.suites",
        "sasl.jaas.config",
        "sasl.kerberos.service.name",
        "sasl.oauthbearer.client.secret",
    ];
    for name in names {
        let shown = refused(&[(name, "v4lue")]);
        assert!(shown.starts_with(name) && !shown.contains("v4lue"), "{shown}");
    }
}

#[test]
fn mistakes_are_told() {
    let sasl = ("security.protocol", "SASL_PLAINTEXT");
    let cases: [(&[(&str, &str)], &str); 10] = [
        (
            &[("security.protocol", "tls")],
            "security.protocol: is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL",
        ),
        (&[sasl], "sasl.mechanisms: is needed for SASL"),
        (&[sasl, ("sasl.mechanism", "PLAIN")], "sasl.username: is needed for SASL"),
        (
            &[sasl, ("sasl.mechanism", "MD5")],
            "sasl.mechanisms: is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, which work here",
        ),
        (&[("sasl.mechanism", "PLAIN"), ("sasl.mechanisms", "PLAIN")], "sasl.mechanisms: is given twice"),
        (&[("socket.timeout.ms", "0")], "socket.timeout.ms: is not a number of milliseconds above 0"),
        (&[("admin.timeout.ms", "5s")], "admin.timeout.ms: is not a number of milliseconds above 0"),
        (
            &[("security.protocol", "ssl"), ("enable.ssl.certificate.verification", "yes")],
            "enable.ssl.certificate.verification: is neither true nor false",
        ),
        (
            &[("security.protocol", "ssl"), ("ssl.endpoint.identification.algorithm", "HTTP")],
            "ssl.endpoint.identification.algorithm: is neither https nor none",
        ),
        (&[("security.protocol", "ssl"), ("ssl.ca.pem", "x")], "ssl.ca.pem: holds no PEM certificate"),
    ];
    for (properties, message) in cases {
        assert_eq!(refused(properties), message);
    }
}

#[test]
fn names_and_values_are_checked_without_any_file() {
    let check = |more: &[(&str, &str)]| {
        let first = ("bootstrap.servers", "kafka");
        Config::check(std::iter::once(first).chain(more.iter().copied())).map_err(|error| error.to_string())
    };
    let nowhere = "/nowhere";
    let files = [
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanisms", "PLAIN"),
        ("sasl.username", "alice"),
        ("sasl.password.file", nowhere),
        ("ssl.ca.location", nowhere),
        ("ssl.certificate.location", nowhere),
        ("ssl.key.location", nowhere),
    ];
    assert_eq!(check(&files), Ok(()));
    assert_eq!(check(&files[..4]), Ok(()), "the system's authorities are not asked for");
    let refused = |more: &[(&str, &str)]| check(more).unwrap_err();
    let without = |name: &str| files.into_iter().filter(|(given, _)| *given != name).collect::<Vec<_>>();
    assert_eq!(refused(&without("sasl.username")), "sasl.username: is needed for SASL");
    assert_eq!(refused(&without("ssl.key.location")), "ssl.certificate.location: needs ssl.key.location too");
    let both = [files.as_slice(), &[("ssl.ca.pem", "x")]].concat();
    assert_eq!(refused(&both), "ssl.ca.location: stands beside ssl.ca.pem: use one of them");
    let inline = [files[..4].to_vec(), vec![("ssl.ca.pem", "x")]].concat();
    assert_eq!(refused(&inline), "ssl.ca.pem: holds no PEM certificate");
    let odd = [files.as_slice(), &[("ssl.endpoint.identification.algorithm", "HTTP")]].concat();
    assert_eq!(refused(&odd), "ssl.endpoint.identification.algorithm: is neither https nor none");
    for more in
        [[("security.protocol", "TLS")], [("sasl.mechanisms", "GSSAPI")], [("socket.timeout.ms", "0")]]
    {
        assert_eq!(check(&more), config(&more).map(drop).map_err(|error| error.to_string()), "{more:?}");
        assert!(check(&more).is_err());
    }
}

#[test]
fn an_encrypted_key_is_named_as_such() {
    let key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let tls = [
        ("security.protocol", "ssl"),
        ("enable.ssl.certificate.verification", "false"),
        ("ssl.certificate.pem", certificate),
    ];
    let shown = refused(&[tls.as_slice(), &[("ssl.key.pem", key)]].concat());
    assert!(shown.starts_with("ssl.key.pem: holds an encrypted key, which is not supported"), "{shown}");
    assert_eq!(refused(&tls), "ssl.certificate.pem: needs ssl.key.location too");
}
