//! Profile `sloth` in the situations that running Sloth v0.16.0 has shown to be traps. Where what is done here differs from
//! Sloth, the test says so; `docs/sloth-compatibility.md` gives the reason.

use crate::cli::{files, get, group_names, promtool_check, put, rule, rules, slo_engine, yaml, yaml_one};

fn spec(name: &str) -> String {
    format!(
        "version: prometheus/v1
service: shop
slos:
  - name: {name}
    objective: 99.9
    sli:
      events:
        error_query: sum(rate(bad{{slo=\"{name}\"}}[{{{{.window}}}}]))
        total_query: sum(rate(all{{slo=\"{name}\"}}[{{{{.window}}}}]))
    alerting:
      name: ShopErrors
"
    )
}

/// A spec whose only SLO has this `sli` (flow style) and more lines of its own, indented by four.
fn with_sli(sli: &str, more: &str) -> String {
    format!(
        "version: prometheus/v1\nservice: shop\nslos:\n  - name: checkout\n    objective: 99.9\n    sli: {sli}\n    \
         alerting: {{page_alert: {{disable: true}}, ticket_alert: {{disable: true}}}}\n{more}"
    )
}

const EVENTS: &str =
    "{events: {error_query: 'rate(bad[{{.window}}])', total_query: 'rate(all[{{.window}}])'}}";

fn raw(query: &str) -> String {
    format!("{{raw: {{error_ratio_query: '{query}'}}}}")
}

fn sloth(text: impl AsRef<[u8]>) -> crate::cli::Cli {
    slo_engine(["generate", "--profile", "sloth", "-i", "-"]).stdin(text)
}

const KUBERNETES: &str = "apiVersion: sloth.slok.dev/v1
kind: PrometheusServiceLevel
metadata:
  name: shop
spec:
  service: shop
  slos:
    - name: checkout
      objective: 99.9
      sli:
        raw:
          errorRatioQuery: sum(rate(bad[{{.window}}])) / sum(rate(all[{{.window}}]))
      alerting:
        pageAlert: {disable: true}
        ticketAlert: {disable: true}
";

const OPENSLO: &str = "apiVersion: openslo/v1alpha
kind: SLO
metadata:
  name: checkout
spec:
  service: shop
  objectives:
    - ratioMetrics:
        good: {source: prometheus, queryType: promql, query: 'sum(rate(good[{{.window}}]))'}
        total: {source: prometheus, queryType: promql, query: 'sum(rate(all[{{.window}}]))'}
      target: 0.999
";

#[test]
fn s10_01_a_rejected_spec_leaves_the_old_output_alone() {
    let directory =
        files(&[("in/a.yaml", &spec("aa")), ("in/b.yaml", &spec("bb")), ("in/c.yaml", &spec("cc"))]);
    let generate = |more: &[&str]| {
        slo_engine(["generate", "--profile", "sloth"].into_iter().chain(more.iter().copied()))
            .cwd(directory.path())
    };
    generate(&["-i", "in", "-o", "out"]).ok();
    generate(&["-i", "in/b.yaml", "-o", "b.yaml"]).ok();
    let old = ["a", "b", "c"].map(|name| get(directory.path(), &format!("out/{name}.yaml")));

    put(directory.path(), "in/a.yaml", &spec("changed"));
    put(directory.path(), "in/b.yaml", &spec("bb").replace("99.9", "101"));
    generate(&["-i", "in", "-o", "out"]).fails("in/b.yaml:5:16");
    generate(&["-i", "in/b.yaml", "-o", "b.yaml"]).fails("objective");
    assert_eq!(["a", "b", "c"].map(|name| get(directory.path(), &format!("out/{name}.yaml"))), old);
    assert_eq!(get(directory.path(), "b.yaml"), old[1]);
    assert_eq!(
        std::fs::read_dir(directory.path().join("out")).unwrap().count(),
        3,
        "nothing temporary is left"
    );
    assert_eq!(generate(&["-i", "in/b.yaml"]).fails("objective").stdout, "");

    // With --keep-going the sound ones are written, and only they.
    generate(&["-i", "in", "-o", "out", "--keep-going"]).fails("in/b.yaml:5:16");
    assert!(get(directory.path(), "out/a.yaml").contains("changed"));
    assert_eq!(get(directory.path(), "out/b.yaml"), old[1]);
}

#[test]
fn s10_01_open_files_do_not_grow_with_specs() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..400 {
        put(directory.path(), &format!("in/{number}.yaml"), &spec(&format!("slo-{number}")));
    }
    let status = std::process::Command::new("sh")
        .args([
            "-c",
            "ulimit -n 64; exec \"$0\" generate --no-log -i in -o out",
            env!("CARGO_BIN_EXE_slo-engine"),
        ])
        .current_dir(directory.path())
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(std::fs::read_dir(directory.path().join("out")).unwrap().count(), 400);
}

#[test]
fn s10_02_empty_files_give_empty_output() {
    for text in ["", "\n", "# nothing\n", "---\n", "---\n---\n# x\n"] {
        let out = sloth(text).ok().stdout;
        assert!(yaml(&out).iter().all(serde_json::Value::is_null), "{text:?}: {out}");
    }
}

/// Sloth refuses all of these for no reason of substance; accepted here.
#[test]
fn s10_02_byte_order_marks_heads_comments_and_crlf_are_fine() {
    let plain = sloth(spec("checkout")).ok().stdout;
    for text in [
        format!("\u{feff}{}", spec("checkout")),
        format!("%YAML 1.1\n---\n{}", spec("checkout")),
        spec("checkout").replace("prometheus/v1", "\"prometheus/v1\" # Sloth"),
        spec("checkout").replace('\n', "\r\n"),
    ] {
        assert_eq!(sloth(&text).ok().stdout, plain, "{text:?}");
    }
    for text in [KUBERNETES, OPENSLO] {
        assert_eq!(sloth(text.replace('\n', "\r\n")).ok().stdout, sloth(text).ok().stdout);
    }
}

#[test]
fn s10_03_string_fields_take_scalars_as_yaml_1_1_reads_them() {
    for (written, read) in [
        ("yes", "true"),
        ("On", "true"),
        ("010", "8"),
        ("0o17", "15"),
        ("1_000", "1000"),
        ("0x1F", "31"),
        ("1.50", "1.5"),
        ("1e3", "1000"),
        (".inf", "+Inf"),
        ("12:30:45", "12:30:45"),
        ("2024-01-02", "2024-01-02"),
        ("1.23456789", "1.2345679"),
        ("\"yes\"", "yes"),
    ] {
        let ran = sloth(with_sli(EVENTS, &format!("    labels: {{key: {written}}}\n"))).ok();
        let info = rule(&ran.stdout, "sloth_slo_info");
        assert_eq!(info["labels"]["key"], read, "{written}");
        let changed = written != read && !written.starts_with('"');
        assert_eq!(ran.stderr.contains("warning"), changed, "{written}: {}", ran.stderr);
    }
    let out = sloth(with_sli(EVENTS, "    labels: {n: x}\n")).ok().stdout;
    assert_eq!(rule(&out, "sloth_slo_info")["labels"]["false"], "x", "keys too");

    let octal = with_sli(EVENTS, "").replace("99.9", "0144");
    assert_eq!(rule(&sloth(octal).ok().stdout, "slo:objective:ratio")["expr"], "vector(1)");
}

/// Sloth, reading YAML 1.1, takes these three for line breaks and folds them.
#[test]
fn s10_03_unicode_line_breaks_are_characters() {
    for text in ["a\u{85}b", "a \u{2028} b", "\u{2029}c"] {
        let out = sloth(with_sli(EVENTS, &format!("    labels: {{key: '{text}'}}\n"))).ok().stdout;
        assert_eq!(rule(&out, "sloth_slo_info")["labels"]["key"], text);
    }
}

#[test]
fn s10_03_kubernetes_specs_take_only_strings() {
    sloth(KUBERNETES.replace("service: shop", "service: yes")).fails("must be text");
}

#[test]
fn s10_04_keys_ignore_case_except_in_kubernetes_specs() {
    let out =
        sloth(with_sli(EVENTS, "").replace("service:", "SERVICE:").replace("slos:", "Slos:")).ok().stdout;
    assert_eq!(rule(&out, "sloth_slo_info")["labels"]["sloth_service"], "shop");
    let wrong = sloth(KUBERNETES.replace("errorRatioQuery", "ErrorRatioQuery")).run();
    assert_eq!(wrong.code, 1, "{}", wrong.stderr);
}

#[test]
fn s10_04_the_last_duplicate_wins_and_unknown_keys_are_ignored() {
    let text = with_sli(EVENTS, "").replace("service: shop", "service: old\nservice: shop\nunknown: 1");
    let ran = sloth(&text).ok();
    assert_eq!(rule(&ran.stdout, "sloth_slo_info")["labels"]["sloth_service"], "shop");
    assert!(ran.stderr.contains("unknown"), "{}", ran.stderr);
    let strict = slo_engine(["generate", "--profile", "sloth", "--strict", "-i", "-"]).stdin(text);
    strict.fails("unknown");
}

#[test]
fn s10_04_aliases_and_merge_keys_work() {
    let text = "version: prometheus/v1
service: shop
slos:
  - &first
    name: one
    objective: 99
    sli: {raw: {error_ratio_query: 'rate(a[{{.window}}])'}}
    alerting: &quiet {page_alert: {disable: true}, ticket_alert: {disable: true}}
  - <<: *first
    name: two
    alerting: *quiet
";
    let out = sloth(text).ok().stdout;
    assert!(group_names(&out).contains(&"sloth-slo-meta-recordings-shop-two".to_owned()));
}

/// Sloth's reader is more lenient than any version of YAML.
#[test]
fn s10_04_what_yaml_forbids_is_an_error_with_its_place() {
    for line in ["description: 'a'#b", "labels: {key: -, other: a}", "description: \u{feff}a"] {
        sloth(with_sli(EVENTS, &format!("    {line}\n"))).fails("--> <stdin>:8:");
    }
}

#[test]
fn s10_05_labels_override_the_identity_but_expressions_keep_it() {
    let labels = "    labels: {sloth_id: mine, sloth_window: mine}\n";
    let out = sloth(with_sli(EVENTS, labels)).ok().stdout;
    let ratio = rule(&out, "slo:sli_error:ratio_rate5m");
    assert_eq!(ratio["labels"]["sloth_id"], "mine");
    assert_eq!(ratio["labels"]["sloth_window"], "mine");
    assert!(
        rule(&out, "slo:current_burn_rate:ratio")["expr"]
            .as_str()
            .unwrap()
            .contains("sloth_id=\"shop-checkout\"")
    );
}

#[test]
fn s10_06_override_previous_drops_all_rules_of_an_slo() {
    let text = spec("aa")
        + &spec("bb")
            .split_once("slos:\n")
            .unwrap()
            .1
            .replace("    alerting", "    plugins: {overridePrevious: true}\n    alerting");
    let out = sloth(text).ok().stdout;
    assert_eq!(group_names(&out).len(), 3);
    assert!(!out.contains("shop-bb"));
}

/// Sloth writes both, Prometheus then has two rules for one series. Here it is an error that names both places.
#[test]
fn s10_06_the_same_slo_in_two_documents_is_an_error() {
    let ran = sloth(spec("checkout") + "---\n" + &spec("checkout")).fails("is defined twice");
    assert!(ran.stderr.contains(":4:") && ran.stderr.contains(":16:"), "{}", ran.stderr);
}

#[test]
fn s10_06_a_kubernetes_spec_needs_no_metadata() {
    let out = sloth(KUBERNETES.replace("metadata:\n  name: shop\n", "")).ok().stdout;
    let object = yaml_one(&out);
    assert_eq!(object["kind"], "PrometheusRule");
    assert_eq!(object["metadata"].as_object().unwrap().keys().collect::<Vec<_>>(), ["labels"]);
}

#[test]
fn s10_06_labels_of_a_disabled_alert_are_not_looked_at() {
    let text = spec("checkout")
        + "      page_alert: {disable: true, labels: {'not a label': ''}}\n      ticket_alert: {disable: true, annotations: {a: ''}}\n";
    sloth(text).ok();
}

#[test]
fn s10_06_openslo_may_divide_a_query_by_itself() {
    sloth(OPENSLO.replace("good[", "all[")).ok();
}

#[test]
fn s10_06_openslo_has_its_own_period() {
    let text = OPENSLO
        .replace("  objectives:", "  timeWindows: [{unit: day, count: 28, isRolling: true}]\n  objectives:");
    let out = sloth(&text).ok().stdout;
    assert_eq!(rule(&out, "slo:time_period:days")["expr"], "vector(28)");
    assert_eq!(rule(&out, "slo:sli_error:ratio_rate4w")["labels"]["sloth_window"], "4w");
    let many = text.replace("isRolling: true}", "isRolling: true}, {unit: Day, count: 7}");
    sloth(many).fails("only one time window is supported");
    sloth(text.replace("unit: day", "unit: Week")).fails("only time windows in days are supported");
}

/// What Sloth has no feature for, because any query will do.
#[test]
fn latencies_gauges_and_groups_are_the_users_queries() {
    let directory = tempfile::tempdir().unwrap();
    let all = "sum(rate(d_count[{{.window}}]))";
    for (error, total) in [
        ("sum(rate(d_count[{{.window}}])) - sum(rate(d_bucket{le=\"0.3\"}[{{.window}}]))", all),
        (
            "histogram_count(sum(rate(d[{{.window}}]))) * (1 - histogram_fraction(0, 0.3, sum(rate(d[{{.window}}]))))",
            all,
        ),
        ("histogram_count(sum(rate(d[{{.window}}])))", "histogram_count(sum(rate(e[{{.window}}])))"),
        (
            "sum(count_over_time(up[{{.window}}])) - sum(sum_over_time(up[{{.window}}]))",
            "sum(count_over_time(up[{{.window}}]))",
        ),
        ("sum by (cluster) (rate(bad[{{.window}}]))", "sum by (cluster) (rate(all[{{.window}}]))"),
    ] {
        let sli = format!("{{events: {{error_query: '{error}', total_query: '{total}'}}}}");
        for profile in ["sloth", "lean"] {
            let flags = ["generate", "--profile", profile, "-i", "-"];
            let out = slo_engine(flags).stdin(with_sli(&sli, "")).ok().stdout;
            put(directory.path(), "rules.yaml", &out);
            promtool_check(&directory.path().join("rules.yaml"));
            if profile == "sloth" {
                let ratio = rule(&out, "slo:sli_error:ratio_rate30m");
                assert_eq!(ratio["expr"], format!("({error})\n/\n({total})\n").replace("{{.window}}", "30m"));
            }
        }
    }
}

#[test]
fn s10_06_the_window_may_stand_in_a_promql_string() {
    let out = sloth(with_sli(&raw(r#"a{w="{{.window}}"}"#), "")).ok().stdout;
    assert_eq!(rule(&out, "slo:sli_error:ratio_rate1h")["expr"], r#"(a{w="1h"})"#);
}

#[test]
fn s10_07_sloth_refuses_names_of_one_character_and_lean_does_not() {
    sloth(spec("a")).fails("only one character");
    slo_engine(["generate", "-i", "-"]).stdin(spec("a")).ok();
}

#[test]
fn s10_07_sloth_wants_one_plain_spelling_of_the_window_and_lean_does_not() {
    for query in ["rate(a[{{- .window -}}])", "rate(a[{{\t.window}}])"] {
        let text = with_sli("{raw: {error_ratio_query: \"QUERY\"}}".replace("QUERY", query).as_str(), "");
        sloth(&text).fails("window");
        slo_engine(["generate", "-i", "-"]).stdin(&text).ok();
    }
    let both = with_sli(&raw("rate(a[{{- .window -}}]) / rate(b[{{ .window }}])"), "");
    assert_eq!(
        rule(&sloth(both).ok().stdout, "slo:sli_error:ratio_rate5m")["expr"],
        "(rate(a[5m]) / rate(b[5m]))"
    );
}

#[test]
fn s10_07_other_template_actions_are_refused_by_name() {
    sloth(with_sli(&raw("rate(a{b=\"{{ $labels.x }}\"}[{{.window}}])"), "")).fails("$labels.x");
}

#[test]
fn s10_07_nothing_left_to_write_is_an_error() {
    let generate = |flags: &[&str], text: &str| {
        slo_engine(["generate", "--profile", "sloth", "-i", "-"].into_iter().chain(flags.iter().copied()))
            .stdin(text)
    };
    generate(&["--disable-recordings"], &with_sli(EVENTS, "")).fails("0 SLO Prometheus rules generated");
    let out = generate(&["--disable-recordings"], &spec("checkout")).ok().stdout;
    assert_eq!(group_names(&out), ["sloth-slo-alerts-shop-checkout"]);
    let object = yaml_one(&generate(&["--disable-recordings"], KUBERNETES).ok().stdout);
    assert_eq!(object["spec"]["groups"], serde_json::json!([]), "as Sloth does for Kubernetes specs");
}

#[test]
fn s10_08_floats_are_printed_as_go_prints_them() {
    for (objective, ratio, budget) in [
        ("0.7", "0.006999999999999999", "0.993"),
        ("99.975", "0.9997499999999999", "0.0002500000000000568"),
        ("0.00001", "1.0000000000000001e-07", "0.9999998999999999"),
        ("99.9", "0.9990000000000001", "0.0009999999999999432"),
    ] {
        let out = sloth(spec("checkout").replace("99.9", objective)).ok().stdout;
        assert_eq!(rule(&out, "slo:objective:ratio")["expr"], format!("vector({ratio})"));
        assert_eq!(rule(&out, "slo:error_budget:ratio")["expr"], format!("vector(1-{ratio})"));
        let alert = rule(&out, "ShopErrors")["expr"].as_str().unwrap().to_owned();
        assert!(alert.contains(&format!("(14.4 * {budget})")), "{objective}: {alert}");
    }
    let out = sloth(spec("checkout").replace("99.9", "99.99999")).ok().stdout;
    assert_eq!(rule(&out, "sloth_slo_info")["labels"]["sloth_objective"], "99.99999");
}

#[test]
fn s10_09_all_documents_of_a_file_are_in_one_list_of_groups() {
    let directory = files(&[("in.yaml", &(spec("aa") + "---\n" + &spec("bb") + "---\n" + OPENSLO))]);
    let generate = slo_engine(["generate", "--profile", "sloth", "-i", "in.yaml", "-o", "out.yaml"])
        .cwd(directory.path());
    generate.ok();
    assert_eq!(rules(&get(directory.path(), "out.yaml")).len(), 17 + 17 + 15);
    assert!(promtool_check(&directory.path().join("out.yaml")).contains("49 rules found"));
}

#[test]
fn s10_10_flags_are_read_from_sloths_environment_names() {
    let directory =
        files(&[("in/a.yaml", &spec("aa")), ("in/b.yaml", &spec("bb")), ("in/c.yaml", &spec("cc"))]);
    let generate = || {
        slo_engine(["generate", "--profile", "sloth"])
            .env("SLOTH_INPUT", "in")
            .env("SLOTH_OUT", "out.yaml")
            .env("SLOTH_FS_INCLUDE", "(a|b)\\.yaml$")
            .env("SLOTH_FS_EXCLUDE", "b\\.yaml$")
            .env("SLOTH_EXTRA_LABELS", "one=1\ntwo=x=y")
            .env("SLOTH_DISABLE_ALERTS", "true")
            .env("SLOTH_DEFAULT_SLO_PERIOD", "28d")
            .cwd(directory.path())
    };
    generate().ok();
    let out = get(directory.path(), "out.yaml");
    assert_eq!(group_names(&out), ["sloth-slo-sli-recordings-shop-aa", "sloth-slo-meta-recordings-shop-aa"]);
    let period = rule(&out, "slo:sli_error:ratio_rate4w");
    assert_eq!((&period["labels"]["one"], &period["labels"]["two"]), (&"1".into(), &"x=y".into()));
}

#[test]
fn s10_10_labels_are_split_at_the_first_colon_or_equals_sign() {
    let generate = |label: &str| {
        let flags = ["generate", "--profile", "sloth", "-i", "-", "-l", label];
        slo_engine(flags).stdin(spec("checkout")).ok().stdout
    };
    for (label, key, value) in [("a:b", "a", "b"), ("a:b=c", "a", "b=c"), ("a=b:c", "a", "b:c")] {
        assert_eq!(rule(&generate(label), "sloth_slo_info")["labels"][key], value, "{label}");
    }
}

#[test]
fn s10_10_empty_variables_count_as_none() {
    let generate = || slo_engine(["generate", "--profile", "sloth", "-i", "-"]).stdin(spec("checkout"));
    let plain = generate().ok().stdout;
    for name in [
        "DEBUG",
        "NO_LOG",
        "NO_COLOR",
        "LOGGER",
        "OUT",
        "FS_EXCLUDE",
        "FS_INCLUDE",
        "EXTRA_LABELS",
        "DISABLE_RECORDINGS",
        "DISABLE_ALERTS",
        "PLUGINS_PATH",
        "SLO_PERIOD_WINDOWS_PATH",
        "DEFAULT_SLO_PERIOD",
        "SLO_PLUGINS",
        "DISABLE_DEFAULT_SLO_PLUGINS",
        "K8S_TRANSFORM_PLUGIN_ID",
    ] {
        assert_eq!(generate().env(&format!("SLOTH_{name}"), "").ok().stdout, plain, "{name}");
    }
}

#[test]
fn s10_10_booleans_can_be_taken_back() {
    let generate = |flags: &[&str]| {
        slo_engine(["generate", "--profile", "sloth", "-i", "-"].into_iter().chain(flags.iter().copied()))
            .env("SLOTH_DISABLE_ALERTS", "true")
            .stdin(spec("checkout"))
            .ok()
            .stdout
    };
    assert_eq!(group_names(&generate(&[])).len(), 2);
    assert_eq!(group_names(&generate(&["--no-disable-alerts"])).len(), 3);
    assert_eq!(group_names(&generate(&["--no-disable-recordings"])).len(), 2);
}
