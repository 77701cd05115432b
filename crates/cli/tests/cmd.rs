//! One small file per behaviour: `tests/cmd/*.trycmd`, with the folder it runs in beside it (`*.in`).
//! Every documented code of an error has its case, or a reason why it cannot have one.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;

/// Codes that no case can show, and why.
const WITHOUT_A_CASE: &[(&str, &str)] = &[
    ("store/denied", "no store that is compiled in has a server that could refuse"),
    ("store/unavailable", "no store that is compiled in has a server that could be away"),
    ("store/throttled", "no store that is compiled in has a server that counts requests"),
    (
        "store/setting",
        "the settings of the stores that are compiled in are wholly checked before one is opened",
    ),
    ("store/memory", "what the system gives of protected memory differs between machines"),
    (
        "cache/odd",
        "it takes a clock that went back, a damaged ledger or a network's file system; the cache's tests make those",
    ),
    (
        "cli/interrupted",
        "nobody presses ^C here, and a prompt that it ends prints no error of its own",
    ),
    ("cli/protection", "what the system gives of protected memory differs between machines"),
    (
        "exec/dangerous-name",
        "`power/variable` refuses such a name before, with the place where it stands",
    ),
    ("exec/failed", "what keeps a child from starting, and has no other code, is the system's"),
    ("store/bug", "a store that breaks its contract is a bug; the resolver's tests make one"),
];

/// Codes that take more than one command line to come up, and the test that sees them.
const SEEN_BY_A_TEST: &[(&str, &str)] = &[
    ("cache/not-kept", "cached.rs"),
    ("cache/stale", "cached.rs"),
    ("cache/tampered", "cached.rs"),
    ("cache/unusable", "cached.rs"),
    ("cli/not-verified", "verify_policy.rs"),
];

#[test]
fn every_documented_behaviour() {
    let cases = trycmd::TestCases::new();
    if !cfg!(feature = "verify") {
        cases.skip("tests/cmd/verify*.trycmd");
    }
    if !cfg!(feature = "sbom") {
        cases.skip("tests/cmd/sbom*.trycmd");
    }
    cases
        // What the machine that runs the tests has set must not matter.
        .env("DSOPS_CONFIG", "")
        .env("NO_COLOR", "1")
        .case("tests/cmd/*.trycmd");
}

#[test]
fn every_documented_error_has_a_case() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documented = std::fs::read_to_string(here.join("../../docs/reference/errors.md")).unwrap();
    let documented: BTreeSet<&str> = documented
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(code, _)| code)
        .filter(|code| code.contains('/'))
        .collect();
    assert!(documented.len() >= 45, "{documented:?}");
    let cases: String = std::fs::read_dir(here.join("tests/cmd"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "trycmd"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let has_case = |code: &str| {
        let text =
            ["error", "warning"].iter().any(|word| cases.contains(&format!("{word}[{code}]: ")));
        text || cases.contains(&format!("\"code\":\"{code}\""))
    };
    for (code, test) in SEEN_BY_A_TEST {
        let text = std::fs::read_to_string(here.join("tests").join(test)).unwrap();
        assert!(text.contains(&format!("\"{code}\"")), "{test} does not look for {code}");
        assert!(!has_case(code), "`{code}` has a case after all");
    }
    let excused =
        |code: &str| WITHOUT_A_CASE.iter().chain(SEEN_BY_A_TEST).any(|(known, _)| *known == code);
    let forgotten: Vec<&&str> =
        documented.iter().filter(|code| !has_case(code) && !excused(code)).collect();
    assert!(forgotten.is_empty(), "neither a case nor a reason: {forgotten:?}");
    for (code, reason) in WITHOUT_A_CASE {
        assert!(documented.contains(code), "`{code}` is not documented");
        assert!(!has_case(code), "`{code}` has a case after all, so not: {reason}");
    }
}
