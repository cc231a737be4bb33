//! The command line and what people read, without any server.

use std::process::Command;

use crate::fixtures::{CONFIG, put};

/// What a run left.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the built program without anything of the caller's environment.
pub(crate) fn quota_enforcer(args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_quota-enforcer")).args(args).env_clear().output().unwrap();
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
    assert!(ran.stdout.contains("1 rule"), "{}", ran.stdout);

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
