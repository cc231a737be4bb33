//! Runs the built program.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a run left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A run in the making.
pub(crate) struct Cli {
    command: Command,
    stdin: Vec<u8>,
}

/// The program with these arguments, without any environment of the caller that it reads.
pub(crate) fn slo_engine<'a>(args: impl IntoIterator<Item = &'a str>) -> Cli {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slo-engine"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SLOTH_") {
            command.env_remove(name);
        }
    }
    command.args(args);
    Cli { command, stdin: Vec::new() }
}

impl Cli {
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn cwd(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    pub(crate) fn stdin(mut self, text: impl AsRef<[u8]>) -> Self {
        self.stdin = text.as_ref().to_vec();
        self
    }

    pub(crate) fn run(mut self) -> Ran {
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let text = self.stdin;
        // A program that stops early closes the pipe.
        let feed = std::thread::spawn(move || stdin.write_all(&text).ok());
        let output = child.wait_with_output().expect("it ends");
        feed.join().expect("no panic");
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Runs and expects exit code 0.
    pub(crate) fn ok(self) -> Ran {
        let ran = self.run();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran
    }

    /// Runs and expects exit code 1 with this in the messages.
    pub(crate) fn fails(self, message: &str) -> Ran {
        let ran = self.run();
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        assert!(ran.stderr.contains(message), "{message:?} is not in: {}", ran.stderr);
        ran
    }
}

/// A directory with files in it.
pub(crate) fn files(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        put(directory.path(), name, text);
    }
    directory
}

/// Writes a file below a directory.
#[expect(clippy::disallowed_methods, reason = "test files need no atomic writes")]
pub(crate) fn put(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    std::fs::create_dir_all(path.parent().expect("below the directory")).expect("a directory");
    std::fs::write(path, text).expect("written");
}

/// Reads a file below a directory.
pub(crate) fn get(directory: &Path, name: &str) -> String {
    std::fs::read_to_string(directory.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// All documents of a YAML text, as values.
pub(crate) fn yaml(text: &str) -> Vec<serde_json::Value> {
    serde_saphyr::from_multiple::<serde_json::Value>(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The only document of a YAML text.
pub(crate) fn yaml_one(text: &str) -> serde_json::Value {
    let mut documents = yaml(text);
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

/// Names of the groups of a rule file.
pub(crate) fn group_names(text: &str) -> Vec<String> {
    let groups = yaml_one(text)["groups"].as_array().expect("groups").clone();
    groups.iter().map(|group| group["name"].as_str().expect("a name").to_owned()).collect()
}

/// All rules of a rule file with their name.
pub(crate) fn rules(text: &str) -> Vec<(String, serde_json::Value)> {
    let file = yaml_one(text);
    let groups = file["groups"].as_array().expect("groups");
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().expect("rules"));
    rules
        .map(|rule| {
            let name = rule["record"].as_str().or(rule["alert"].as_str()).expect("a name").to_owned();
            (name, rule.clone())
        })
        .collect()
}

/// The first rule of this name.
pub(crate) fn rule(text: &str, name: &str) -> serde_json::Value {
    rules(text)
        .into_iter()
        .find(|(found, _)| found == name)
        .unwrap_or_else(|| panic!("no {name} in {text}"))
        .1
}

/// Checks rule files with the real promtool: `PROMTOOL` or the one on the path.
pub(crate) fn promtool_check(path: &Path) -> String {
    let promtool = std::env::var_os("PROMTOOL").unwrap_or_else(|| "promtool".into());
    let output =
        Command::new(&promtool).args(["check", "rules", "--lint=none"]).arg(path).output().unwrap_or_else(
            |error| panic!("{}: {error} (install it, or name it in PROMTOOL)", promtool.display()),
        );
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{}: {said}", path.display());
    said
}
