//! `dsops verify policy from`: a policy that accepts whoever signed this, and nobody else.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

use clap::ValueHint;
use dsops_release_verify::{
    Algorithm, Artifact, Authenticated, BUNDLE_LIMIT_BYTES, Bundle, CertificateIdentity, Claim,
    Evidence, Finding, Leniency, Options, Origin, Pattern, PolicyFile, ReleaseVerifier, Signer,
    State, Verifier,
};

use crate::cmd::verify::demands::exact_or_glob;
use crate::cmd::verify::{files, online, rules, trust};
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::ui;

const EXAMPLES: &str = "\
Examples:
  dsops verify policy from app.tar.gz > dsops-verify.yaml
  dsops verify policy from app.tar.gz --bundle app.sigstore.json
  dsops verify policy from app.tar.gz.sigstore.json
  dsops verify policy from app.tar.gz --identity release@example.org --identity 'https://github.com/acme/app/**'

The policy says who signed this, not who should have: compare it with what the project says
elsewhere before you keep it. When several signed, `--identity` says which of them the policy asks
for; when that is several times there, it asks for all of them.";

/// Claims that stay the same from release to release, and are pinned.
const PINNED: [Claim; 5] = [
    Claim::Repository,
    Claim::RepositoryId,
    Claim::Owner,
    Claim::OwnerId,
    Claim::RunnerEnvironment,
];

// What `dsops verify policy from` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A file with its evidence beside it, or a Sigstore bundle
    #[arg(value_name = "ARTIFACT", value_hint = ValueHint::FilePath)]
    pub artifact: OsString,
    /// Of several who signed, the one to ask for: the name in the certificate, with wildcards or
    /// without; all of them, when several are named
    #[arg(
        long, value_name = "NAME", aliases = ["certificate-identity", "cert-identity"]
    )]
    pub identity: Vec<String>,
    /// Evidence that does not lie beside the file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub bundle: Vec<OsString>,
    /// Whom to trust instead of the roots that come with dsops
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub trusted_root: Option<OsString>,
    #[command(flatten)]
    pub network: online::Flags,
}

/// Runs the command.
///
/// # Errors
/// A file cannot be read; no signature is good, or none is by a certificate.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let (roots, _) = trust::roots(cx, args.trusted_root.as_deref(), &args.network)?;
    let sigstore = Verifier::new(roots);
    let name = args.artifact.to_string_lossy();
    let (good, findings) = match bundles(args) {
        Some(bundles) => of_bundles(&sigstore, &bundles),
        None => of_file(sigstore, args)?,
    };
    let mut written: Vec<Named> = Vec::new();
    for one in &good {
        if let Signer::Certificate(identity) = &one.signer
            && let Some(lines) = signer(identity)
            && !written.iter().any(|known| known.lines == lines)
        {
            written.push(Named { shown: one.signer.to_string(), lines, identity });
        }
    }
    if written.is_empty() {
        return Err(nothing(&name, !good.is_empty(), findings));
    }
    let written = chosen(written, &args.identity, &name)?;
    let text = policy(&name, &written);
    // What is printed has to be a policy, and has to accept what it was made from.
    let accepts = PolicyFile::read(text.as_bytes(), &Origin::new("policy"), |_| {
        Err(std::io::ErrorKind::NotFound.into())
    })
    .is_ok_and(|policy| {
        policy.rules.iter().any(|rule| {
            let judged = rule.demands.signers().judge(&good);
            judged.accepted.iter().any(|signers| !signers.is_empty())
                && judged.findings.iter().all(|one| one.state < State::Undecided)
        })
    });
    if !accepts {
        let message = format!("no policy can be written for who signed {name}");
        return Err(Failure::new(Exit::Undecided, Report::error(message)));
    }
    ui::print(text.as_bytes())?;
    Ok(Exit::Ok)
}

/// Somebody who signed, and the lines of a policy that ask for them.
struct Named<'a> {
    shown: String,
    lines: String,
    identity: &'a CertificateIdentity,
}

/// Those of them that the policy is to ask for. A policy that takes any of several is weaker than
/// what was seen, where all of them signed, so which of them count is the user's to say.
///
/// # Errors
/// There are several, and none is chosen; what is chosen is nobody, or several at once.
fn chosen<'a>(
    all: Vec<Named<'a>>,
    wanted: &[String],
    name: &str,
) -> Result<Vec<Named<'a>>, Failure> {
    let listed = |all: &[Named<'_>], mut report: Report| {
        for one in all {
            report = report.because_text(ui::one_line(&one.shown));
        }
        Failure::new(Exit::Usage, report)
    };
    let patterns = wanted
        .iter()
        .map(|text| exact_or_glob(text).map_err(|error| rules::refused(&error)))
        .collect::<Result<Vec<_>, _>>()?;
    let takes = |pattern: &Pattern, one: &Named<'_>| {
        let names = &one.identity.names;
        names.iter().all(|name| pattern.matches(name.as_str()))
    };
    for (text, pattern) in wanted.iter().zip(&patterns) {
        let count = all.iter().filter(|one| takes(pattern, one)).count();
        let text = text.escape_debug();
        let report = match count {
            1 => continue,
            0 => Report::error(format!("`{text}` did not sign {name}")).help("these did"),
            count => Report::error(format!("{count} of those who signed {name} are `{text}`"))
                .help("name one of them; if they differ in their claims only, name one bundle"),
        };
        return Err(listed(&all, report));
    }
    if patterns.is_empty() && all.len() > 1 {
        let report = Report::error(format!("{} signed {name}", ui::plural(all.len(), "signer")))
            .help(
                "choose with `--identity NAME` whom the policy asks for; several times for all of \
                 those; or name one bundle",
            );
        return Err(listed(&all, report));
    }
    let all = all.into_iter();
    Ok(all
        .filter(|one| patterns.is_empty() || patterns.iter().any(|own| takes(own, one)))
        .collect())
}

