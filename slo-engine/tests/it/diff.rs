//! `diff`: what changes, in words and for scripts.

use crate::support::golden_run;

#[test]
fn changes_are_told_in_words() {
    golden_run("diff", "diff testdata/cli/shop.yaml testdata/cli/shop-new.yaml");
}

#[test]
fn changes_are_told_to_scripts() {
    golden_run(
        "diff_json",
        "diff --output json --exit-code testdata/cli/shop.yaml testdata/cli/shop-new.yaml",
    );
}

#[test]
fn nothing_changes_between_a_spec_and_itself() {
    golden_run("diff_same", "diff --exit-code testdata/cli/shop.yaml testdata/cli/shop.yaml");
}

#[test]
fn what_cannot_be_read_cannot_be_compared() {
    golden_run("diff_unreadable", "diff testdata/cli/shop.yaml testdata/cli/missing.yaml");
    golden_run("diff_two_stdins", "diff - -");
}
