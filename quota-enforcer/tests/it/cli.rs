//! The command line and what people read, without any server.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread::{self, JoinHandle};

use quota_enforcer::commands::status;
use quota_enforcer::engine::Ordered;
use quota_enforcer::status::{Role, Status};

use crate::fixtures::{CONFIG, put};

/// What a run left.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the built program without anything of the caller's environment.
pub(crate) fn quota_enforcer(args: &[&str]) -> Ran {
    with_env(args, &[])
}

fn with_env(args: &[&str], env: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quota-enforcer"));
    let output = command.args(args).env_clear().envs(env.iter().copied()).output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

const COMMANDS: [&str; 17] = [
    "run",
    "check",
    "plan",
    "status",
    "explain",
    "history",
    "release",
    "exempt",
    "unexempt",
    "pause",
    "resume",
    "audit verify",
    "audit export",
    "reap",
    "version",
    "completions",
    "man",
];

#[test]
fn help_names_every_command_and_flag() {
    let ran = quota_enforcer(&["--help"]);
    assert_eq!(ran.code, 0);
    insta::assert_snapshot!("help", ran.stdout);
    for command in COMMANDS {
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let ran = quota_enforcer(&args);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{command}");
        insta::assert_snapshot!(format!("help_{}", command.replace(' ', "_")), ran.stdout);
    }
}

#[test]
fn wrong_command_lines_end_with_2() {
    for args in [
        &["nothing"][..],
        &["explain"],
        &["explain", "alice"],
        &["release", "--by", "ops"],
        &["release", "--all", "--by", "ops"],
        &["release", "user=a", "--all", "--reason", "x", "--by", "ops"],
        &["exempt", "user=a", "--for", "soon", "--reason", "x", "--by", "ops"],
        &["exempt", "user=a", "--for", "2h", "--by", "ops"],
        &["pause", "--by", "ops"],
        &["history", "--limit", "0"],
        &["man", "nothing"],
    ] {
        let ran = quota_enforcer(args);
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.stderr);
        assert!(!ran.stderr.is_empty() && ran.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn completions_and_pages_are_printed_for_every_shell_and_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = quota_enforcer(&["completions", shell]);
        assert!(ran.code == 0 && ran.stdout.contains("unexempt"), "{shell}");
    }
    assert!(quota_enforcer(&["man"]).stdout.contains(".TH quota-enforcer"));
    assert!(quota_enforcer(&["man", "exempt"]).stdout.contains("\\-\\-for"));
    let version = env!("CARGO_PKG_VERSION");
    for (command, title) in [(&["audit"][..], "audit"), (&["audit", "verify"], "audit-verify")] {
        let page = quota_enforcer(&[&["man"], command].concat()).stdout;
        let head = format!(".TH quota-enforcer-{title} 1  \"quota-enforcer {version}\"");
        assert!(page.contains(&head), "{page}");
    }
}

#[test]
fn who_asks_comes_from_the_flag_or_the_environment() {
    let args = ["resume", "--api", "http://127.0.0.1:1"];
    for env in [&[("USER", "ops")][..], &[("LOGNAME", "ops")], &[("USER", ""), ("LOGNAME", "ops")]] {
        let ran = with_env(&args, env);
        assert_eq!(ran.code, 1, "{env:?}: {}", ran.stderr);
    }
    for env in [&[][..], &[("USER", "")]] {
        let ran = with_env(&args, env);
        assert!(ran.code == 2 && ran.stderr.contains("--by <NAME>"), "{env:?}: {}", ran.stderr);
    }
}

#[test]
fn a_wrong_log_level_is_an_error_of_every_command() {
    for command in [&["schema"][..], &["run", "-c", "none.yaml"]] {
        let ran = with_env(command, &[("LOG_LEVEL", "a=b=c")]);
        assert_eq!(ran.code, 1, "{command:?}");
        assert!(ran.stderr.starts_with("error: invalid log filter `a=b=c`"), "{}", ran.stderr);
    }
}

#[test]
fn what_is_wrong_with_a_configuration_is_said_once() {
    for command in ["status", "run"] {
        let ran = quota_enforcer(&[command, "-c", "there/is/none.yaml"]);
        assert_eq!(ran.code, 1);
        assert!(
            ran.stderr.starts_with("error[config-unreadable]: cannot read there/is/none.yaml"),
            "{}",
            ran.stderr
        );
    }
}

/// A configuration for a daemon that listens there, with a token.
fn configured(folder: &Path, listen: SocketAddr, token: &Path) -> String {
    let text = CONFIG.replace("prometheus:", "  admin.timeout.ms: 100\nprometheus:");
    let text = format!("{text}admin: {{listen: '{listen}', token_file: {}}}\n", token.display());
    put(folder, "quota-enforcer.yaml", &text).display().to_string()
}

/// Answers one request; yields its head.
fn answers(listener: TcpListener, body: String) -> JoinHandle<String> {
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let length = body.len();
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
            .unwrap();
        String::from_utf8(head).unwrap()
    })
}