/// The bundles in a file that is one, and not an artifact.
fn bundles(args: &Args) -> Option<Vec<Bundle>> {
    if !args.bundle.is_empty() {
        return None;
    }
    let bytes = files::read(&args.artifact, BUNDLE_LIMIT_BYTES).ok()?;
    let origin = Origin::new(args.artifact.to_string_lossy());
    let all = Bundle::read_all(&bytes, &origin, Leniency::default());
    let bundles: Vec<Bundle> = all.into_iter().filter_map(Result::ok).collect();
    (!bundles.is_empty()).then_some(bundles)
}

/// The good signatures in bundles, each over what it says to be of.
fn of_bundles(sigstore: &Verifier, bundles: &[Bundle]) -> (Vec<Authenticated>, Vec<Finding>) {
    let (mut good, mut findings) = (Vec::new(), Vec::new());
    for bundle in bundles {
        let claimed = bundle.claimed_digest().cloned();
        let artifact = match claimed {
            Some(digest) => Artifact::from_digest("", digest),
            // What a statement is about is not looked at.
            None if bundle.payload().is_some() => {
                Artifact::read("", &b""[..], &[Algorithm::Sha256]).ok()
            }
            None => None,
        };
        let Some(artifact) = artifact else {
            let message =
                "what was signed is not named in it: name the artifact, and this as --bundle";
            findings.push(Finding::undecided("signature/digest", message).at(bundle.origin()));
            continue;
        };
        let outcome = sigstore.authenticate(bundle, &artifact, None);
        good.extend(outcome.authenticated);
        findings.extend(outcome.findings);
    }
    (good, findings)
}

fn of_file(sigstore: Verifier, args: &Args) -> Result<(Vec<Authenticated>, Vec<Finding>), Failure> {
    let mut evidence = Vec::new();
    for file in &args.bundle {
        let bytes = files::read(file, BUNDLE_LIMIT_BYTES)
            .map_err(|error| Failure::new(Exit::Store, files::unreadable(file, &error)))?;
        evidence.extend(Evidence::read(&file.to_string_lossy(), &bytes, Leniency::default()));
    }
    let path = Path::new(&args.artifact);
    let found = ReleaseVerifier::signatures_of(sigstore, path, &evidence, Options::default())
        .map_err(|error| {
            let mut report = Report::from_error(&error);
            report.help = error.help().map(str::to_owned);
            Failure::new(Exit::Store, report)
        })?;
    Ok((found.good, found.findings))
}

fn nothing(name: &str, has_good: bool, findings: Vec<Finding>) -> Failure {
    if has_good {
        let report = Report::error(format!("who signed {name} is named by no certificate that a policy can pin"))
            .help("name keys as `key: FILE`, and releases of GitHub by `--policy github-release:OWNER/REPO@TAG`");
        return Failure::new(Exit::Undecided, report);
    }
    let bad: Vec<Finding> = findings
        .into_iter()
        .filter(|finding| matches!(finding.state, State::Failed | State::Undecided))
        .collect();
    let exit = if bad.iter().any(|finding| finding.state == State::Failed) {
        Exit::NotVerified
    } else {
        Exit::Undecided
    };
    let mut report =
        Report::error(format!("{name} has no good signature, so no policy is written"))
            .help("`dsops verify` with the publisher you expect shows every check");
    for finding in bad {
        let compared = match (&finding.expected, &finding.found) {
            (Some(expected), Some(found)) => format!(" (expected {expected}, found {found})"),
            _ => String::new(),
        };
        report = report.because_text(format!("{}{compared} [{}]", finding.message, finding.code));
    }
    Failure::new(exit, report)
}

