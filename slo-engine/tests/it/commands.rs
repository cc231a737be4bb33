//! The command line itself.

use crate::support::{golden_run, run};

#[test]
fn help_names_every_command_and_flag() {
    golden_run("help", "--help");
    for command in
        ["generate", "validate", "diff", "explain", "schema", "version", "completions", "man", "backfill"]
    {
        let output = run(&[command, "--help"], "");
        assert!(output.code == 0 && !output.stdout.is_empty(), "{command}");
    }
    for command in ["generate", "validate", "diff", "explain", "backfill"] {
        golden_run(&format!("help_{command}"), &format!("{command} --help"));
    }
}

#[test]
fn versions_are_printed() {
    golden_run("version", "version");
    golden_run("version_json", "version --output json");
}

#[test]
fn wrong_command_lines_end_with_2() {
    golden_run("usage_unknown_flag", "validate --nonsense");
    golden_run("usage_no_input", "validate");
    golden_run("usage_bad_regex", "validate -i testdata/cli -e (");
    golden_run("usage_bad_label", "validate -i testdata/cli -l team");
    golden_run("usage_bad_period", "validate -i testdata/cli --default-slo-period 0");
}

#[test]
fn plugins_are_refused_with_a_reason() {
    golden_run("plugins_path", "validate -i testdata/cli -p plugins/");
    golden_run("plugins_slo", "validate -i testdata/cli -s {}");
    golden_run("plugins_default", "validate -i testdata/cli --disable-default-slo-plugins");
    golden_run("plugins_k8s", "validate -i testdata/cli --k8s-transform-plugin-id example/v1");
    let default = "sloth.dev/k8stransform/prom-operator-prometheus-rule/v1";
    let output = run(&["validate", "-i", "testdata/cli/shop.yaml", "--k8s-transform-plugin-id", default], "");
    assert_eq!(output.code, 0);
}

#[test]
fn sloths_environment_is_read() {
    let run = |name: &str, value: &str, args: &[&str]| {
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        crate::cli::slo_engine(args.iter().copied()).cwd(here).env(name, value).run()
    };
    assert_eq!(run("SLOTH_INPUT", "testdata/cli/shop.yaml", &["validate"]).code, 0);
    let file = ["validate", "-i", "testdata/cli/shop.yaml"];
    assert_eq!(run("SLOTH_EXTRA_LABELS", "a=b\nc=\n", &file).code, 1, "an empty label is refused");
    assert_eq!(run("SLOTH_EXTRA_LABELS", "a=b\nc=d\n", &file).code, 0);
    assert_eq!(run("SLOTH_DEBUG", "true", &file).code, 0);
    assert!(!run("SLOTH_NO_LOG", "1", &file).stdout.contains("1 file"), "no summary");
    assert_eq!(run("SLOTH_LOGGER", "json", &file).code, 0);
}

#[test]
fn logs_are_text_or_json() {
    golden_run("log_json", "validate -i testdata/cli/missing.yaml --logger json");
    let debug = run(&["--debug", "validate", "-i", "testdata/cli/shop.yaml"], "");
    assert!(debug.stderr.contains("specs read files=1 slos=3"), "{}", debug.stderr);
    let silent = run(&["--debug", "--no-log", "validate", "-i", "testdata/cli/shop.yaml"], "");
    assert_eq!(silent.stderr, "");
}

#[test]
fn completions_and_pages_are_printed_for_every_shell_and_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completions", shell], "");
        assert!(output.code == 0 && output.stdout.contains("validate"), "{shell}");
    }
    let page = run(&["man"], "");
    assert!(page.stdout.contains(".TH slo-engine"));
    let page = run(&["man", "validate"], "");
    assert!(page.stdout.contains("ignore\\-slo\\-duplicates"));
    assert_eq!(run(&["man", "nothing"], "").code, 2);
}

#[test]
fn nothing_is_coloured_without_a_terminal() {
    let output = run(&["validate", "-i", "testdata/cli/bad.yaml"], "");
    assert!(!output.stdout.contains('\u{1b}') && !output.stderr.contains('\u{1b}'));
}

#[test]
fn schemas_are_printed_by_format() {
    golden_run("schema_list", "schema --list");
    golden_run("schema_unknown", "schema openslo-v7");
    let default = run(&["schema"], "");
    let schema: serde_json::Value = serde_json::from_str(&default.stdout).unwrap();
    assert_eq!(schema["type"], "object");
    let list = run(&["schema", "--list"], "").stdout;
    for name in list.lines().filter_map(|line| line.split_whitespace().next()) {
        let printed = run(&["schema", name], "");
        assert!(
            printed.code == 0 && serde_json::from_str::<serde_json::Value>(&printed.stdout).is_ok(),
            "{name}"
        );
    }
}
