use super::*;

/// A source and the span of `needle` in it.
fn find(name: &str, text: &str, needle: &str) -> (Source, Span) {
    let start = text.find(needle).unwrap();
    let span = Span { start: start as u32, end: (start + needle.len()) as u32 };
    (Source::new(name, text), span)
}

fn render(diagnostic: &Diagnostic, format: Format) -> String {
    let mut out = Vec::new();
    write(&mut out, diagnostic, format).unwrap();
    String::from_utf8(out).unwrap()
}

fn text(diagnostic: &Diagnostic) -> String {
    render(diagnostic, Format::Text { color: false })
}

fn objective() -> Diagnostic {
    let (source, span) = find("slos/a.yaml", "slos:\n  - name: a\n    objective: 101\n", "101");
    Diagnostic::error("objective-range", "objective is above 100")
        .at(&source, span)
        .help("write a percentage, such as 99.9")
}

#[test]
fn a_place_is_shown_with_its_line_a_caret_and_a_hint() {
    insta::assert_snapshot!(text(&objective()));
}

#[test]
fn related_places_are_shown_with_a_word_on_why() {
    let (first, first_span) = find("a.yaml", "name: x\nother: 1\n", "x");
    let (second, second_span) = find("b.yaml", "# comment\nname: x\n", "x");
    let diagnostic = Diagnostic::error("duplicate", "`x` is defined twice").at(&second, second_span).related(
        &first,
        first_span,
        "first defined here",
    );
    insta::assert_snapshot!(text(&diagnostic));
    insta::assert_snapshot!(render(&diagnostic, Format::Github));
}

#[test]
fn a_related_place_in_the_same_file() {
    let (source, second) = find("a.yaml", "name: x\nother: 1\nname: y\n", "y");
    let diagnostic = Diagnostic::warning("duplicate-key", "`name` is written twice")
        .at(&source, second)
        .related(&source, Span { start: 6, end: 7 }, "this one is ignored");
    insta::assert_snapshot!(text(&diagnostic));
}

#[test]
fn tabs_crlf_and_wide_characters_do_not_move_the_caret() {
    for (name, content) in
        [("tab", "\tkey:\t\tbad\r\nnext"), ("wide", "日本語: bad # 注"), ("accent", "e\u{301}: bad")]
    {
        let (source, span) = find(name, content, "bad");
        insta::assert_snapshot!(
            format!("caret_{name}"),
            text(&Diagnostic::error("x", "no").at(&source, span))
        );
    }
}

#[test]
fn long_lines_are_cut_around_the_caret() {
    let line = format!("{}bad{}", "abc ".repeat(5_000), " xyz".repeat(5_000));
    let (source, span) = find("long.yaml", &line, "bad");
    insta::assert_snapshot!(text(&Diagnostic::error("x", "no").at(&source, span)));
}

#[test]
fn a_span_of_many_lines_marks_the_first() {
    let (source, span) = find("m.yaml", "sli:\n  raw:\n    a: 1\n    b: 2\n", "raw:\n    a: 1\n    b: 2\n");
    insta::assert_snapshot!(text(&Diagnostic::error("x", "no").at(&source, span)));
}

#[test]
fn the_end_of_a_file_is_a_place() {
    let source = Source::new("e.yaml", "a: 1\n");
    insta::assert_snapshot!(text(
        &Diagnostic::error("x", "something is missing").at(&source, Span { start: 5, end: 5 })
    ));
    let source = Source::new("empty.yaml", "");
    insta::assert_snapshot!(text(&Diagnostic::error("x", "nothing here").at(&source, Span::default())));
}

#[test]
fn a_secret_is_never_quoted() {
    let source = Source::secret("token.yaml", "token: hunter2\n");
    let span = Span { start: 7, end: 14 };
    let diagnostic = Diagnostic::error("x", "not a token")
        .at(&source, span)
        .related(&source, span, "also here")
        .help("ask");
    for format in [Format::Text { color: false }, Format::Text { color: true }, Format::Json, Format::Github]
    {
        let shown = render(&diagnostic, format);
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    insta::assert_snapshot!(text(&diagnostic));
}

#[test]
fn json_is_one_object_with_every_field() {
    insta::assert_snapshot!(render(&objective(), Format::Json));
    insta::assert_snapshot!(format!(
        "{:#}",
        report_to_json(&[objective(), Diagnostic::note("n", "no place")])
    ));
}

#[test]
fn github_commands_are_escaped() {
    let (source, span) = find("dir,a:b/100%.yaml", "x: y", "y");
    let diagnostic = Diagnostic::warning("x", "50% of\r\nit").at(&source, span).help("a, b: c");
    insta::assert_snapshot!(render(&diagnostic, Format::Github));
    insta::assert_snapshot!(render(&Diagnostic::note("x", "no place"), Format::Github));
}

#[test]
fn a_message_cannot_act_on_the_terminal() {
    let (source, span) = find("\u{1b}[31m.yaml", "key: \u{1b}[2Jx\u{7}", "x");
    let diagnostic = Diagnostic::error("x", "bad \u{1b}[2J value").at(&source, span).help("a\nb\u{8}");
    let shown = text(&diagnostic);
    assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{8}']), "{shown:?}");
}

#[test]
fn order_is_by_file_and_place_then_level() {
    let source = Source::new("b", "0123456789");
    let other = Source::new("a", "0123456789");
    let at = |source: &Source, start: u32, level: Level| {
        Diagnostic::new(level, "x", format!("{}{start}{}", source.name(), level.name()))
            .at(source, Span { start, end: start + 1 })
    };
    let mut list = vec![
        Diagnostic::note("x", "end"),
        at(&source, 3, Level::Warning),
        at(&source, 3, Level::Error),
        at(&source, 1, Level::Note),
        at(&other, 9, Level::Note),
    ];
    sort(&mut list);
    let messages: Vec<_> = list.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
    assert_eq!(messages, ["a9note", "b1note", "b3error", "b3warning", "end"]);
    assert_eq!(Summary::of(&list).to_string(), "1 error, 1 warning, 3 notes");
    assert_eq!(Summary::default().to_string(), "0 errors");
}

proptest::proptest! {
    /// Whatever the text and wherever the span: no panic, and the place is printed.
    #[test]
    fn every_span_of_every_text_can_be_shown(content in "(\\PC|[\t\r\n\u{0}\u{1b}]){0,80}", start in 0u32..120, length in 0u32..60) {
        let source = Source::new("any.yaml", content);
        let diagnostic = Diagnostic::error("x", "no").at(&source, Span { start, end: start + length });
        let (line, column) = source.line_column(start);
        let header = format!("any.yaml:{line}:{column}");
        proptest::prop_assert!(text(&diagnostic).contains(&header));
        render(&diagnostic, Format::Github);
        render(&diagnostic, Format::Json);
    }
}
