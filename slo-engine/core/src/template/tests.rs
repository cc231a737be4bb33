use super::*;

fn rendered(query: &str) -> Option<String> {
    Template::parse(query).ok().map(|template| template.render("5m"))
}

#[test]
fn every_spelling_of_the_window() {
    for action in [
        "{{.window}}",
        "{{ .window }}",
        "{{\t.window\n}}",
        "{{  .window\r\n  }}",
        "{{$.window}}",
        "{{ $.window }}",
        "{{(.window)}}",
        "{{ ( .window ) }}",
        "{{((.window))}}",
        "{{(.).window}}",
        "{{($).window}}",
        "{{ (( . )).window }}",
        "{{((.).window)}}",
        "{{- .window}}",
        "{{.window -}}",
        "{{- .window -}}",
        "{{-\n.window\t-}}",
        "{{.window  -}}",
    ] {
        assert_eq!(rendered(action).as_deref(), Some("5m"), "{action}");
    }
}

#[test]
fn what_go_rejects_or_prints_otherwise_is_rejected() {
    for action in [
        "{{}}",
        "{{ }}",
        "{{- }}",
        "{{- -}}",
        "{{.}}",
        "{{$}}",
        "{{ . }}",
        "{{-.window}}",
        "{{.window-}}",
        "{{..window}}",
        "{{. window}}",
        "{{$ .window}}",
        "{{.window.window}}",
        "{{.windows}}",
        "{{.Window}}",
        "{{window}}",
        "{{$window}}",
        "{{(.window}}",
        "{{.window)}}",
        "{{()}}",
        "{{.window .window}}",
        "{{(.window) .window}}",
        "{{.window(.)}}",
        "{{(.) .window}}",
        "{{ /* c */ }}",
        "{{/* c */ }}",
        "{{/* c */ x}}",
        "{{/* c",
        "{{",
        "{{.window",
        "{{.window}",
        "{{ $labels.x }}",
        "{{if .window}}x{{end}}",
        "{{.window | print}}",
        "{{print .window}}",
        "{{\"}}\"}}",
        "{{{.window}}}",
        "{{\u{a0}.window}}",
        "{{.wi\u{d6}ndow}}",
        "{{-}}",
    ] {
        assert!(Template::parse(action).is_err(), "{action}");
    }
}

#[test]
fn trim_markers_eat_the_white_space_beside_them() {
    for (query, expected) in [
        ("a  {{- .window -}}  b", "a5mb"),
        ("a \n\t{{- .window}} b", "a5m b"),
        ("a {{.window -}} \r\n b", "a 5mb"),
        ("a {{- /* c */ -}} b", "ab"),
        ("a {{/* c */}} b", "a  b"),
        // Text is trimmed up to the next action, not through it.
        ("a {{- .window}} {{.window -}} b", "a5m 5mb"),
        ("{{.window -}} {{- .window}}", "5m5m"),
        (" {{.window -}} ", " 5m"),
        ("a\u{a0}{{- .window}}", "a\u{a0}5m"),
        ("{{.window}}}", "5m}"),
        ("no action at all", "no action at all"),
        ("", ""),
    ] {
        assert_eq!(rendered(query).as_deref(), Some(expected), "{query:?}");
    }
}

#[test]
fn an_error_names_the_action_and_its_place() {
    let error = Template::parse("sum(x{a=\"{{ $labels.x }}\"}[{{.window}}])").unwrap_err();
    assert_eq!(error.to_string(), "`{{ $labels.x }}`: the only action understood is `{{.window}}`");
    assert_eq!((error.offset, error.length), (9, 15));
    assert_eq!(error.help().as_deref(), Some("alert templates work in annotations, not in queries"));

    let help = |query: &str| Template::parse(query).unwrap_err().help();
    assert_eq!(help("x[{{ .Window }}]").as_deref(), Some("write `{{.window}}`"));
    assert_eq!(help("x[{{ $__rate_interval }}]").as_deref(), Some("write `{{.window}}`"));
    assert_eq!(help("x[{{ .window }"), Some("write `{{.window}}`".to_owned()));
    assert_eq!(help("{{ foo }}"), None);

    let long = format!("{{{{ {} }}}}", "very ".repeat(100));
    assert!(Template::parse(&long).unwrap_err().action.len() < 70);
}

#[test]
fn a_place_in_the_rendered_text_is_found_in_the_query() {
    let query = "ab[{{ .window }}] {{/* c */}}+ {{- .window -}}  cd";
    let template = Template::parse(query).unwrap();
    let rendered = template.render("1m");
    assert_eq!(rendered, "ab[1m] +1mcd");
    for (needle, length) in [("ab", 0), ("] ", 0), ("+", 0), ("cd", 0), ("d", 0)] {
        let at = template.source_offset(rendered.find(needle).unwrap() + length, "1m");
        assert_eq!(query.get(at..at + needle.len()), Some(needle), "{needle}");
    }
    assert_eq!(template.source_offset(3, "1m"), query.find("{{").unwrap());
    assert_eq!(template.source_offset(4, "1m"), query.find("{{").unwrap());
    assert_eq!(template.window_offsets("1m").collect::<Vec<_>>(), [3, 8]);
}

#[test]
fn sloths_condition_is_a_search_for_the_plain_spelling() {
    for yes in ["x[{{.window}}]", "{{   .window  }}", "{{{.window}}", "{{ $.window }}{{.window}}"] {
        assert!(mentions_window(yes), "{yes}");
    }
    for no in [
        "",
        ".window",
        "{{\t.window}}",
        "{{- .window}}",
        "{{$.window}}",
        "{{.window -}}",
        "{{.windows}}",
        "{ {.window}}",
    ] {
        assert!(!mentions_window(no), "{no}");
    }
}

mod laws {
    use proptest::prelude::*;

    use super::super::*;

    /// Pieces out of which both right and wrong actions grow.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "{{",
            "}}",
            "{",
            "}",
            "-",
            " ",
            "\n",
            "\t",
            ".",
            "$",
            "(",
            ")",
            ".window",
            "window",
            "/*",
            "*/",
            "{{-",
            "-}}",
            "{{.window}}",
            "{{- .window -}}",
            "{{/* c */}}",
            "a",
            "é",
            "\"",
            "|",
        ]);
        prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn text_without_braces_is_kept(text in "[^{]{0,60}", window in "[0-9]{1,3}[smhd]") {
            prop_assert_eq!(Template::parse(&text).unwrap().render(&window), text);
        }

        #[test]
        fn rendering_puts_the_window_and_nothing_else(query in pieces()) {
            match Template::parse(&query) {
                Ok(template) => {
                    let (long, none) = (template.render("123456s"), template.render(""));
                    prop_assert_eq!(long.len(), none.len() + 7 * template.uses());
                    prop_assert_eq!(long.replace("123456s", ""), none);
                }
                Err(error) => {
                    let end = error.offset + error.length;
                    let action = query.get(error.offset..end);
                    prop_assert!(action.is_some_and(|action| action.starts_with("{{")));
                    let before = Template::parse(query.get(..error.offset).unwrap());
                    prop_assert!(before.is_ok(), "the first wrong action is blamed");
                }
            }
        }

        /// Whoever passes Sloth's search and parses has at least one window.
        #[test]
        fn sloths_condition_implies_a_window_outside_comments(query in pieces()) {
            if let Ok(template) = Template::parse(&query) && mentions_window(&query) && !query.contains("/*") {
                prop_assert!(template.uses() > 0);
            }
        }
    }
}
