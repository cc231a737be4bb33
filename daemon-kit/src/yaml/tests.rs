use super::*;
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};

fn one(text: &str) -> Document {
    let mut documents = parse(&Source::new("t.yaml", text), Limits::default()).unwrap();
    assert_eq!(documents.len(), 1, "{text:?}");
    documents.remove(0)
}

fn shown(text: &str) -> String {
    format!("{:?}", one(text))
}

fn refused(text: &str) -> Diagnostic {
    parse(&Source::new("t.yaml", text), Limits::default()).unwrap_err()
}

fn slice(text: &str, span: Span) -> &str {
    &text[span.start as usize..span.end as usize]
}

#[test]
fn keeps_order_duplicates_and_style() {
    assert_eq!(shown("b: 1\na: 'x'\nb: [2, \"3\", ~]\n"), r#"{b: 1, a: "x", b: [2, "3", ~]}"#);
    assert_eq!(shown("a: >\n  x\n  y\nb: |-\n  x\n  y\n"), r#"{a: "x y\n", b: "x\ny"}"#);
}

#[test]
fn an_alias_is_its_anchor_at_another_place() {
    let text = "a: &x {k: v}\nb: *x\n";
    let document = one(text);
    let alias = document.root().unwrap().get("b").unwrap();
    assert_eq!(format!("{alias:?}"), "{k: v}");
    assert_eq!(slice(text, alias.span()), "*x");
    assert_eq!(slice(text, alias.content_span()), "{k: v}");
}

#[test]
fn merge_keys_override_what_stands_before_them() {
    let entries = |text: &str| {
        let document = one(text);
        let root = document.root().unwrap().get("m").unwrap();
        format!(
            "{:?}",
            root.entries().unwrap().iter().map(|(k, v)| format!("{k:?}={v:?}")).collect::<Vec<_>>()
        )
    };
    assert_eq!(entries("b: &b {x: 1}\nm: {x: 0, <<: *b, x: 2}"), r#"["x=0", "x=1", "x=2"]"#);
    assert_eq!(entries("m: {<<: [{x: 1}, {x: 2}]}"), r#"["x=2", "x=1"]"#);
    assert_eq!(entries("m: {'<<': 1}"), r#"["\"<<\"=1"]"#);
    let document = one("m: {<<: 1}");
    assert!(document.root().unwrap().get("m").unwrap().entries().is_err());
}

#[test]
fn byte_order_mark_line_ends_and_directives() {
    for text in ["\u{feff}a: 'x'\nb: y\n", "a: 'x'\r\nb: y\r\n", "%YAML 1.1\n---\na: x\nb: y # note\n"] {
        let document = one(text);
        let root = document.root().unwrap();
        assert_eq!(root.get("b").and_then(Node::text), Some("y"), "{text:?}");
        assert_eq!(slice(text, root.get("b").unwrap().span()), "y", "{text:?}");
        assert_eq!(root.get("a").and_then(Node::text), Some("x"));
    }
}

#[test]
fn documents_without_content_have_no_root() {
    let read = |text: &str| {
        let documents = parse(&Source::new("t.yaml", text), Limits::default()).unwrap();
        documents.iter().map(|document| document.root().is_some()).collect::<Vec<_>>()
    };
    assert_eq!(read(""), Vec::<bool>::new());
    assert_eq!(read("# only a comment\n"), Vec::<bool>::new());
    assert_eq!(read("---\n"), [false]);
    assert_eq!(read("---\n---\na: 1\n"), [false, true]);
    assert_eq!(read("a: 1\n---\n# c\n---\nb: 2\n"), [true, false, true]);
}

#[test]
fn one_broken_document_hides_no_other() {
    let source = Source::new("t.yaml", "a: [1\n---\nb: 2\n---\nc: 'x\n");
    let read: Vec<_> = documents(&source, Limits::default()).collect();
    assert_eq!(read.len(), 3);
    assert!(read[0].is_err() && read[2].is_err());
    assert_eq!(format!("{:?}", read[1].as_ref().unwrap()), "{b: 2}");
    assert_eq!(read[1].as_ref().unwrap().index(), 1);
}

#[test]
fn billion_laughs_are_refused_where_they_get_too_many() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(", "));
    }
    let refused = refused(&text);
    assert_eq!(refused.code, "yaml-too-many-nodes");
    let span = refused.place.unwrap().span;
    assert!(slice(&text, span).starts_with("*a"), "{}", slice(&text, span));
}

#[test]
fn depth_is_bounded_also_through_aliases() {
    for open in ["[", "{a: ", "- ", "? "] {
        assert_eq!(refused(&open.repeat(2_000)).code, "yaml-too-deep", "{open}");
    }
    let mut text = "a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n".to_owned();
    for level in 1..20 {
        text += &format!("a{level}: &a{level} [[[[[[[[[[*a{}]]]]]]]]]]\n", level - 1);
    }
    assert_eq!(refused(&text).code, "yaml-too-deep");
}

#[test]
fn an_alias_inside_its_own_anchor_is_refused() {
    assert_eq!(refused("a: &a [*a]").code, "yaml-alias-recursive");
    assert_eq!(refused("a: *b").code, "yaml-alias");
}

#[test]
fn hints_name_the_usual_causes() {
    for (text, hint) in [
        ("a:\n\tb: 1\n", "spaces"),
        ("a: {{ x }}: y\nb: z\n", "quotes"),
        ("q: sum(rate(x{a: b}[5m])): 1\n", "quotes"),
    ] {
        let help = refused(text).help.unwrap_or_default();
        assert!(help.contains(hint), "{text:?}: {help}");
    }
}

#[test]
fn a_place_in_a_text_is_found_in_its_source() {
    for text in [
        "k: sum(rate(x)) @",
        "k: 'it''s @'",
        "k: \"a\\n\\\"\\u00e9 @\"",
        "k: |\n  one\n  two é @\n  three\n",
        "k: >-\n  one\n  two\n\n  three @ four\n",
        "k: one\n  two @ three\n",
    ] {
        let source = Source::new("t.yaml", text);
        let document = one(text);
        let node = document.root().unwrap().get("k").unwrap();
        let value = node.text().unwrap();
        let span = locate(&source, node.content_span(), value, value.find('@').unwrap());
        assert_eq!(slice(text, span), "@", "{text:?} {:?}", slice(text, node.span()));
    }
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "[-a:&*{}\\[\\]<>|#'\" \n\t%!]{0,60}") {
        let source = Source::new("t.yaml", text.clone());
        for document in documents(&source, Limits::default()).flatten() {
            // Every span is a part of the source, and every node can be walked.
            let mut left = vec![];
            left.extend(document.root());
            while let Some(node) = left.pop() {
                let span = node.span();
                proptest::prop_assert!(text.get(span.start as usize..span.end as usize).is_some());
                left.extend(node.items());
                left.extend(node.pairs().flat_map(|(key, value)| [key, value]));
            }
        }
    }
}