fn policy(name: &str, signers: &[Named<'_>]) -> String {
    let mut text = format!(
        "# Written by `dsops verify policy from {}`, which found the signature good.\n\
         # It says who signed that, not who should have: compare it with what the project says\n\
         # elsewhere.\n\
         version: 1\n\
         signers:\n",
        ui::one_line(name)
    );
    for (index, signer) in signers.iter().enumerate() {
        match index {
            0 => text.push_str("  publisher:\n"),
            _ => {
                let _ = writeln!(text, "  publisher-{}:", index + 1);
            }
        }
        text.push_str(&signer.lines);
    }
    if signers.len() > 1 {
        let _ = write!(text, "artifacts:\n  - threshold: {}\n", signers.len());
    }
    text
}

/// The lines of one signer; `None` when it has no name or no issuer that can be pinned.
fn signer(identity: &CertificateIdentity) -> Option<String> {
    let [name] = identity.names.as_slice() else { return None };
    let issuer = identity.issuer.as_deref()?;
    let name = name.as_str();
    let mut text = String::new();
    match name.split_once("@refs/tags/") {
        // The next release has another tag.
        Some((workflow, _)) => {
            let glob = format!("{}@refs/tags/*", escape(workflow));
            let _ = writeln!(text, "    # of this release: {}", quoted(name));
            let _ = writeln!(text, "    identity-glob: {}", quoted(&glob));
        }
        None if name.contains('*') => {
            let _ = writeln!(text, "    identity-glob: {}", quoted(&escape(name)));
        }
        None => {
            let _ = writeln!(text, "    identity: {}", quoted(name));
        }
    }
    let _ = if issuer.contains('*') {
        writeln!(text, "    issuer-glob: {}", quoted(&escape(issuer)))
    } else {
        writeln!(text, "    issuer: {}", quoted(issuer))
    };
    let claims: Vec<(Claim, &str)> = PINNED
        .into_iter()
        .filter_map(|claim| Some((claim, identity.claim(claim.arc())?)))
        .collect();
    if !claims.is_empty() {
        text.push_str("    claims:\n");
    }
    for (claim, value) in claims {
        let value = quoted(value);
        let value = if value.contains('*') { format!("{{ exact: {value} }}") } else { value };
        let _ = writeln!(text, "      {}: {value}", claim.name());
    }
    Some(text)
}

/// A text that is a wildcard pattern for itself only.
fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut all, c| {
        if matches!(c, '*' | '?' | '\\' | '[' | ']' | '{' | '}') {
            all.push('\\');
        }
        all.push(c);
        all
    })
}

/// A text of YAML in double quotes, as those of JSON are. What drives a terminal, ends a line for some
/// reader, or only looks like a letter is shown by its number.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.chars().fold(String::new(), |mut all, c| {
        // Writing to a `String` cannot fail.
        let _ = match u32::from(c) {
            0x20..=0x7e => write!(all, "{c}"),
            number @ ..=0xffff => write!(all, "\\u{number:04x}"),
            number => write!(all, "\\U{number:08x}"),
        };
        all
    })
}

#[cfg(test)]
mod tests {
    use dsops_release_verify::SubjectName;

    use super::*;

    #[test]
    fn names_are_pinned_and_tags_are_not() {
        let identity = |name: &str| {
            CertificateIdentity::new(
                vec![SubjectName::Uri(name.to_owned())],
                Some("https://issuer.example".to_owned()),
                vec![(15, "1001".to_owned()), (21, "run".to_owned())],
            )
        };
        let text = signer(&identity("https://ci.example/a*b/w.yml@refs/tags/v1")).unwrap();
        assert_eq!(
            text,
            "    # of this release: \"https://ci.example/a*b/w.yml@refs/tags/v1\"\n    \
             identity-glob: \"https://ci.example/a\\\\*b/w.yml@refs/tags/*\"\n    \
             issuer: \"https://issuer.example\"\n    claims:\n      repository-id: \"1001\"\n"
        );
        let text = signer(&identity("https://ci.example/w.yml@refs/heads/main")).unwrap();
        assert!(text.starts_with("    identity: \"https://ci.example/w.yml@refs/heads/main\"\n"));
        let text = signer(&identity("https://ci.example/a*[b]")).unwrap();
        assert!(
            text.starts_with("    identity-glob: \"https://ci.example/a\\\\*\\\\[b\\\\]\"\n"),
            "{text}"
        );
        // A name cannot add lines of its own.
        let text = signer(&identity("a\"\n  evil:\n    github: o/r")).unwrap();
        assert_eq!(text.lines().count(), 4, "{text}");
        // What is shown drives no terminal, and is still read as the same name.
        let name = "https://ci.example/\u{9b}2J\u{7f}\u{85}\u{202e}\u{1f980}";
        let own = identity(name);
        let lines = signer(&own).unwrap();
        let text = policy("x", &[Named { shown: String::new(), lines, identity: &own }]);
        assert!(text.chars().all(|c| c == '\n' || (' '..='~').contains(&c)), "{text:?}");
        let read = PolicyFile::read(text.as_bytes(), &Origin::new("p"), |_| {
            Err(std::io::ErrorKind::NotFound.into())
        });
        let rule = read.unwrap().rules.remove(0);
        let certificate = Signer::Certificate(identity(name));
        let mut all = rule.demands.signers().signers().flatten();
        assert!(all.any(|rule| rule.differences(&certificate).is_empty()), "{text}");
        let mut nobody = identity("x");
        nobody.issuer = None;
        assert!(signer(&nobody).is_none());
    }
}