#[test]
fn orders_take_the_token_that_the_configuration_names() {
    let folder = tempfile::tempdir().unwrap();
    let token = put(folder.path(), "token", "sesame\n");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let api = format!("http://{}", listener.local_addr().unwrap());
    let config = configured(folder.path(), "127.0.0.1:1".parse().unwrap(), &token);
    let daemon = answers(listener, serde_json::to_string(&Ordered::default()).unwrap());
    let ran = quota_enforcer(&["resume", "--by", "ops", "--api", &api, "-c", &config]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(daemon.join().unwrap().contains("authorization: Bearer sesame"));
}

#[test]
fn without_a_daemon_nobody_needs_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let config = configured(folder.path(), "127.0.0.1:1".parse().unwrap(), Path::new("/nowhere/token"));
    let ran = quota_enforcer(&["reap", "--by", "ops", "-c", &config]);
    assert!(ran.stderr.contains("cannot reach Kafka"), "{}", ran.stderr);
}

#[test]
fn a_plan_is_by_the_file_where_the_daemon_has_another_policy() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = configured(folder.path(), listener.local_addr().unwrap(), Path::new("/nowhere/token"));
    let status = Status { policy: "another".to_owned(), ..Status::default() };
    let daemon = answers(listener, serde_json::to_string(&status).unwrap());
    let ran = quota_enforcer(&["plan", "-c", &config]);
    daemon.join().unwrap();
    assert!(ran.stderr.contains("has policy another"), "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot reach Kafka"), "{}", ran.stderr);
}

#[test]
fn whoever_led_is_not_said_to_lead_when_no_daemon_says_so() {
    let status = Status { role: Role::Starting, ..crate::render::status() };
    let mut out = Vec::new();
    status::render(&status, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("\nlast leader "), "{text}");
}

#[test]
fn versions_are_printed() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(quota_enforcer(&["version"]).stdout, format!("{version}\n"));
    let json: serde_json::Value =
        serde_json::from_str(&quota_enforcer(&["version", "--output", "json"]).stdout).unwrap();
    assert_eq!(json, serde_json::json!({ "name": "quota-enforcer", "version": version }));
}

#[test]
fn the_schema_is_json() {
    let ran = quota_enforcer(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(schema["type"], "object");
}

#[test]
fn check_tells_all_errors_with_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let path = put(folder.path(), "quota-enforcer.yaml", CONFIG).display().to_string();
    let ran = quota_enforcer(&["check", "-c", &path]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    assert!(ran.stdout.contains(": 1 rule, 0 errors"), "{}", ran.stdout);
    let text =
        CONFIG.replace("prometheus:", "  client.id: ${NOT_SET}\nprometheus:\n  token_file: /nowhere/token");
    let lacking = put(folder.path(), "lacking.yaml", &text).display().to_string();
    let ran = quota_enforcer(&["check", "-c", &lacking]);
    assert!(ran.code == 0 && ran.stdout.contains("0 errors, 2 warnings"), "{}", ran.stdout);
    assert_eq!(
        with_env(&["check", "-c", &lacking], &[("NOT_SET", "x")]).stdout.matches("warning[").count(),
        1
    );

    let bad = CONFIG.replace("40MB/s", "40 apples").replace("entity: user", "entity: people");
    let path = put(folder.path(), "quota-enforcer.yaml", &bad).display().to_string();
    let ran = quota_enforcer(&["check", "-c", &path]);
    assert_eq!(ran.code, 1);
    let text = ran.stdout.replace(&path, "quota-enforcer.yaml");
    insta::assert_snapshot!("check_bad", text);
    let report: serde_json::Value =
        serde_json::from_str(&quota_enforcer(&["check", "-c", &path, "--output", "json"]).stdout).unwrap();
    assert_eq!(report["summary"]["errors"], 2);
    assert_eq!(report["diagnostics"][0]["line"], 8);
    let github = quota_enforcer(&["check", "-c", &path, "--output", "github"]).stdout;
    assert_eq!(github.lines().filter(|line| line.starts_with("::error ")).count(), 2, "{github}");
}

#[test]
fn check_of_nothing_is_a_finding() {
    let ran = quota_enforcer(&["check", "-c", "there/is/none.yaml"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("there/is/none.yaml"), "{}", ran.stdout);
}

#[test]
fn a_daemon_that_is_not_there_is_said() {
    for args in [&["status"][..], &["plan"], &["explain", "user=a"], &["history"]] {
        let ran = quota_enforcer(&[args, &["--api", "http://127.0.0.1:1"]].concat());
        assert_eq!(ran.code, 1, "{args:?}");
        assert!(ran.stderr.starts_with("error: cannot ask http://127.0.0.1:1"), "{}", ran.stderr);
    }
    let ran = quota_enforcer(&["resume", "--by", "ops", "--api", "localhost:1"]);
    assert!(ran.stderr.contains("is no address"), "{}", ran.stderr);
}
