//! `security.txt` (RFC 9116): who reads it must reach us, so it says the same as SECURITY.md and has not expired.

use std::path::Path;

use super::Finding;
use crate::calendar;

/// From so many days before its end on, the file is to be renewed.
const RENEWAL_DAYS: i64 = 30;

/// RFC 9116 §2.5.5 recommends less than a year.
const MOST_DAYS: i64 = 366;

/// Fields that occur at least once; `Expires` exactly once (RFC 9116 §2.5).
const NEEDED: [&str; 4] = ["Contact", "Expires", "Policy", "Canonical"];

/// The fields of RFC 9116.
const FIELDS: [&str; 8] = [
    "Acknowledgments",
    "Canonical",
    "Contact",
    "Encryption",
    "Expires",
    "Hiring",
    "Policy",
    "Preferred-Languages",
];

/// Its fields are known, there, and agree with `policy`, the text of SECURITY.md.
pub fn check(file: &Path, text: &str, policy: &str, today: i64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut broken = |message: String| findings.push(Finding::broken(file, index + 1, message));
        let Some((name, value)) = line.split_once(": ") else {
            broken("is no `Field: value`".to_owned());
            continue;
        };
        if !FIELDS.contains(&name) {
            broken(format!("`{name}` is no field of RFC 9116"));
        }
        if matches!(name, "Contact" | "Policy" | "Canonical" | "Encryption") {
            let address = value.strip_prefix("mailto:").or_else(|| value.strip_prefix("https://"));
            match address {
                None => broken(format!("`{value}` is neither https nor mailto")),
                Some(address) if name == "Contact" && !policy.contains(address) => {
                    broken(format!("SECURITY.md does not have the contact `{address}`"));
                }
                Some(_) => {}
            }
        }
        if name == "Expires" {
            let day = value.split('T').next().and_then(calendar::days);
            match day.filter(|_| value.len() == 20 && value.ends_with('Z')) {
                None => broken(format!("`{value}` is no `YYYY-MM-DDThh:mm:ssZ`")),
                Some(day) if day - today < RENEWAL_DAYS => {
                    broken(format!("ends in {} days: renew it", day - today));
                }
                Some(day) if day - today > MOST_DAYS => {
                    broken("is valid for more than a year".to_owned());
                }
                Some(_) => {}
            }
        }
        seen.push((name, value));
    }
    for name in NEEDED {
        match seen.iter().filter(|(found, _)| *found == name).count() {
            0 => findings.push(Finding::broken(file, 0, format!("has no `{name}`"))),
            1 => {}
            _ if name == "Expires" => {
                findings.push(Finding::broken(file, 0, "has `Expires` twice"));
            }
            _ => {}
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# who to ask\nContact: https://example.org/new\nContact: mailto:a@example.org\n\
                        Expires: 2027-10-31T00:00:00Z\nPolicy: https://example.org/policy\n\
                        Canonical: https://example.org/security.txt\nPreferred-Languages: en\n";

    fn messages(text: &str, today: &str) -> Vec<String> {
        let today = calendar::days(today).unwrap();
        let policy = "write to a@example.org or https://example.org/new";
        let findings = check(Path::new("security.txt"), text, policy, today);
        findings.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_good_file_passes() {
        assert_eq!(messages(GOOD, "2026-11-21"), Vec::<String>::new());
        assert_eq!(messages(GOOD, "2027-10-01"), Vec::<String>::new());
    }

    #[test]
    fn it_is_renewed_in_time() {
        assert_eq!(messages(GOOD, "2027-10-02"), ["ends in 29 days: renew it"]);
        assert_eq!(messages(GOOD, "2027-11-02"), ["ends in -2 days: renew it"]);
        assert_eq!(messages(GOOD, "2026-01-01"), ["is valid for more than a year"]);
    }

    #[test]
    fn each_violation_is_found() {
        for (from, to, message) in [
            ("Expires: 2027-10-31T00:00:00Z\n", "", "has no `Expires`"),
            ("Policy: ", "policy ", "is no `Field: value`"),
            ("Preferred-Languages", "Languages", "`Languages` is no field of RFC 9116"),
            ("mailto:a@", "mailto:b@", "SECURITY.md does not have the contact `b@example.org`"),
            ("https://example.org/policy", "http://p", "`http://p` is neither https nor mailto"),
            ("2027-10-31T00:00:00Z", "31 October", "`31 October` is no `YYYY-MM-DDThh:mm:ssZ`"),
            ("Policy", "Expires: 2027-10-31T00:00:00Z\nPolicy", "has `Expires` twice"),
        ] {
            let found = messages(&GOOD.replacen(from, to, 1), "2026-11-21");
            assert!(found.iter().any(|found| found == message), "{message}: {found:?}");
        }
    }
}
