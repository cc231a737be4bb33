use super::*;

/// Verdicts of Prometheus' own parser.
const VERDICTS: &str = include_str!("../../testdata/promql.tsv");

#[test]
fn verdicts_are_those_of_prometheus() {
    let rows: Vec<_> = VERDICTS.lines().filter_map(|line| line.split_once('\t')).collect();
    assert!(rows.len() > 200, "the table is there");
    for (verdict, query) in rows {
        let got = parse(query);
        assert_eq!(got.is_ok(), verdict == "accept", "{query}: {got:?}");
    }
}

#[test]
fn seconds_and_moments_out_of_range_are_errors() {
    for (query, token) in [
        ("x[1e30]", "1e30"),
        ("x[9223372037]", "9223372037"),
        ("x[0xffffffffffffffff]", "0xffffffffffffffff"),
        ("x[5m:1e30]", "1e30"),
        ("x[.1e30]", ".1e30"),
        ("x offset 1e30", "1e30"),
        ("x OFFSET - 1e30", "1e30"),
        ("x offset inf", "inf"),
        ("x offset -NaN", "NaN"),
        ("x[5m] offset +Inf", "Inf"),
        ("x @ 1e30", "1e30"),
        ("x @ -Inf", "Inf"),
        ("ru%((t)[11111111111111111111111111111111])", "11111111111111111111111111111111"),
    ] {
        let error = parse(query).unwrap_err();
        assert!(error.message.ends_with("is out of range"), "{query}: {}", error.message);
        assert_eq!(query.get(error.range.unwrap()), Some(token), "{query}");
    }
    for query in
        ["x[9223372036]", "x offset -5", "x @ 1e18", "x offset 1y", "x{offset=\"inf\"} - 1e30", "inf"]
    {
        assert!(parse(query).is_ok(), "{query}");
    }
}

#[test]
fn errors_say_where_and_what_instead() {
    for (query, at, message) in [
        ("sum(x", Some("("), "`(` is not closed"),
        ("sum(x))", None, "`)` closes nothing"),
        ("x[5m", Some("["), "`[` is not closed"),
        ("x{a=\"b}", Some("\"b}"), "the string is not closed"),
        ("rate(x[$interval])", Some("$"), "unexpected character `$`"),
        ("x && y", Some("&"), "unexpected character `&`"),
        ("Rate(x[5m])", Some("Rate"), "there is no function `Rate`"),
        ("x{a=~\"(\"}", Some("\"(\""), "the regular expression \"(\" is wrong: a parenthesis is not closed"),
        ("x{a=\"\\d\"}", Some("\"\\d\""), "the string \"\\d\" has an escape that means nothing"),
        ("", None, "the query is empty"),
        ("# only a comment", None, "the query is empty"),
    ] {
        let error = parse(query).unwrap_err();
        assert_eq!(error.message, message, "{query}");
        if let Some(at) = at {
            assert_eq!(error.range.map(|range| range.start), query.find(at), "{query}");
        }
    }
}

#[test]
fn rewriting_keeps_the_meaning() {
    for (query, same) in [
        ("x{a=`b\"c\\d`}", "x{a=\"b\\\"c\\\\d\"}"),
        ("rate(x[5m] offset 0s)", "rate(x[5m])"),
        ("1_000 * x", "1000 * x"),
        ("x > bool.5", "x > bool 0.5"),
        (
            "sum by (anchored) (smoothed{anchored=\"x\"}) or anchored",
            "sum by (anchored_) (smoothed_{anchored_=\"x\"}) or anchored_",
        ),
    ] {
        assert_eq!(parse(query), parse(same), "{query}");
        assert!(parse(query).is_ok(), "{query}");
    }
    // Regular expressions that only Go takes still differ from each other.
    assert_ne!(parse("x{a=~\"[\\\\w-.]a\"}"), parse("x{a=~\"[\\\\w-.]b\"}"));
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_strange(query in "[a-z0-9(){}\\[\\]\"'`\\\\ .$#=~!:@+*|^?,_\n-]{0,40}") {
        let _verdict = parse(&query);
        for token in tokens(&query) {
            proptest::prop_assert!(query.get(token.range).is_some());
        }
    }
}
