//! One small file per behaviour: `tests/cmd/*.trycmd`, with the folder it runs in beside it (`*.in`).

#[test]
fn every_documented_behaviour() {
    trycmd::TestCases::new()
        // What the machine that runs the tests has set must not matter.
        .env("DSOPS_CONFIG", "")
        .env("NO_COLOR", "1")
        .case("tests/cmd/*.trycmd");
}
